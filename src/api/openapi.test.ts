/** The document is whole, consistent and true: it names every route, resolves every reference, and fits real answers. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { catalogue } from '#kernel/errors.ts'
import { extensions } from '#extensions/index.ts'
import { compose } from '#model/compose.ts'
import { collectionPath } from '#model/paths.ts'
import { coreResources } from '#resources/index.ts'
import { documentPage } from './openapi-page.ts'
import { headingOf } from './openapi-paths.ts'
import { openApiDocument } from './openapi.ts'

type Node = Record<string, any>

const model = compose(coreResources, extensions)
const document = openApiDocument(model) as unknown as Node
const METHODS = ['get', 'post', 'put', 'delete']

const operations = Object.entries(document['paths'] as Record<string, Node>).flatMap(([path, item]) =>
  METHODS.flatMap((method) => (item[method] ? [{ path, method, item, spec: item[method] as Node }] : [])),
)

function* nodes(value: unknown, at = '#'): Generator<[string, Node]> {
  if (value === null || typeof value !== 'object') return
  yield [at, value as Node]
  for (const [key, one] of Object.entries(value)) yield* nodes(one, `${at}/${key.replaceAll('/', '~1')}`)
}

const pointed = (reference: string): unknown =>
  reference
    .slice(2)
    .split('/')
    .reduce((at: any, key) => at?.[key.replaceAll('~1', '/')], document)

describe('the document', () => {
  test('every reference leads somewhere, and every component is referred to', () => {
    const used = new Set<string>()
    for (const [at, node] of nodes(document)) {
      if (typeof node['$ref'] !== 'string') continue
      assert.ok(pointed(node['$ref']), `${at} refers to ${node['$ref']}`)
      used.add(node['$ref'])
    }
    const { schemas, parameters } = document['components']
    for (const [kind, all] of Object.entries({ schemas, parameters }))
      for (const name of Object.keys(all))
        assert.ok(used.has(`#/components/${kind}/${name}`), `${kind} ${name} is unused`)
  })
  test('each part has only the keys OpenAPI 3.1 knows', () => {
    const allowed = {
      operation: [
        'tags',
        'summary',
        'description',
        'operationId',
        'parameters',
        'requestBody',
        'responses',
        'security',
      ],
      item: ['parameters', ...METHODS],
      parameter: ['name', 'in', 'description', 'required', 'schema', 'style', 'explode', '$ref'],
      response: ['description', 'headers', 'content', '$ref'],
    }
    const only = (node: Node, keys: string[], at: string): void =>
      assert.deepEqual(
        Object.keys(node).filter((key) => !keys.includes(key)),
        [],
        at,
      )
    for (const { path, method, item, spec } of operations) {
      const at = `${method} ${path}`
      only(item, allowed.item, path)
      only(spec, allowed.operation, at)
      for (const one of [...(item['parameters'] ?? []), ...(spec['parameters'] ?? [])]) only(one, allowed.parameter, at)
      for (const [status, one] of Object.entries(spec['responses'] as Record<string, Node>)) {
        assert.match(status, /^[2-5]\d\d$/)
        only(one, allowed.response, `${at} ${status}`)
        assert.ok(one['$ref'] || one['description'], `${at} ${status} says nothing`)
      }
    }
  })
  test('operations have names of their own, and a heading that exists', () => {
    const names = operations.map(({ spec }) => spec['operationId'])
    assert.equal(new Set(names).size, names.length)
    const tags = document['tags'].map((one: Node) => one['name'])
    for (const { spec } of operations) for (const tag of spec['tags']) assert.ok(tags.includes(tag), tag)
    for (const tag of tags)
      assert.ok(
        operations.some(({ spec }) => spec['tags'].includes(tag)),
        tag,
      )
  })
  test('parameters of a path are declared, each name once', () => {
    for (const { path, item, spec } of operations) {
      const given = [...(item['parameters'] ?? []), ...(spec['parameters'] ?? [])].map((one: Node) =>
        one['$ref'] ? (pointed(one['$ref']) as Node) : one,
      )
      const inPath = given.filter((one) => one['in'] === 'path').map((one) => one['name'])
      assert.deepEqual(
        inPath,
        [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name),
        path,
      )
      const keys = given.map((one) => `${one['in']} ${one['name']}`)
      assert.equal(new Set(keys).size, keys.length, `${path}: ${keys.join(', ')}`)
    }
  })
  test('the errors are the catalogue’s', () => {
    const { responses } = document['components']
    const listed = Object.entries(responses as Record<string, Node>).flatMap(([name, one]) => {
      const types = one['content']['application/json'].schema.properties?.NeutronError?.properties.type.enum ?? [
        'Unauthorized',
      ]
      return types.map((type: string) => [type, Number(name.slice('Error'.length))])
    })
    assert.deepEqual(
      Object.fromEntries(listed.sort()),
      Object.fromEntries(Object.entries(catalogue).map(([type, { status }]) => [type, status])),
    )
  })
  test('filters, order and fields are what the model says', () => {
    for (const resource of model.resources.values()) {
      if (!resource.operations.includes('list')) continue
      const spec = document['paths'][collectionPath(model, resource).replace(':parent_id', '{parent_id}')].get as Node
      const names = spec['parameters'].flatMap((one: Node) => one['name'] ?? [])
      for (const [name, { filter }] of Object.entries(resource.attributes))
        assert.equal(names.includes(name), filter || name === 'tags', `${resource.name}.${name}`)
    }
  })
  test('hidden attributes are nowhere', () => {
    const text = JSON.stringify(document)
    for (const hidden of ['network:shared', 'network:project_id', 'security_group:project_id'])
      assert.ok(!text.includes(`"${hidden}"`), hidden)
  })
})

describe('the page', () => {
  const page = documentPage(openApiDocument(model))

  test('shows every operation, every resource’s attributes and every error', () => {
    for (const { spec } of operations) assert.ok(page.includes(`id="${spec['operationId']}"`), spec['operationId'])
    for (const resource of model.resources.values()) {
      if (resource.operations.length === 0) continue
      const [, section = ''] = page.split(`<h2>${headingOf(resource)}</h2>`)
      for (const [name, { visible }] of Object.entries(resource.attributes))
        if (visible) assert.ok(section.includes(`<tr><td><code>${name}</code></td>`), `${resource.name}.${name}`)
    }
    for (const type of Object.keys(catalogue))
      if (type !== 'Unauthorized') assert.ok(page.includes(`<code>${type}</code>`), type)
  })
  test('needs nothing from elsewhere, and its links lead somewhere', () => {
    assert.doesNotMatch(page, /<(script|link|img|iframe)|https?:\/\/|@import|url\(/)
    const ids = new Set([...page.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id))
    for (const [, target] of page.matchAll(/href="#([^"]+)"/g)) assert.ok(ids.has(target), target)
  })
  test('every element that is opened is closed', () => {
    const open: string[] = []
    for (const [, slash, name = ''] of page.matchAll(/<(\/?)([a-z][a-z0-9]*)[^>]*>/g)) {
      if (name === 'meta') continue
      if (slash) assert.equal(open.pop(), name)
      else open.push(name)
    }
    assert.deepEqual(open, [])
  })
})
