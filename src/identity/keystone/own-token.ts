/**
 * The token with which this server asks Keystone about others: got with a password or an application credential, shared
 * by all requests, and got anew some time before it ends or when Keystone does not take it any more.
 */
import { expiryOf } from './token.ts'
import { KeystoneFault, type Transport } from './transport.ts'

const REFUSALS: readonly number[] = [401, 403, 404]
const REFUSED = "it refuses this server's own credential: see the keystone_… settings"

export type Credential =
  | {
      readonly kind: 'password'
      readonly username: string
      readonly password: string
      readonly userDomainName: string
      readonly projectName: string
      readonly projectDomainName: string
    }
  | { readonly kind: 'application credential'; readonly id: string; readonly secret: string }

export interface OwnToken {
  /** @throws KeystoneFault */
  get(signal: AbortSignal): Promise<string>
  /** Forgets `token`, unless it was replaced already. */
  drop(token: string): void
}

/** Renewed so long before its end, but not before three quarters of its life are over. */
const AHEAD_MS = 60_000

/** A credential that was refused is not tried again so long: Keystone locks users out who try too often. */
const REFUSED_MS = 5000

/** `clock`: milliseconds since 1970. */
export function createOwnToken(transport: Transport, credential: Credential, clock: () => number): OwnToken {
  let current: { readonly id: string; readonly renewAt: number } | null = null
  let flight: Promise<string> | null = null
  let refusal: { readonly fault: KeystoneFault; readonly until: number } | null = null
  const issue = async (signal: AbortSignal): Promise<string> => {
    const asked = clock()
    const answer = await transport({ method: 'POST', path: '/auth/tokens?nocatalog', body: authOf(credential) }, signal)
    if (REFUSALS.includes(answer.status)) {
      refusal = { fault: new KeystoneFault(REFUSED, false), until: clock() + REFUSED_MS }
      throw refusal.fault
    }
    const { id, expires } = issued(answer)
    refusal = null
    current = { id, renewAt: expires - Math.min(AHEAD_MS, (expires - asked) / 4) }
    return id
  }
  return {
    get: async (signal) => {
      if (current && clock() < current.renewAt) return current.id
      if (refusal && clock() < refusal.until) throw refusal.fault
      flight ??= issue(signal).finally(() => {
        flight = null
      })
      return flight
    },
    drop: (token) => {
      if (current?.id === token) current = null
    },
  }
}

function issued({ status, subjectToken, body }: Awaited<ReturnType<Transport>>): { id: string; expires: number } {
  if (status === 201 && subjectToken !== null) return { id: subjectToken, expires: expiryOf(body).getTime() }
  throw new KeystoneFault(`it answered ${status} when this server asked for a token of its own`, status >= 429)
}

/** The body of POST /v3/auth/tokens. */
function authOf(credential: Credential): unknown {
  if (credential.kind === 'application credential') {
    const { id, secret } = credential
    return { auth: { identity: { methods: ['application_credential'], application_credential: { id, secret } } } }
  }
  const { username, password, userDomainName, projectName, projectDomainName } = credential
  const user = { name: username, domain: { name: userDomainName }, password }
  return {
    auth: {
      identity: { methods: ['password'], password: { user } },
      scope: { project: { name: projectName, domain: { name: projectDomainName } } },
    },
  }
}
