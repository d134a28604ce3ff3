/** Requests to the built-in identity: errors in Keystone's form, paths with holes, and bodies read with care. */
import type { Headers, IdentityResponse } from '../identity.ts'

const TITLES = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  409: 'Conflict',
  429: 'Too Many Requests',
} as const

/** An answer that is not a success; the message is for the client's eyes. */
export class IdentityError extends Error {
  readonly status: keyof typeof TITLES
  readonly headers: Readonly<Record<string, string>>

  constructor(status: keyof typeof TITLES, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message)
    this.name = 'IdentityError'
    this.status = status
    this.headers = headers
  }
}

export const unauthorized = (): IdentityError =>
  new IdentityError(401, 'The request you have made requires authentication.', { 'www-authenticate': 'Keystone' })
export const forbidden = (action: string): IdentityError =>
  new IdentityError(403, `You are not authorized to perform the requested action: ${action}.`)
export const notFound = (what: string, id: string): IdentityError =>
  new IdentityError(404, `Could not find ${what}: ${id}.`)
export const malformed = (problem: string): IdentityError => new IdentityError(400, problem)

export const errorResponse = (error: IdentityError): IdentityResponse => ({
  status: error.status,
  headers: error.headers,
  body: { error: { code: error.status, message: error.message, title: TITLES[error.status] } },
})

export const ok = (body: unknown): IdentityResponse => ({ status: 200, headers: {}, body })
export const created = (body: unknown): IdentityResponse => ({ status: 201, headers: {}, body })
export const noContent: IdentityResponse = Object.freeze({ status: 204, headers: {} })

/** A request that found its route. */
export interface Call {
  /** What stands in the holes of the path. */
  readonly params: Readonly<Record<string, string>>
  readonly query: URLSearchParams
  readonly headers: Headers
  readonly body: unknown
  /** Where clients reach this server, without a slash at the end. */
  readonly base: string
  readonly remoteAddress: string
}

export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Segments; `{name}` is a hole. */
  readonly path: string
  readonly answer: (call: Call) => IdentityResponse | Promise<IdentityResponse>
}

/** `segments`: the path below the prefix, decoded; the first is empty. HEAD is answered as GET. @throws IdentityError 404 for an unknown path, 405 for a known one */
export function match(
  routes: readonly Route[],
  method: string,
  segments: readonly string[],
): { route: Route; params: Call['params'] } {
  const fitting = routes.flatMap((route) => {
    const params = fill(route.path.split('/'), segments)
    return params ? [{ route, params }] : []
  })
  const found = fitting.find(({ route }) => route.method === (method === 'HEAD' ? 'GET' : method))
  if (found) return found
  if (fitting.length === 0) throw new IdentityError(404, 'The resource could not be found.')
  const allow = [...new Set(fitting.map(({ route }) => route.method))].join(', ')
  throw new IdentityError(405, `The method ${method} is not allowed for this resource.`, { allow })
}

function fill(pattern: readonly string[], segments: readonly string[]): Record<string, string> | null {
  if (pattern.length !== segments.length) return null
  const params: Record<string, string> = {}
  for (const [at, part] of pattern.entries()) {
    const segment = segments[at] ?? ''
    if (part.startsWith('{') && segment !== '') params[part.slice(1, -1)] = segment
    else if (part !== segment) return null
  }
  return params
}

type Json = Readonly<Record<string, unknown>>

/** The object at `path` (names with dots) of a body. @throws IdentityError 400 */
export function objectAt(body: unknown, path: string): Json {
  let at: unknown = body
  for (const name of path.split('.')) at = isObject(at) && Object.hasOwn(at, name) ? at[name] : undefined
  if (!isObject(at)) throw malformed(`Expecting to find ${path} in the request body.`)
  return at
}

export const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** A member of an object that must be text of 1 to `max` characters. @throws IdentityError 400 */
export function textIn(object: Json, name: string, max = 255): string {
  const value = object[name]
  if (typeof value !== 'string' || value === '' || value.length > max)
    throw malformed(`Invalid input for field '${name}': text of 1 to ${max} characters is expected.`)
  return value
}

/** Like `textIn`, but undefined when absent, and possibly empty. @throws IdentityError 400 */
export function optionalTextIn(object: Json, name: string, max = 255): string | undefined {
  const value = object[name]
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'string' || value.length > max)
    throw malformed(`Invalid input for field '${name}': text of at most ${max} characters is expected.`)
  return value
}

/** @throws IdentityError 400 */
export function optionalFlagIn(object: Json, name: string): boolean | undefined {
  const value = object[name]
  if (value === undefined) return undefined
  if (typeof value !== 'boolean') throw malformed(`Invalid input for field '${name}': true or false is expected.`)
  return value
}
