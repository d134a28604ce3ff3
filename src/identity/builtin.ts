/**
 * The built-in identity: as much of Keystone v3 as the stock `openstack` command and the API need, under /identity,
 * with its users, projects and signing key in one file that all processes of a server share.
 */
import type { Caller } from '#kernel/caller.ts'
import { ApiError } from '#kernel/errors.ts'
import type { Logger } from '#kernel/log.ts'
import type { Directory } from './builtin/directory.ts'
import { discoveryRoutes } from './builtin/discovery-routes.ts'
import { firstDirectory, isDirectory } from './builtin/first-start.ts'
import { type Call, errorResponse, IdentityError, match, type Route } from './builtin/http.ts'
import { projectRoutes } from './builtin/project-routes.ts'
import { roleRoutes } from './builtin/role-routes.ts'
import { type Session, sessionOf } from './builtin/session.ts'
import { openStateFile } from './builtin/state-file.ts'
import { createThrottle } from './builtin/throttle.ts'
import { tokenRoutes } from './builtin/token-routes.ts'
import { userRoutes } from './builtin/user-routes.ts'
import {
  type Headers,
  header,
  type Identity,
  type IdentityRequest,
  type IdentityResponse,
  type IdentityRoutes,
} from './identity.ts'

export interface BuiltinOptions {
  /** Made at the first start, mode 0600. */
  readonly file: string
  /** How clients reach the server, for catalog and links; null: as the request's Host header says. */
  readonly publicUrl: string | null
  readonly log: Logger
  /** Milliseconds since 1970. */
  readonly clock?: () => number
  /** 12 hours by default. */
  readonly tokenLifetimeMs?: number
}

export interface Builtin extends Identity {
  readonly routes: IdentityRoutes
  /** All of /identity; never throws, unless the identity file is lost. */
  handle(request: IdentityRequest): Promise<IdentityResponse>
  /** The passwords drawn at the first start; null once changed, for only a hash is kept then. */
  adminPassword(): string | null
  demoPassword(): string | null
}

const PREFIX = '/identity'
const HOURS_12 = 12 * 3600_000

/** @throws Error that says what to do when the file can neither be read nor made */
export function createBuiltin(options: BuiltinOptions): Builtin {
  const { file, log, publicUrl, clock = Date.now, tokenLifetimeMs = HOURS_12 } = options
  const { read, update } = openStateFile<Directory>(file, firstDirectory, isDirectory)
  const throttle = createThrottle(clock)
  const context = { read, update, clock, throttle, tokenLifetimeMs }
  const routes: readonly Route[] = [
    ...discoveryRoutes(context),
    ...tokenRoutes(context),
    ...projectRoutes(context),
    ...userRoutes(context, throttle),
    ...roleRoutes(context),
  ]
  const handle = (request: IdentityRequest): Promise<IdentityResponse> => answer(routes, request, publicUrl, log)
  return {
    routes: { prefix: PREFIX, handle },
    handle,
    authenticate: async (headers) => authenticate(read(), headers, clock()),
    adminPassword: () => read().initial.admin ?? null,
    demoPassword: () => read().initial.demo ?? null,
  }
}

async function answer(
  routes: readonly Route[],
  request: IdentityRequest,
  publicUrl: string | null,
  log: Logger,
): Promise<IdentityResponse> {
  const [path = '', query = ''] = request.path.split('?', 2)
  const segments = path.slice(PREFIX.length).replace(/\/+$/, '').split('/').map(decode)
  const remoteAddress = request.remoteAddress ?? ''
  try {
    const { route, params } = match(routes, request.method, segments)
    const call: Call = {
      params,
      query: new URLSearchParams(query),
      headers: request.headers,
      body: request.body,
      base: (publicUrl ?? baseOf(request.headers)).replace(/\/+$/, ''),
      remoteAddress,
    }
    const response = await route.answer(call)
    return request.method === 'HEAD' ? { status: response.status, headers: response.headers } : response
  } catch (error) {
    if (!(error instanceof IdentityError)) throw error
    const refused = error.status === 401 || error.status === 429
    if (refused) log.info({ method: request.method, path, remoteAddress, status: error.status }, 'identity: refused')
    return errorResponse(error)
  }
}

/** What cannot be decoded is left as it is, and found nowhere. */
const decode = (segment: string): string => {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}

const baseOf = (headers: Headers): string =>
  `${header(headers, 'x-forwarded-proto') ?? 'http'}://${header(headers, 'host') ?? 'localhost'}`

/** A service token that is not good spoils the request, as in Keystone's middleware. */
function authenticate(directory: Directory, headers: Headers, now: number): Caller {
  const session = (name: string): Session | null => {
    const token = header(headers, name)
    const found = token === null ? null : sessionOf(directory, token, now)
    if (token !== null && !found) throw new ApiError('Unauthorized')
    return found
  }
  const caller = session('x-auth-token')
  const service = session('x-service-token')
  if (!caller) throw new ApiError('Unauthorized')
  const { user, project, claims, roles } = caller
  return {
    userId: user.id,
    userName: user.name,
    projectId: project?.id ?? null,
    projectName: project?.name ?? null,
    domainId: null,
    systemScope: claims.scope && 'system' in claims.scope ? 'all' : null,
    roles: roles.map(({ name }) => name),
    serviceRoles: service?.roles.map(({ name }) => name) ?? [],
    expiresAt: new Date(claims.expires),
  }
}
