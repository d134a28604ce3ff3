/**
 * Tokens that carry what they say and a signature, so that any worker can check one without asking another:
 * `dt1.<claims>.<signature>`, both parts base64url; the signature is HMAC-SHA256 over all before it. A token holds no
 * roles: those are looked up at each use, so that a role taken away is gone at once.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
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
  return `${text}.${mac(text, key).toString('base64url')}`
}

/** The claims of a token that was signed with `key`, or null. Says nothing about expiry or revocation. */
export function verify(token: string, key: string): Claims | null {
  const [prefix, claims, signature, ...rest] = token.split('.')
  if (prefix !== PREFIX || !claims || !signature || rest.length > 0) return null
  const given = Buffer.from(signature, 'base64url')
  const right = mac(`${prefix}.${claims}`, key)
  if (given.length !== right.length || !timingSafeEqual(given, right)) return null
  return JSON.parse(Buffer.from(claims, 'base64url').toString()) as Claims
}

const mac = (text: string, key: string): Buffer =>
  createHmac('sha256', Buffer.from(key, 'base64')).update(`deuteron token ${text}`).digest()
