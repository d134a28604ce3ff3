/** The API's document as one page that needs nothing from elsewhere: contents beside, tables of attributes within. */
import { pageStyle } from './openapi-style.ts'
import type { OpenApiDocument } from './openapi-schemas.ts'
import type { Json } from './openapi-schemas.ts'

const escape = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')

/** Escaped text with `code` set apart. */
const prose = (text: string): string => escape(text).replaceAll(/`([^`]+)`/g, '<code>$1</code>')
const code = (text: string): string => `<code>${escape(text)}</code>`
const slug = (text: string): string => text.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')

interface Operation {
  readonly method: string
  readonly path: string
  readonly spec: Json
}

const METHODS = ['get', 'post', 'put', 'delete']

const operationsOf = ({ paths }: OpenApiDocument): Operation[] =>
  Object.entries(paths).flatMap(([path, item]) =>
    METHODS.flatMap((method) => (item[method] ? [{ method, path, spec: item[method] as Json }] : [])),
  )

/** The part of the document a `$ref` points to, or the value itself. */
const resolve = (document: OpenApiDocument, value: Json): Json =>
  typeof value['$ref'] === 'string'
    ? (value['$ref']
        .split('/')
        .slice(1)
        .reduce((at: unknown, key) => (at as Json)[key], document as unknown) as Json)
    : value

/** A type in a few words: `string ≤ 255`, `one of …`, `list of uuid`. */
function typeOf(schema: Json): string {
  if (Array.isArray(schema['anyOf'])) return (schema['anyOf'] as Json[]).map(typeOf).join(' or ')
  if (schema['enum']) return (schema['enum'] as unknown[]).map((one) => code(String(one))).join(' ')
  if (schema['type'] === 'array') return `list of ${typeOf((schema['items'] as Json | undefined) ?? {})}`
  if (schema['properties'])
    return `{ ${Object.keys(schema['properties'] as Json)
      .map(code)
      .join(', ')} }`
  const range =
    'minimum' in schema ? ` ${Number(schema['minimum'])}…${'maximum' in schema ? Number(schema['maximum']) : ''}` : ''
  const longest = 'maxLength' in schema ? ` ≤ ${Number(schema['maxLength'])}` : ''
  return escape(String(schema['format'] ?? schema['type'] ?? 'any')) + range + longest
}

/** What the answers of these operations hold is of one resource. */
function attributeTable(document: OpenApiDocument, operations: readonly Operation[]): string {
  const answers = JSON.stringify(operations.map(({ spec }) => spec['responses']))
  const name = /"#\/components\/schemas\/(\w+?)(?:List|CreateAnswer|Answer)"/.exec(answers)?.[1]
  if (!name) return ''
  const { schemas } = document.components
  const properties = (schema: string): Json => (schemas[schema]?.['properties'] as Json | undefined) ?? {}
  const [shown, create, update] = [properties(name), properties(`${name}Create`), properties(`${name}Update`)]
  const required = (schemas[`${name}Create`]?.['required'] as string[] | undefined) ?? []
  const names = [...new Set([...Object.keys(shown), ...Object.keys(create), ...Object.keys(update)])]
  const rows = names.map((one) => {
    const schema = (create[one] ?? update[one] ?? shown[one]) as Json
    const preset = 'default' in schema ? code(JSON.stringify(schema['default'])) : ''
    const set = [
      one in create ? (required.includes(one) ? 'create (required)' : 'create') : '',
      one in update ? 'update' : '',
    ].filter(Boolean)
    return `<tr><td>${code(one)}</td><td>${typeOf(schema)}</td><td>${set.join(', ') || '–'}</td><td>${preset}</td><td>${prose(String(schema['description'] ?? ''))}</td></tr>`
  })
  return `<div class="wide"><table><thead><tr><th>Attribute</th><th>Type</th><th>Set at</th><th>Default</th><th></th></tr></thead><tbody>${rows.join('')}</tbody></table></div>`
}

function parameterTable(document: OpenApiDocument, spec: Json): string {
  const given = ((spec['parameters'] as Json[] | undefined) ?? []).map((one) => resolve(document, one))
  if (given.length === 0) return ''
  const rows = given.map((one) => {
    const { name, schema, description = '' } = one as { name: string; schema: Json; description?: string }
    return `<tr><td>${code(name)}</td><td>${escape(String(one['in']))}</td><td>${typeOf(schema)}</td><td>${prose(description)}</td></tr>`
  })
  return `<details><summary>${given.length} parameters</summary><div class="wide"><table><tbody>${rows.join('')}</tbody></table></div></details>`
}

function operationSection(document: OpenApiDocument, { method, path, spec }: Operation): string {
  const responses = Object.entries(spec['responses'] as Record<string, Json>).map(([status, one]) => {
    const words = String(resolve(document, one)['description'])
    const link = '$ref' in one ? `<a href="#error-${status}">${status}</a>` : status
    return `<li>${link} ${prose(words)}</li>`
  })
  const body = spec['description'] ? `<p>${prose(String(spec['description']))}</p>` : ''
  return `<section class="operation" id="${escape(String(spec['operationId']))}">
<h3><span class="method ${method}">${method.toUpperCase()}</span> <code>${escape(path)}</code></h3>
<p class="summary">${prose(String(spec['summary']))}</p>${body}${parameterTable(document, spec)}
<details><summary>Answers</summary><ul class="answers">${responses.join('')}</ul></details></section>`
}

function errorSections({ components }: OpenApiDocument): string {
  const rows = Object.entries(components.responses).map(([name, response]) => {
    const status = name.slice('Error'.length)
    const types = [...JSON.stringify(response).matchAll(/"enum":(\[[^\]]*\])/g)].flatMap(
      ([, list]) => JSON.parse(list ?? '[]') as string[],
    )
    return `<tr id="error-${status}"><td>${status}</td><td>${prose(String(response['description']))}</td><td>${types.map(code).join(' ')}</td></tr>`
  })
  return `<section id="errors"><h2>Errors</h2><p>Every refusal is <code>{"NeutronError": {"type", "message", "detail"}}</code>, with <code>facts</code> for programs where there is more to say; a 401 has the form of Keystone's middleware.</p>
<div class="wide"><table><thead><tr><th>Status</th><th>Meaning</th><th>Types</th></tr></thead><tbody>${rows.join('')}</tbody></table></div></section>`
}

export function documentPage(document: OpenApiDocument): string {
  const all = operationsOf(document)
  const of = (tag: string): Operation[] => all.filter(({ spec }) => (spec['tags'] as string[]).includes(tag))
  const contents = document.tags.map(
    ({ name }) =>
      `<li><a href="#${slug(name)}">${escape(name)}</a><ul>${of(name)
        .map(
          ({ method, path, spec }) =>
            `<li><a href="#${escape(String(spec['operationId']))}"><span class="verb">${method}</span> ${escape(path.replace('/v2.0', ''))}</a></li>`,
        )
        .join('')}</ul></li>`,
  )
  const sections = document.tags.map(
    ({ name, description }) => `<section id="${slug(name)}"><h2>${escape(name)}</h2><p>${prose(description)}</p>
${attributeTable(document, of(name))}
${of(name)
  .map((one) => operationSection(document, one))
  .join('\n')}</section>`,
  )
  const { title, summary } = document.info as { title: string; summary: string }
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)}</title><style>${pageStyle}</style></head>
<body><nav aria-label="Contents"><a class="home" href="#top">Deuteron</a><ul>${contents.join('')}<li><a href="#errors">Errors</a></li></ul></nav>
<main id="top"><h1>${escape(title)}</h1><p class="lead">${escape(summary)} For programs: <a href="openapi.json">openapi.json</a>.</p>
${sections.join('\n')}
${errorSections(document)}</main></body></html>
`
}
