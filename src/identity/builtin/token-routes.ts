/** All below /v3/auth: getting, checking and giving back tokens, and what one may do with them. */
import { header } from '../identity.ts'
import { type DirectoryContext, type Handler, routesOf, sessionFor } from './access.ts'
import { projectsOf, rolesOn } from './directory.ts'
import { type Call, created, forbidden, noContent, notFound, ok, type Route } from './http.ts'
import { type IssueContext, issue } from './issue.ts'
import * as render from './render.ts'
import { readsTokens, type Session, sessionOf } from './session.ts'
import { sign } from './token.ts'

export const tokenRoutes = (context: DirectoryContext & IssueContext): Route[] =>
  routesOf(context, [
    ['POST', '/v3/auth/tokens', post(context)],
    ['GET', '/v3/auth/tokens', show],
    ['DELETE', '/v3/auth/tokens', revoke],
    ['GET', '/v3/auth/catalog', catalog],
    ['GET', '/v3/auth/projects', projects],
    ['GET', '/v3/auth/domains', domains],
    ['GET', '/v3/auth/system', system],
  ])

const post =
  (issuing: IssueContext): Handler =>
  async ({ read }, call) => {
    const claims = await issue(call, issuing)
    const body = render.token(read(), claims, call.base, withCatalog(call))
    return { ...created(body), headers: tokenHeaders(sign(claims, read().key)) }
  }

const show: Handler = (context, call) => {
  const { session, token } = subject(context, call, 'identity:validate_token')
  const body = render.token(context.read(), session.claims, call.base, withCatalog(call))
  return { ...ok(body), headers: tokenHeaders(token) }
}

/** The token is void until it would have ended by itself; what was remembered of ended ones is dropped. */
const revoke: Handler = (context, call) => {
  const { claims } = subject(context, call, 'identity:revoke_token').session
  context.update((draft) => {
    const running = draft.revoked.filter(({ until }) => until > context.clock())
    draft.revoked = [...running, { id: claims.audit[0] ?? '', until: claims.expires }]
  })
  return noContent
}

/** The token that a request is about: one's own, or any for those who may look. */
function subject(context: DirectoryContext, call: Call, action: string): { session: Session; token: string } {
  const asking = sessionFor(context, call)
  const token = header(call.headers, 'x-subject-token') ?? ''
  const session = sessionOf(context.read(), token, context.clock())
  if (!session) throw notFound('token', 'it is not valid')
  if (session.user.id !== asking.user.id && !readsTokens(asking)) throw forbidden(action)
  return { session, token }
}

const tokenHeaders = (token: string) => ({ 'x-subject-token': token, vary: 'X-Auth-Token' })
const withCatalog = ({ query }: Call): boolean => !query.has('nocatalog')

const catalog: Handler = (context, call) => {
  if (!sessionFor(context, call).claims.scope) throw forbidden('identity:get_auth_catalog')
  return ok(render.list(call.base, 'catalog', 'auth/catalog', render.catalog(call.base)))
}

const projects: Handler = (context, call) => {
  const { user } = sessionFor(context, call)
  const mine = projectsOf(context.read(), user.id).map((one) => render.project(call.base, one))
  return ok(render.list(call.base, 'projects', 'auth/projects', mine))
}

/** No token is scoped to a domain here. */
const domains: Handler = (context, call) => {
  sessionFor(context, call)
  return ok(render.list(call.base, 'domains', 'auth/domains', []))
}

const system: Handler = (context, call) => {
  const roles = rolesOn(context.read(), sessionFor(context, call).user.id, { system: 'all' })
  return ok(render.list(call.base, 'system', 'auth/system', roles.length > 0 ? [{ all: true }] : []))
}
