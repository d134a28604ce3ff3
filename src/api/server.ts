/**
 * The HTTP server: routes made from the model, authentication in front of them, errors in OpenStack's form behind.
 * Holds no state; any number of them may serve one database.
 */
import { randomUUID } from 'node:crypto'
import type { Core } from '#core/operation.ts'
import type { Identity } from '#identity/identity.ts'
import { ApiError } from '#kernel/errors.ts'
import type { Logger } from '#kernel/log.ts'
import { duration, gauge, type Registry } from '#kernel/metrics.ts'
import { type FastifyInstance, type FastifyRequest, fastify } from 'fastify'
import { acceptJson } from './body.ts'
import { discoveryRoutes } from './discovery.ts'
import { type Enrolments, enrolmentRoutes } from './enrolments.ts'
import { createErrorHandler } from './errors.ts'
import { isHost } from './links.ts'
import { openapiRoutes } from './openapi.ts'
import { quotaRoutes } from './quotas.ts'
import { type ReadRealizations, realizationRoute } from './realizations.ts'
import { refuseConnection } from './refusals.ts'
import { resourceRoutes } from './resources.ts'
import { spelling } from './spelling.ts'
import { watchRoute } from './watch.ts'

export interface ApiOptions {
  readonly core: Core
  readonly identity: Identity
  /** Resolves when the change log may have grown. */
  readonly hint: () => Promise<void>
  readonly metrics: Registry
  /** The text of `/metrics`; this process's own by default. */
  readonly figures?: () => Promise<string>
  readonly log: Logger
  readonly maxBodySize: number
  /** Seconds in which a request has to be received. */
  readonly requestTimeout: number
  readonly maxLimit: number
  readonly enrolments: Enrolments
  readonly readRealizations: ReadRealizations
}

export function createApi(options: ApiOptions): FastifyInstance {
  const { core, identity, log } = options
  const spelled = spelling(core.model)
  const handleError = createErrorHandler(log, identity.authenticateUri)
  const app = fastify({
    ...timeouts(options.requestTimeout * 1000),
    rewriteUrl: ({ url }) => spelled(url ?? '/'),
    bodyLimit: options.maxBodySize,
    genReqId: () => `req-${randomUUID()}`,
    routerOptions: { ignoreTrailingSlash: false, maxParamLength: 512 },
    forceCloseConnections: true,
    exposeHeadRoutes: false,
    clientErrorHandler: refuseConnection,
    frameworkErrors: handleError,
  })
  const routes = routesOf(app)
  app.setErrorHandler(handleError)
  app.decorateRequest('caller')
  acceptJson(app)
  const timing = duration(options.metrics, 'http_request', 'Time to answer an API request', [
    'method',
    'route',
    'status',
  ])
  app.addHook('onRequest', async (request, reply) => {
    void reply.header('x-openstack-request-id', request.id)
    if (!isHost(request.host) || hasTwoHosts(request))
      throw new ApiError('HTTPBadRequest', { reason: 'Invalid Host header' })
    if (!needsCaller(request)) return
    const { method, url: path, headers } = request
    request.caller = await identity.authenticate(headers, { method, path })
  })
  app.addHook('onResponse', async (request, reply) => {
    timing.observe(
      { method: request.method, route: request.routeOptions.url ?? 'none', status: reply.statusCode },
      reply.elapsedTime / 1000,
    )
  })
  healthRoutes(app, options)
  identityRoutes(app, identity)
  discoveryRoutes(app, core.model)
  openapiRoutes(app, core.model)
  quotaRoutes(app, core)
  watchRoute(app, core, { hint: options.hint, log })
  enrolmentRoutes(app, core.policy, options.enrolments)
  realizationRoute(app, core.policy, options.readRealizations)
  resourceRoutes(app, core, { maxLimit: options.maxLimit })
  refuseTheRest(app, routes)
  return app
}

/** The router decodes a path before it finds its route: how the path is written says too little. */
const needsCaller = ({ url, routeOptions }: FastifyRequest): boolean =>
  url.startsWith('/v2.0') || routeOptions.url?.startsWith('/v2.0') === true

/** Of two Host headers Node takes the first, something in front of us perhaps the other (RFC 9112 §3.2). */
function hasTwoHosts({ raw: { rawHeaders } }: FastifyRequest): boolean {
  let hosts = 0
  for (let at = 0; at < rawHeaders.length; at += 2) if (rawHeaders[at]?.toLowerCase() === 'host') hosts++
  return hosts > 1
}

/** A request that is not complete in time is answered 408; Node looks for such ones at intervals. */
const timeouts = (requestTimeout: number) => ({
  requestTimeout,
  http: {
    headersTimeout: Math.min(requestTimeout, 60_000),
    connectionsCheckingInterval: Math.min(requestTimeout / 4, 15_000),
  },
})

function healthRoutes(app: FastifyInstance, options: ApiOptions): void {
  const { core, metrics, log, figures = () => metrics.metrics() } = options
  app.get('/healthz', async (_, reply) => {
    try {
      await core.database.query('select 1')
      return { status: 'ok' }
    } catch (error) {
      log.warn({ error: (error as Error).message }, 'not healthy')
      return reply.code(503).send({ status: 'unavailable', reason: (error as Error).message })
    }
  })
  const pool = gauge(metrics, 'database_connections', 'Connections to PostgreSQL', ['state'], () => {
    const { totalCount, idleCount, waitingCount } = core.database.pool
    pool.set({ state: 'busy' }, totalCount - idleCount)
    pool.set({ state: 'idle' }, idleCount)
    pool.set({ state: 'waiting' }, waitingCount)
  })
  app.get('/metrics', async (_, reply) => reply.type(metrics.contentType).send(await figures()))
}

function identityRoutes(app: FastifyInstance, { routes }: Identity): void {
  if (!routes) return
  for (const url of [routes.prefix, `${routes.prefix}/*`]) {
    app.all(url, async (request, reply) => {
      const { method, url: path, headers, body, ip: remoteAddress } = request
      const answer = await routes.handle({ method, path, headers, body, remoteAddress })
      return reply.code(answer.status).headers(answer.headers).send(answer.body)
    })
  }
}

/** A path that exists under another verb is 405, one that does not is 404. `routes`: url patterns by method. */
function refuseTheRest(app: FastifyInstance, routes: readonly Route[]): void {
  const patterns = routes.map(({ method, url }) => ({
    method,
    pattern: new RegExp(`^${url.replaceAll(/[.*]/g, '\\$&').replaceAll(/:\w+/g, '[^/]+')}$`),
  }))
  app.setNotFoundHandler((request) => {
    const [url = '/'] = request.url.split('?')
    const elsewhere = patterns.some(({ method, pattern }) => method !== request.method && pattern.test(url))
    throw elsewhere ? new ApiError('HTTPMethodNotAllowed', { method: request.method }) : new ApiError('HTTPNotFound')
  })
}

interface Route {
  readonly method: string
  readonly url: string
}

/** What is registered from now on. */
function routesOf(app: FastifyInstance): readonly Route[] {
  const routes: Route[] = []
  app.addHook('onRoute', ({ method, url }) => {
    for (const one of [method].flat()) routes.push({ method: one, url })
  })
  return routes
}
