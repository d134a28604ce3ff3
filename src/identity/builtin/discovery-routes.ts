/** What there is: versions of the service, the one domain, services and their endpoints. */
import { type DirectoryContext, type Handler, routesOf, sessionFor } from './access.ts'
import { DOMAIN } from './directory.ts'
import { notFound, ok, type Route } from './http.ts'
import * as render from './render.ts'

export const discoveryRoutes = (context: DirectoryContext): Route[] =>
  routesOf(context, [
    ['GET', '', versions],
    ['GET', '/v3', version],
    ['GET', '/v3/domains', domains],
    ['GET', '/v3/domains/{domain}', domain],
    ['GET', '/v3/services', services],
    ['GET', '/v3/endpoints', endpoints],
  ])

/** No token is needed to learn where to get one. */
const versions: Handler = (_, { base }) => ({ ...ok({ versions: { values: [render.version(base)] } }), status: 300 })
const version: Handler = (_, { base }) => ok({ version: render.version(base) })

const domains: Handler = (context, call) => {
  sessionFor(context, call)
  const name = call.query.get('name')
  const fits = name === null || name.toLowerCase() === DOMAIN.name.toLowerCase()
  return ok(render.list(call.base, 'domains', 'domains', fits ? [render.domain(call.base)] : []))
}

const domain: Handler = (context, call) => {
  sessionFor(context, call)
  const { domain: id = '' } = call.params
  if (id !== DOMAIN.id) throw notFound('domain', id)
  return ok({ domain: render.domain(call.base) })
}

const services: Handler = (context, call) => {
  sessionFor(context, call)
  const all = render.catalog(call.base).map(({ id, type, name }) => ({ id, type, name, enabled: true }))
  return ok(render.list(call.base, 'services', 'services', all))
}

const endpoints: Handler = (context, call) => {
  sessionFor(context, call)
  const all = render
    .catalog(call.base)
    .flatMap(({ id, endpoints }) => endpoints.map((one) => ({ ...one, service_id: id, enabled: true })))
  return ok(render.list(call.base, 'endpoints', 'endpoints', all))
}
