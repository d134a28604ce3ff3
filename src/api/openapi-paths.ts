/** The operations of the model's resources, as OpenAPI path items. */
import type { Attribute } from '#model/attribute.ts'
import type { ComposedResource, Model } from '#model/compose.ts'
import type { Action } from '#model/define.ts'
import { actionPath, collectionPath, objectPath } from '#model/paths.ts'
import { actionBody, type Json, pascal, ref, typesByStatus, visibleOf } from './openapi-schemas.ts'

export const json = (schema: Json): Json => ({ 'application/json': { schema } })
export const answer = (description: string, schema: Json): Json => ({ description, content: json(schema) })

/** References to the error responses with these statuses; those every request can get are added. */
export const errors = (...statuses: readonly number[]): Record<string, Json> => {
  const known = typesByStatus()
  return Object.fromEntries(
    [...new Set([...statuses, 401, 500, 503])]
      .filter((status) => known.has(status))
      .sort((a, b) => a - b)
      .map((status) => [String(status), ref('responses', `Error${status}`)]),
  )
}

const query = (name: string, description: string, schema: Json): Json => ({ name, in: 'query', description, schema })
const headerParameter = (name: string, description: string, schema: Json): Json => ({
  name,
  in: 'header',
  description,
  schema,
})

/** Parameters that mean the same everywhere. */
export const sharedParameters: Readonly<Record<string, Json>> = {
  Limit: query('limit', 'At most so many objects; the answer then has links to the pages around it.', {
    type: 'integer',
    minimum: 0,
  }),
  Marker: query('marker', 'Id of the last object of the page before.', { type: 'string', format: 'uuid' }),
  PageReverse: query('page_reverse', 'The page before the marker instead of the one after it.', {
    type: 'boolean',
    default: false,
  }),
  AsOf: query(
    'as_of',
    'An instant of the past (RFC 3339): the answer is what was there then, as far as the caller may see it today.',
    { type: 'string', format: 'date-time' },
  ),
  ChangedSince: query('changed_since', 'Only objects changed at or after this instant.', {
    type: 'string',
    format: 'date-time',
  }),
  DryRun: query('dry_run', 'Nothing is stored, counted or allocated; the answer (200) says what would be.', {
    type: 'boolean',
    default: false,
  }),
  IfMatch: headerParameter('If-Match', 'The write holds only for this revision: `revision_number=N`.', {
    type: 'string',
    pattern: '^revision_number=\\d+$',
  }),
  IdempotencyKey: headerParameter(
    'Idempotency-Key',
    'The same request with the same key of a project is carried out once and answered again as the first time, with the header `Idempotency-Replayed: true`.',
    { type: 'string', minLength: 1, maxLength: 255 },
  ),
}

const shared = (...names: readonly string[]): Json[] => names.map((name) => ref('parameters', name))

const several = (name: string, description: string, items: Json): Json => ({
  ...query(name, description, { type: 'array', items }),
  style: 'form',
  explode: true,
})

const TAG_FILTERS = [
  query('tags', 'Only objects with all of these tags, separated by commas.', { type: 'string' }),
  query('tags-any', 'Only objects with any of these tags.', { type: 'string' }),
  query('not-tags', 'Only objects without at least one of these tags.', { type: 'string' }),
  query('not-tags-any', 'Only objects with none of these tags.', { type: 'string' }),
]

/** A filter of every filterable attribute; repeated values are alternatives. */
function filters(resource: ComposedResource): Json[] {
  const filterable = Object.entries(resource.attributes).filter(([, { filter }]) => filter)
  return filterable.flatMap(([name, attribute]) => {
    if (name === 'fixed_ips') {
      const forms = '`ip_address=…`, `subnet_id=…` or `ip_address_substr=…`'
      return [
        several(name, `Addresses, as ${forms}: alternatives of one form, all forms on one address.`, {
          type: 'string',
        }),
      ]
    }
    const words = `Only objects whose \`${name}\` is one of these.`
    const own = several(name, words, itemOf(attribute))
    return name === 'project_id'
      ? [own, several('tenant_id', 'Another name of `project_id`.', itemOf(attribute))]
      : [own]
  })
}

/** One value of the attribute: an element of a list attribute. */
const itemOf = ({ schema }: Attribute): Json => (schema['type'] === 'array' ? (schema['items'] as Json) : schema)

function listParameters(resource: ComposedResource): Json[] {
  const sortable = Object.entries(resource.attributes).flatMap(([name, { sort }]) => (sort ? [name] : []))
  const keys = sortable.includes('project_id') ? [...sortable, 'tenant_id'] : sortable
  const order =
    keys.length === 0
      ? []
      : [
          several('sort_key', 'Sort by these, the first counting most.', { type: 'string', enum: keys }),
          several('sort_dir', 'The direction of each key.', { type: 'string', enum: ['asc', 'desc'] }),
        ]
  return [
    ...filters(resource),
    ...('tags' in resource.attributes ? TAG_FILTERS : []),
    fields(resource),
    ...order,
    ...shared(
      'Limit',
      'Marker',
      'PageReverse',
      'AsOf',
      ...('updated_at' in resource.attributes ? ['ChangedSince'] : []),
    ),
  ]
}

const fields = (resource: ComposedResource): Json =>
  several('fields', 'Only these attributes.', { type: 'string', enum: visibleOf(resource).map(([name]) => name) })

/** The heading a resource's operations stand under, and the plural in their names. */
export const headingOf = (resource: ComposedResource): string => words(pluralOf(resource))
const pluralOf = ({ name, singular, plural }: ComposedResource): string =>
  name === singular || name === plural ? plural : `${name.replace(/y$/, 'ie')}s`

/** `security_group_rules` → `Security group rules`. */
export const words = (name: string): string => {
  const text = name.replaceAll('_', ' ')
  return text.charAt(0).toUpperCase() + text.slice(1)
}

const article = (name: string): string => `${/^[aeiou]/.test(name) ? 'an' : 'a'} ${name.replaceAll('_', ' ')}`

const planned = answer('What would be done; only with `dry_run`.', ref('schemas', 'Plan'))

const UUID: Json = { type: 'string', format: 'uuid' }
const inPath = (name: string, schema: Json): Json => ({ name, in: 'path', required: true, schema })
const parametersOf = (parameters: readonly Json[]): Json => (parameters.length > 0 ? { parameters } : {})

/** The ids in the path of a collection, or of one of its objects. */
const pathParameters = ({ parent, key, attributes }: ComposedResource, member: boolean): Json[] => [
  ...(parent ? [inPath('parent_id', UUID)] : []),
  ...(member ? [inPath('id', key === 'id' ? UUID : { ...attributes[key]?.schema })] : []),
]

function collectionOperations(resource: ComposedResource): Json {
  const { name } = resource
  const plural = pluralOf(resource)
  const base = pascal(name)
  const about = { tags: [headingOf(resource)] }
  return {
    ...parametersOf(pathParameters(resource, false)),
    ...(resource.operations.includes('list') && {
      get: {
        ...about,
        operationId: `list_${plural}`,
        summary: `List ${plural.replaceAll('_', ' ')}`,
        parameters: listParameters(resource),
        responses: { 200: answer('Those the caller may see.', ref('schemas', `${base}List`)), ...errors(400, 404) },
      },
    }),
    ...(resource.operations.includes('create') && {
      post: {
        ...about,
        operationId: `create_${name}`,
        summary: `Create ${article(name)}, or several`,
        parameters: shared('DryRun', 'IdempotencyKey'),
        requestBody: { required: true, content: json(ref('schemas', `${base}CreateBody`)) },
        responses: {
          200: planned,
          201: answer('As stored.', ref('schemas', `${base}CreateAnswer`)),
          ...errors(400, 403, 404, 409, 413, 422),
        },
      },
    }),
  }
}

function objectOperations(resource: ComposedResource): Json {
  const { name } = resource
  const base = pascal(name)
  const about = { tags: [headingOf(resource)] }
  return {
    ...parametersOf(pathParameters(resource, true)),
    ...(resource.operations.includes('show') && {
      get: {
        ...about,
        operationId: `show_${name}`,
        summary: `Show ${article(name)}`,
        parameters: [fields(resource), ...shared('AsOf')],
        responses: { 200: answer('The object.', ref('schemas', `${base}Answer`)), ...errors(400, 404) },
      },
    }),
    ...(resource.operations.includes('update') && {
      put: {
        ...about,
        operationId: `update_${name}`,
        summary: `Change ${article(name)}`,
        parameters: shared('DryRun', 'IfMatch'),
        requestBody: { required: true, content: json(ref('schemas', `${base}UpdateBody`)) },
        responses: {
          200: answer('As stored; with `dry_run` also what would be done.', ref('schemas', `${base}Answer`)),
          ...errors(400, 403, 404, 409, 412, 413),
        },
      },
    }),
    ...(resource.operations.includes('delete') && {
      delete: {
        ...about,
        operationId: `delete_${name}`,
        summary: `Delete ${article(name)}`,
        parameters: shared('DryRun', 'IfMatch'),
        responses: { 200: planned, 204: { description: 'It is gone.' }, ...errors(400, 403, 404, 409, 412) },
      },
    }),
  }
}

/** An action's operation. Its answer is described in words: what it holds follows from no definition. */
function actionOperation(resource: ComposedResource, action: Action): Json {
  const { name, method, docs, body, envelope = null, status } = action
  const given = body && actionBody(body as Readonly<Record<string, Attribute>>)
  const done = status ?? 200
  const writes =
    method === 'GET'
      ? []
      : shared(
          'DryRun',
          ...(action.on === 'collection' ? [] : ['IfMatch']),
          ...(method === 'POST' ? ['IdempotencyKey'] : []),
        )
  return {
    tags: [headingOf(resource)],
    operationId: `${name}_${resource.name}`,
    summary: docs,
    ...parametersOf(writes),
    ...(given && {
      requestBody: {
        required: true,
        content: json(envelope === null ? given : { type: 'object', properties: { [envelope]: given } }),
      },
    }),
    responses: {
      [done]: { description: 'Done.', content: json({ type: 'object' }) },
      ...(method !== 'GET' && done !== 200 && { 200: planned }),
      204: { description: 'Done; there is nothing to say.' },
      ...errors(400, 403, 404, 409, ...(method === 'GET' ? [] : [412, 413]), ...(method === 'POST' ? [422] : [])),
    },
  }
}

const braced = (path: string): string => path.replaceAll(/:(\w+)/g, '{$1}')

function actionItems(model: Model, resource: ComposedResource): [string, Json][] {
  const byPath = Map.groupBy(resource.actions, (action) => actionPath(model, resource, action))
  return [...byPath].map(([path, actions]) => {
    const own = [...(actions[0]?.path ?? '').matchAll(/:(\w+)/g)].map(([, name = '']) =>
      inPath(name, { type: 'string' }),
    )
    const above = pathParameters(resource, actions[0]?.on !== 'collection')
    const operations = actions.map((action) => [action.method.toLowerCase(), actionOperation(resource, action)])
    return [braced(path), { ...parametersOf([...above, ...own]), ...Object.fromEntries(operations) }]
  })
}

/** Path → path item, for every resource and its actions. */
export function resourcePaths(model: Model, resources: readonly ComposedResource[]): Record<string, Json> {
  const paths: Record<string, Json> = {}
  for (const resource of resources) {
    const own: [string, Json][] = [
      [braced(collectionPath(model, resource)), collectionOperations(resource)],
      [braced(objectPath(model, resource)), objectOperations(resource)],
    ]
    const used = own.filter(([, item]) => Object.keys(item).some((key) => key !== 'parameters'))
    for (const [path, item] of [...used, ...actionItems(model, resource)]) paths[path] = { ...item, ...paths[path] }
  }
  return paths
}
