/**
 * `GET /v2.0/openapi.json`: the whole API as OpenAPI 3.1, derived from the model; `GET /v2.0/docs`: the same to be read.
 * Sources: OpenAPI Specification 3.1.1, JSON Schema 2020-12.
 */
import { isLogged, type Model } from '#model/compose.ts'
import type { FastifyInstance } from 'fastify'
import { otherPaths } from './openapi-other.ts'
import { documentPage } from './openapi-page.ts'
import { headingOf, resourcePaths, sharedParameters } from './openapi-paths.ts'
import { errorResponses, schemasOf, type OpenApiDocument } from './openapi-schemas.ts'

const OTHER_TAGS = [
  { name: 'Quotas', description: 'How many objects of each kind a project may have.' },
  { name: 'Changes', description: 'Everything that is written, in order, for whoever may see it.' },
  { name: 'Discovery', description: 'What this API is and has.' },
  { name: 'Health', description: 'How the server does.' },
]

export function openApiDocument(model: Model): OpenApiDocument {
  const resources = [...model.resources.values()].filter(
    ({ operations, actions }) => operations.length > 0 || actions.length > 0,
  )
  const limited = resources.flatMap(({ quota }) => quota ?? [])
  return {
    openapi: '3.1.1',
    info: {
      title: 'Deuteron: Networking API v2.0',
      version: '2.0',
      summary: 'The OpenStack Networking API, with history, plans and idempotent writes.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    tags: [...resources.map((one) => ({ name: headingOf(one), description: one.docs })), ...OTHER_TAGS],
    security: [{ token: [] }],
    paths: {
      ...resourcePaths(model, resources),
      ...otherPaths(
        resources.filter(isLogged).map(({ name }) => name),
        [...new Set(limited)],
      ),
    },
    components: {
      schemas: schemasOf(resources),
      responses: errorResponses(),
      parameters: sharedParameters,
      securitySchemes: {
        token: { type: 'apiKey', in: 'header', name: 'X-Auth-Token', description: 'A Keystone token.' },
      },
    },
  }
}

/** Both forms are made once, at start. */
export function openapiRoutes(app: FastifyInstance, model: Model): void {
  const document = openApiDocument(model)
  const [text, page] = [JSON.stringify(document), documentPage(document)]
  app.get('/v2.0/openapi.json', (_, reply) => reply.type('application/json').send(text))
  app.get('/v2.0/docs', (_, reply) => reply.type('text/html; charset=utf-8').send(page))
}
