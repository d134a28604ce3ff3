/**
 * What Keystone said about tokens, for a while. Keys are hashes: no token stands in memory longer than its request.
 * However many requests bring a token at once, Keystone is asked once.
 */
import { createHash } from 'node:crypto'

export interface TokenCacheOptions {
  /** How long a good token is not asked about again. */
  readonly ttlMs: number
  /** The same for one Keystone refused; shorter, for a role that is given back makes a token good again. */
  readonly refusedTtlMs: number
  /** Good tokens kept, and refused ones: whoever makes tokens up drives out no good one. The one unused longest goes. */
  readonly limit: number
  /** Milliseconds since 1970. */
  readonly clock: () => number
}

/** `name` tells apart what was asked about one token. A `load` that throws is not kept; all who wait for it get the error. */
export type TokenCache<V> = (token: string, name: string, load: () => Promise<V | null>) => Promise<V | null>

export function createTokenCache<V>({ ttlMs, refusedTtlMs, limit, clock }: TokenCacheOptions): TokenCache<V> {
  const good = recent<V>(limit, ttlMs, clock)
  const refused = recent<null>(limit, refusedTtlMs, clock)
  const flights = new Map<string, Promise<V | null>>()
  const keep = (key: string, found: V | null): V | null => {
    if (found === null) refused.set(key, null)
    else good.set(key, found)
    return found
  }
  const ask = (key: string, load: () => Promise<V | null>): Promise<V | null> => {
    const flight = load()
      .then((found) => keep(key, found))
      .finally(() => flights.delete(key))
    flights.set(key, flight)
    return flight
  }
  return async (token, name, load) => {
    const key = `${createHash('sha256').update(token).digest('base64')}${name}`
    const kept = good.get(key) ?? refused.get(key)
    return kept === undefined ? (flights.get(key) ?? ask(key, load)) : kept
  }
}

interface Recent<V> {
  get(key: string): V | undefined
  set(key: string, value: V): void
}

/** At most `limit` values, each for `ttlMs`; a Map's order is from the longest unused to the latest used. */
function recent<V>(limit: number, ttlMs: number, clock: () => number): Recent<V> {
  const kept = new Map<string, { readonly value: V; readonly until: number }>()
  const get = (key: string): V | undefined => {
    const entry = kept.get(key)
    if (!entry) return undefined
    kept.delete(key)
    if (entry.until <= clock()) return undefined
    kept.set(key, entry)
    return entry.value
  }
  const set = (key: string, value: V): void => {
    if (ttlMs <= 0) return
    kept.delete(key)
    kept.set(key, { value, until: clock() + ttlMs })
    const [oldest] = kept.keys()
    if (kept.size > limit && oldest !== undefined) kept.delete(oldest)
  }
  return { get, set }
}
