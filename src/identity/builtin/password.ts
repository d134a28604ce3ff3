/** Passwords: drawn at random, kept as scrypt hashes (RFC 7914) that carry their own parameters. */
import { randomBytes, type ScryptOptions, scrypt, scryptSync, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'

const COST_LOG2 = 14
const BLOCK = 8
const LENGTH = 32
const derive = promisify<string, Buffer, number, ScryptOptions, Buffer>(scrypt)

/** 24 characters, 143 bits. */
export const drawPassword = (): string => randomBytes(18).toString('base64url')

export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16)
  return format(salt, await derive(password, salt, LENGTH, { N: 2 ** COST_LOG2, r: BLOCK }))
}

export function hashPasswordSync(password: string): string {
  const salt = randomBytes(16)
  return format(salt, scryptSync(password, salt, LENGTH, { N: 2 ** COST_LOG2, r: BLOCK }))
}

const format = (salt: Buffer, hash: Buffer): string =>
  `scrypt$${COST_LOG2}$${BLOCK}$${salt.toString('base64')}$${hash.toString('base64')}`

/** `stored` null (no such user) takes as long as a wrong password and is never right. */
export async function verifyPassword(password: string, stored: string | null): Promise<boolean> {
  const [scheme, cost, block, salt, hash] = (stored ?? NOBODY).split('$')
  if (scheme !== 'scrypt' || !salt || !hash) return false
  const wanted = Buffer.from(hash, 'base64')
  const found = await derive(password, Buffer.from(salt, 'base64'), wanted.length, {
    N: 2 ** Number(cost),
    r: Number(block),
  })
  return timingSafeEqual(found, wanted) && stored !== null
}

const NOBODY = format(Buffer.alloc(16), Buffer.alloc(LENGTH))
