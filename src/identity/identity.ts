/**
 * Who calls: the contract between the API and the ways of finding out. A way that also answers requests of its own
 * (tokens, projects) offers them as routes, free of any HTTP framework.
 */
import type { Caller } from '#kernel/caller.ts'

/** Names in lower case, as Node gives them. */
export type Headers = Readonly<Record<string, string | readonly string[] | undefined>>

export interface Identity {
  /**
   * The caller behind a request's X-Auth-Token (and X-Service-Token). Without `target`, a token that allows some requests
   * only allows none.
   * @throws ApiError 'Unauthorized' when a token is missing, malformed, expired, revoked, of someone disabled, or not for
   * this request; 'IdentityUnavailable' when nobody can tell
   */
  authenticate(headers: Headers, target?: RequestTarget): Promise<Caller>
  /** Where clients get a token, told to those without; by default /identity of this server. */
  readonly authenticateUri?: string
  readonly routes?: IdentityRoutes
}

/** What a request asks for. */
export interface RequestTarget {
  readonly method: string
  /** As in the request line; a query does not matter. */
  readonly path: string
}

export interface IdentityRoutes {
  /** Every path below it is theirs, itself included. */
  readonly prefix: string
  handle(request: IdentityRequest): Promise<IdentityResponse>
}

export interface IdentityRequest {
  readonly method: string
  /** With the query, as in the request line. */
  readonly path: string
  readonly headers: Headers
  /** Parsed JSON; undefined without a body. */
  readonly body?: unknown
  /** The client's address, for slowing down whoever guesses passwords. */
  readonly remoteAddress?: string
}

export interface IdentityResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** To be sent as JSON; undefined when there is none. */
  readonly body?: unknown
}

/** The first value of a header, or null. */
export const header = (headers: Headers, name: string): string | null => {
  const value = headers[name]
  return (typeof value === 'string' ? value : value?.[0]) || null
}
