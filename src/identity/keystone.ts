/**
 * Identity by a Keystone of its own (Identity API v3): every token is validated there and remembered for a while, the
 * way OpenStack's services do it, so that what they accept is accepted here.
 */
import type { Caller } from '#kernel/caller.ts'
import { ApiError } from '#kernel/errors.ts'
import type { Logger } from '#kernel/log.ts'
import { duration, type Registry } from '#kernel/metrics.ts'
import { type Headers, header, type Identity, type RequestTarget } from './identity.ts'
import { allows } from './keystone/access-rules.ts'
import { createOwnToken, type Credential } from './keystone/own-token.ts'
import type { KeystoneToken } from './keystone/token.ts'
import { createTokenCache } from './keystone/token-cache.ts'
import { createTransport, KeystoneFault, type TransportOptions } from './keystone/transport.ts'
import { createValidate } from './keystone/validate.ts'

export interface KeystoneOptions extends TransportOptions {
  /** Where clients are told to get a token; null: `authUrl`. */
  readonly authenticateUri: string | null
  readonly credential: Credential
  /** Seconds for which a token is not asked about again; a revoked one is accepted at most so long. */
  readonly tokenCacheTime: number
  /** Seconds a request waits for Keystone, attempts included. */
  readonly timeout: number
  readonly retries: number
  /** Any of these roles makes a service token one that lets expired tokens pass. */
  readonly serviceTokenRoles: readonly string[]
  /** Refuse service tokens without such a role. */
  readonly serviceTokenRolesRequired: boolean
  /** What this service is called in access rules. */
  readonly serviceType: string
  readonly log: Logger
  readonly metrics?: Registry
  /** Milliseconds since 1970. */
  readonly clock?: () => number
}

/** A role given back, or a key that reaches Keystone's other servers late, makes a refused token good after all. */
const REFUSED_SECONDS = 10
const CACHED_TOKENS = 10_000
/** Longer or stranger ones are not asked about. */
const TOKEN = /^[\x21-\x7e]{1,8192}$/

/** @throws Error when the authority's file cannot be read */
export function createKeystone(options: KeystoneOptions): Identity {
  const { clock = Date.now, timeout, retries, tokenCacheTime } = options
  const transport = createTransport(options)
  const own = createOwnToken(transport, options.credential, clock)
  const validate = createValidate({ transport, own, timeoutMs: timeout * 1000, retries })
  const cached = createTokenCache<KeystoneToken>({
    ttlMs: tokenCacheTime * 1000,
    refusedTtlMs: Math.min(tokenCacheTime, REFUSED_SECONDS) * 1000,
    limit: CACHED_TOKENS,
    clock,
  })
  const witness = createWitness(options)
  const find: Find = async (token, allowExpired) => {
    if (!TOKEN.test(token)) throw new ApiError('Unauthorized')
    const name = allowExpired ? 'even if expired' : ''
    const found = await cached(token, name, () => witness(validate(token, allowExpired)))
    if (!found || (!allowExpired && found.caller.expiresAt.getTime() <= clock())) throw new ApiError('Unauthorized')
    return found
  }
  return {
    authenticateUri: options.authenticateUri ?? options.authUrl,
    authenticate: (headers, target) => authenticate(find, options, headers, target),
  }
}

/** @throws ApiError 'Unauthorized' or 'IdentityUnavailable' */
type Find = (token: string, allowExpired: boolean) => Promise<KeystoneToken>

/** A service token that is not good spoils the request, as in Keystone's middleware. */
async function authenticate(
  find: Find,
  options: KeystoneOptions,
  headers: Headers,
  target: RequestTarget | undefined,
): Promise<Caller> {
  const userToken = header(headers, 'x-auth-token')?.trim()
  const serviceToken = header(headers, 'x-service-token')?.trim()
  if (!userToken) throw new ApiError('Unauthorized')
  const service = serviceToken ? await find(serviceToken, false) : null
  const trusted = service !== null && hasAny(service.caller.roles, options.serviceTokenRoles)
  if (service && !trusted && options.serviceTokenRolesRequired) throw new ApiError('Unauthorized')
  const user = await find(userToken, trusted)
  // A service that passes a user's request on makes other requests than the user did; any token may come as a service's.
  const held = user.accessRules !== null && !trusted
  if (held && !(target && allows(user.accessRules, options.serviceType, target))) throw new ApiError('Unauthorized')
  return { ...user.caller, serviceRoles: service?.caller.roles ?? [] }
}

const hasAny = (roles: readonly string[], wanted: readonly string[]): boolean =>
  wanted.some((role) => roles.includes(role.toLowerCase()))

/**
 * Turns faults into the answer clients get, counts what Keystone said and how long it took, and says in the log when
 * Keystone goes and when it is back: once each.
 */
function createWitness({ authUrl, log, metrics }: KeystoneOptions) {
  const timing =
    metrics && duration(metrics, 'keystone_validation', 'Time until Keystone vouched for a token', ['answer'])
  let down = false
  return async (asked: Promise<KeystoneToken | null>): Promise<KeystoneToken | null> => {
    const began = performance.now()
    const done = (answer: 'good' | 'refused' | 'unavailable'): void =>
      timing?.observe({ answer }, (performance.now() - began) / 1000)
    try {
      const token = await asked
      done(token ? 'good' : 'refused')
      if (down) log.info({ keystone: authUrl }, 'Keystone answers again')
      down = false
      return token
    } catch (error) {
      if (!(error instanceof KeystoneFault)) throw error
      done('unavailable')
      if (!down) log.error({ keystone: authUrl, reason: error.message }, 'Keystone cannot validate tokens')
      down = true
      throw new ApiError('IdentityUnavailable', { reason: error.message })
    }
  }
}
