/** The operations that no resource declares: versions, extensions, quotas, the change stream, health. */
import { answer, errors } from './openapi-paths.ts'
import type { Json } from './openapi-schemas.ts'

const object = (properties: Record<string, Json>): Json => ({
  type: 'object',
  properties,
  required: Object.keys(properties),
})
const listOf = (items: Json): Json => ({ type: 'array', items })
const text: Json = { type: 'string' }
const links: Json = { $ref: '#/components/schemas/Links' }
const inPath = (name: string, description: string): Json => ({
  name,
  in: 'path',
  required: true,
  description,
  schema: text,
})

/** A GET operation under a heading, with its answer and the errors it can give besides the usual ones. */
const get = (tag: string, operationId: string, summary: string, response: Json, ...statuses: number[]): Json => ({
  get: { tags: [tag], operationId, summary, responses: { 200: response, ...errors(...statuses) } },
})

/** The same without a token. */
const openly = (tag: string, operationId: string, summary: string, response: Json, others: Json = {}): Json => ({
  get: { tags: [tag], security: [], operationId, summary, responses: { 200: response, ...others } },
})

function discovery(): Record<string, Json> {
  const tag = 'Discovery'
  const extension = object({ alias: text, name: text, description: text, updated: text, links })
  const versions = answer('All of them.', object({ versions: listOf(object({ id: text, status: text, links })) }))
  const collections = answer(
    'Those below this path.',
    object({ resources: listOf(object({ name: text, collection: text, links })) }),
  )
  const known = answer('All of them.', object({ extensions: listOf(extension) }))
  const page = { description: 'A page.', content: { 'text/html': { schema: text } } }
  return {
    '/': openly(tag, 'list_versions', 'List the versions of the API', versions),
    '/versions': openly(tag, 'list_versions_again', 'List the versions of the API', versions),
    '/v2.0': get(tag, 'list_collections', 'List the collections', collections),
    '/v2.0/': get(tag, 'list_collections_again', 'List the collections', collections),
    '/v2.0/extensions': get(tag, 'list_extensions', 'List the extensions of the API', known),
    '/v2.0/extensions/{alias}': {
      parameters: [inPath('alias', 'Its short name.')],
      ...get(tag, 'show_extension', 'Show an extension', answer('It is there.', object({ extension })), 404),
    },
    '/v2.0/openapi.json': get(tag, 'show_openapi', 'This document', answer('OpenAPI 3.1.', { type: 'object' })),
    '/v2.0/docs': get(tag, 'show_docs', 'This document, to be read', page),
  }
}

/** `kinds`: of the limited objects. */
function quotas(kinds: readonly string[]): Record<string, Json> {
  const tag = 'Quotas'
  const each = (schema: Json): Json => ({
    type: 'object',
    properties: Object.fromEntries(kinds.map((kind) => [kind, schema])),
  })
  const limit: Json = { type: 'integer', minimum: -1, description: '-1 is no limit.' }
  const usage = object({ limit, used: { type: 'integer' }, reserved: { type: 'integer' } })
  const body = object({ quota: each(limit) })
  const one = answer('The limits.', body)
  const details = answer('The limits, and what is used of them.', object({ quota: each(usage) }))
  const owned = { allOf: [each(limit), object({ project_id: text, tenant_id: text })] }
  const mine = (name: string) => answer('Its id.', object({ [name]: object({ [`${name}_id`]: text }) }))
  const path = '/v2.0/quotas'
  const parameters = [inPath('project', 'Id of the project.')]
  const list = answer('Their limits.', object({ quotas: listOf(owned) }))
  return {
    [path]: get(tag, 'list_quotas', 'List projects with limits of their own', list, 403),
    [`${path}/tenant`]: get(tag, 'show_quota_tenant', "The caller's project", mine('tenant')),
    [`${path}/project`]: get(tag, 'show_quota_project', "The caller's project", mine('project')),
    [`${path}/{project}`]: {
      parameters,
      ...get(tag, 'show_quota', 'Show the limits of a project', one, 403),
      put: {
        tags: [tag],
        operationId: 'update_quota',
        summary: 'Set limits of a project',
        requestBody: { required: true, content: { 'application/json': { schema: body } } },
        responses: { 200: one, ...errors(400, 403, 413) },
      },
      delete: {
        tags: [tag],
        operationId: 'delete_quota',
        summary: 'Return a project to the default limits',
        responses: { 204: { description: 'They hold again.' }, ...errors(403) },
      },
    },
    [`${path}/{project}/default`]: {
      parameters,
      ...get(tag, 'show_quota_default', 'Show the default limits', one, 403),
    },
    ...Object.fromEntries(
      ['details', 'details.json'].map((name) => [
        `${path}/{project}/${name}`,
        {
          parameters,
          ...get(tag, `show_quota_${name.replace('.', '_')}`, 'Show limits and what is used', details, 403),
        },
      ]),
    ),
  }
}

const watch = (kinds: readonly string[]): Record<string, Json> => ({
  '/v2.0/watch': {
    get: {
      tags: ['Changes'],
      operationId: 'watch',
      summary: 'Follow every change as it happens',
      description: `Server-sent events \`create\`, \`update\` and \`delete\`, each with its position as id, its author, and the
object before and after as far as the caller may see it. \`start\` tells the first position, \`end\` why the stream ends.
Resumed behind a position it misses nothing and repeats nothing.`,
      parameters: [
        { name: 'since', in: 'query', description: 'Begin behind this position; default: now.', schema: text },
        { name: 'Last-Event-ID', in: 'header', description: 'The same, as browsers send it.', schema: text },
        {
          name: 'kind',
          in: 'query',
          description: 'Only changes of these.',
          style: 'form',
          explode: true,
          schema: listOf({ type: 'string', enum: kinds }),
        },
      ],
      responses: {
        200: { description: 'A stream that ends with the token.', content: { 'text/event-stream': { schema: text } } },
        ...errors(400),
      },
    },
  },
})

/** Credentials of hosts' agents; see enrolments.ts. */
function enrolments(): Record<string, Json> {
  const tag = 'Agents'
  const path = '/v2.0/agents/enrolments'
  const instant: Json = { type: ['string', 'null'], format: 'date-time' }
  const id: Json = { type: 'string', format: 'uuid' }
  const known = object({ id, host: text, created_at: instant, revoked_at: instant, used_at: instant })
  const stored = answer('Every credential, without its secret.', object({ enrolments: listOf(known) }))
  const made = object({ enrolment: object({ id, host: text, secret: text }) })
  const wish = object({ enrolment: object({ host: { type: 'string', maxLength: 255 } }) })
  return {
    [path]: {
      ...get(tag, 'list_enrolments', "List the credentials of hosts' agents", stored, 403),
      post: {
        tags: [tag],
        operationId: 'create_enrolment',
        summary: 'Let the agent of a host connect',
        requestBody: { required: true, content: { 'application/json': { schema: wish } } },
        responses: { 201: answer('Its credential; the secret is shown this once.', made), ...errors(400, 403, 413) },
      },
    },
    [`${path}/{host}`]: {
      parameters: [inPath('host', 'Name of the host.')],
      delete: {
        tags: [tag],
        operationId: 'delete_enrolment',
        summary: 'Revoke the credentials of a host',
        responses: { 204: { description: 'Its agent cannot connect any more.' }, ...errors(403, 404) },
      },
    },
  }
}

/** What hosts have really in place; see realizations.ts. */
function realizations(): Record<string, Json> {
  const flag: Json = { type: 'boolean' }
  const at: Json = { type: 'string', format: 'date-time' }
  const generation: Json = { type: 'integer' }
  const message: Json = { type: ['string', 'null'] }
  const one = object({ host: text, kind: text, id: text, generation, state: text, message, repaired: flag, at })
  const found = answer('The newest report per host and object, newest first.', object({ realizations: listOf(one) }))
  const query = (name: string, schema: Json): Json => ({ name, in: 'query', schema })
  return {
    '/v2.0/realizations': {
      parameters: [
        ...['host', 'kind', 'id', 'state'].map((name) => query(name, listOf(text))),
        query('repaired', flag),
        query('limit', { type: 'integer', minimum: 1 }),
      ],
      ...get('Agents', 'list_realizations', 'List what hosts have really in place', found, 400, 403),
    },
  }
}

function health(): Record<string, Json> {
  const tag = 'Health'
  const well = answer('It is.', object({ status: { const: 'ok' } }))
  const ill = answer('It is not.', object({ status: { const: 'unavailable' }, reason: text }))
  const figures = { description: 'In its text format.', content: { 'text/plain': { schema: text } } }
  return {
    '/healthz': openly(tag, 'show_health', 'Is the database within reach?', well, { 503: ill }),
    '/metrics': openly(tag, 'show_metrics', 'Figures for Prometheus', figures),
  }
}

export const otherPaths = (kinds: readonly string[], limited: readonly string[]): Record<string, Json> => ({
  ...discovery(),
  ...quotas(limited),
  ...watch(kinds),
  ...enrolments(),
  ...realizations(),
  ...health(),
})
