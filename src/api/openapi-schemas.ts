/** What bodies look like, as JSON Schema: objects as shown, as created, as changed; pages, plans and errors. */
import { catalogue, type ErrorType } from '#kernel/errors.ts'
import type { Attribute, JsonSchema } from '#model/attribute.ts'
import type { ComposedResource } from '#model/compose.ts'

export type Json = Readonly<Record<string, unknown>>

export interface OpenApiDocument {
  readonly openapi: string
  readonly info: Json
  readonly tags: readonly { readonly name: string; readonly description: string }[]
  readonly security: readonly Json[]
  readonly paths: Readonly<Record<string, Json>>
  readonly components: {
    readonly schemas: Readonly<Record<string, Json>>
    readonly responses: Readonly<Record<string, Json>>
    readonly parameters: Readonly<Record<string, Json>>
    readonly securitySchemes: Json
  }
}

export const ref = (kind: 'schemas' | 'responses' | 'parameters', name: string): Json => ({
  $ref: `#/components/${kind}/${name}`,
})

/** `security_group_rule` → `SecurityGroupRule`. */
export const pascal = (name: string): string =>
  name.replaceAll(/(^|_)([a-z])/g, (_, __, letter: string) => letter.toUpperCase())

export const visibleOf = (resource: ComposedResource): [string, Attribute][] =>
  Object.entries(resource.attributes).filter(([, attribute]) => attribute.visible)

/** Attributes a client may give in this operation. */
export const settableOf = (resource: ComposedResource, op: 'create' | 'update'): [string, Attribute][] =>
  Object.entries(resource.attributes).filter(([, { set }]) => set === 'always' || set === op)

/** `project_id` under its other name as well. */
const withTwin = (properties: Record<string, JsonSchema>): Record<string, JsonSchema> =>
  properties['project_id']
    ? { ...properties, tenant_id: { ...properties['project_id'], description: 'Another name of `project_id`.' } }
    : properties

/** What there is to know about giving an attribute a value, in words. */
function wordsOf(resource: ComposedResource, name: string, attribute: Attribute, op: 'create' | 'update'): string {
  const words: string[] = []
  if (op === 'create' && !attribute.required && attribute.default === undefined)
    words.push('Chosen by the system when left out.')
  if (attribute.policy)
    words.push(`Subject to the policy rule \`${op}_${resource.policyName}:${name}\`, if there is one.`)
  return words.join(' ')
}

function shownSchema(resource: ComposedResource): JsonSchema {
  const properties = Object.fromEntries(
    visibleOf(resource).map(([name, { schema, policy }]) => [
      name,
      policy
        ? { ...schema, description: `Shown where the policy rule \`get_${resource.policyName}:${name}\` allows it.` }
        : schema,
    ]),
  )
  return { type: 'object', description: resource.docs, properties: withTwin(properties) }
}

function givenSchema(resource: ComposedResource, op: 'create' | 'update'): JsonSchema {
  const properties = Object.fromEntries(
    settableOf(resource, op).map(([name, attribute]) => {
      const description = wordsOf(resource, name, attribute, op)
      const preset = op === 'create' && attribute.default !== undefined ? { default: attribute.default } : {}
      return [name, { ...attribute.schema, ...preset, ...(description && { description }) }]
    }),
  )
  const required =
    op === 'create' ? settableOf(resource, op).flatMap(([name, one]) => (one.required ? [name] : [])) : []
  return {
    type: 'object',
    properties: withTwin(properties),
    ...(required.length > 0 && { required }),
    additionalProperties: false,
  }
}

/** What an action's body may have. */
export function actionBody(attributes: Readonly<Record<string, Attribute>>): Json {
  const given = Object.entries(attributes)
  const required = given.flatMap(([name, one]) => (one.required ? [name] : []))
  return {
    type: 'object',
    properties: Object.fromEntries(given.map(([name, { schema }]) => [name, schema])),
    ...(required.length > 0 && { required }),
    additionalProperties: false,
  }
}

const wrapped = (name: string, schema: Json, more: Record<string, Json> = {}): JsonSchema => ({
  type: 'object',
  properties: { [name]: schema, ...more },
  required: [name],
})

/** Every body of a resource: as shown, in its envelope, in a list, and as given. */
function resourceSchemas(resource: ComposedResource): Record<string, JsonSchema> {
  const { name, singular, plural } = resource
  const base = pascal(name)
  const shown = ref('schemas', base)
  const can = (operation: ComposedResource['operations'][number]): boolean => resource.operations.includes(operation)
  const schemas: Record<string, JsonSchema> = {}
  if (resource.operations.length > 0) schemas[base] = shownSchema(resource)
  if (can('show') || can('update')) schemas[`${base}Answer`] = wrapped(singular, shown)
  if (can('list')) {
    const links = { [`${plural}_links`]: ref('schemas', 'Links') }
    schemas[`${base}List`] = wrapped(plural, { type: 'array', items: shown }, links)
  }
  if (can('create')) {
    const given = ref('schemas', `${base}Create`)
    schemas[`${base}Create`] = givenSchema(resource, 'create')
    schemas[`${base}CreateBody`] = {
      oneOf: [
        { title: 'One', ...wrapped(singular, given) },
        { title: 'Several, all or none', ...wrapped(plural, { type: 'array', items: given, minItems: 1 }) },
      ],
    }
    schemas[`${base}CreateAnswer`] = {
      oneOf: [wrapped(singular, shown), wrapped(plural, { type: 'array', items: shown })],
    }
  }
  if (can('update')) {
    schemas[`${base}Update`] = givenSchema(resource, 'update')
    schemas[`${base}UpdateBody`] = wrapped(singular, ref('schemas', `${base}Update`))
  }
  return schemas
}

const link: JsonSchema = {
  type: 'object',
  properties: { rel: { type: 'string' }, href: { type: 'string', format: 'uri' } },
  required: ['rel', 'href'],
}

const common: Record<string, JsonSchema> = {
  Links: { type: 'array', description: 'The pages before and after this one.', items: link },
  Plan: {
    type: 'object',
    description: 'What a write with `dry_run` would do: the object as it would be answered, and every change.',
    properties: {
      dry_run: {
        type: 'object',
        properties: {
          changes: {
            type: 'array',
            items: {
              type: 'object',
              properties: {
                op: { type: 'string', enum: ['create', 'update', 'delete'] },
                resource: { type: 'string' },
                id: { type: 'string', format: 'uuid' },
              },
              required: ['op', 'resource', 'id'],
            },
          },
        },
        required: ['changes'],
      },
    },
    required: ['dry_run'],
  },
  Unauthorized: wrapped('error', {
    type: 'object',
    properties: { code: { const: 401 }, title: { type: 'string' }, message: { type: 'string' } },
    required: ['code', 'title', 'message'],
  }),
}

/** The catalogue's types by status. */
export function typesByStatus(): ReadonlyMap<number, readonly ErrorType[]> {
  const found = new Map<number, ErrorType[]>()
  for (const [type, { status }] of Object.entries(catalogue) as [ErrorType, { status: number }][])
    found.set(status, [...(found.get(status) ?? []), type])
  return found
}

const errorSchema = (types: readonly ErrorType[]): JsonSchema =>
  wrapped('NeutronError', {
    type: 'object',
    properties: {
      type: { type: 'string', enum: types },
      message: { type: 'string' },
      detail: { type: 'string', description: 'Nearly always empty; clients append it to the message.' },
      facts: {
        type: 'object',
        description: 'A machine-readable `reason` and what is behind it, where there is more to say.',
      },
    },
    required: ['type', 'message', 'detail'],
  })

const STATUS_WORDS: Readonly<Record<number, string>> = {
  400: 'The request is wrong.',
  401: 'No token, or one that does not hold.',
  403: 'Policy forbids it.',
  404: 'It is not there, or not for this caller.',
  405: 'The path has no such method.',
  409: 'It conflicts with what is there, or with a quota.',
  412: 'The object has another revision than `If-Match` says.',
  413: 'The body is too long.',
  422: 'The Idempotency-Key was used with another request.',
  500: 'A fault of the server.',
  501: 'Not implemented.',
  503: 'The database or a pool is unavailable or used up; try again.',
}

/** `Error409` and its like, one a status of the catalogue. */
export function errorResponses(): Record<string, Json> {
  return Object.fromEntries(
    [...typesByStatus()].map(([status, types]) => [
      `Error${status}`,
      {
        description: STATUS_WORDS[status] ?? 'Refused.',
        content: {
          'application/json': { schema: status === 401 ? ref('schemas', 'Unauthorized') : errorSchema(types) },
        },
      },
    ]),
  )
}

export const schemasOf = (resources: Iterable<ComposedResource>): Record<string, JsonSchema> =>
  Object.assign({}, ...[...resources].map(resourceSchemas), common)
