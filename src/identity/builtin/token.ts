/**
 * Tokens that carry what they say and a signature, so that any worker can check one without asking another:
 * `dt1.<claims>.<signature>`, both parts base64url; the signature is HMAC-SHA256 over all before it. A token holds no
 * roles: those are looked up at each use, so that a role taken away is gone at once.
 */
import { createHmac, createSecretKey, hash, type KeyObject, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Scope } from './directory.ts'

export interface Claims {
  readonly user: string
  /** Null: unscoped. */
  readonly scope: Scope | null
  readonly methods: readonly string[]
  /** Milliseconds since 1970. */
  readonly issued: number
  readonly expires: number
  /** Own audit id, then that of the token this one was made from. */
  readonly audit: readonly string[]
}

const PREFIX = 'dt1'

export const newAuditId = (): string => randomBytes(16).toString('base64url')

export function sign(claims: Claims, key: string): string {
  const text = `${PREFIX}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`
  return `${text}.${mac(text, secretOf(key)).toString('base64url')}`
}

/** The claims of a token that was signed, or null. Says nothing about expiry or revocation. */
export type Verifier = (token: string) => Claims | null

/** Tokens whose claims a verifier remembers; a process hears from few callers at a time. */
const REMEMBERED = 1000

/**
 * Verifies what was signed with `key`. Good tokens are remembered, the latest ones, by their hash: how long the search
 * takes tells nothing of them. Others are worked out each time, and push none out.
 */
export function createVerifier(key: string): Verifier {
  const secret = secretOf(key)
  const known = new Map<string, Claims>()
  return (token) => {
    const name = hash('sha256', token, 'base64')
    const claims = known.get(name) ?? verify(token, secret)
    if (!claims) return null
    // The one that was used last stands last.
    known.delete(name)
    known.set(name, claims)
    const [oldest] = known.size > REMEMBERED ? known.keys() : []
    if (oldest !== undefined) known.delete(oldest)
    return claims
  }
}

function verify(token: string, secret: KeyObject): Claims | null {
  const [prefix, claims, signature, ...rest] = token.split('.')
  if (prefix !== PREFIX || !claims || !signature || rest.length > 0) return null
  const given = Buffer.from(signature, 'base64url')
  const right = mac(`${prefix}.${claims}`, secret)
  if (given.length !== right.length || !timingSafeEqual(given, right)) return null
  return JSON.parse(Buffer.from(claims, 'base64url').toString()) as Claims
}

const secretOf = (key: string): KeyObject => createSecretKey(Buffer.from(key, 'base64'))

const mac = (text: string, secret: KeyObject): Buffer =>
  createHmac('sha256', secret).update(`deuteron token ${text}`).digest()
