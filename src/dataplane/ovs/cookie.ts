/**
 * Flow cookies say whose a flow is and what it holds: owner 8 bits | pipeline version 8 | object 24 | content 24.
 *
 * A restarted agent needs nothing else to tell a wanted flow from a stale one: same table, priority, match and cookie
 * means same actions, made by the same pipeline for the same object.
 */
import { hash } from 'node:crypto'
import type { Rule } from './pipeline.ts'

/** Marks a flow as ours on any bridge. */
export const OWNER = 0xde

/** Rises whenever the meaning of a table or register changes; flows of two versions never mix in one frame's way. */
export const PIPELINE_VERSION = 2

export const OBJECT_BITS = 24

export interface Cookie {
  readonly owner: number
  readonly version: number
  readonly object: number
  readonly content: number
}

export const packCookie = ({ owner, version, object, content }: Cookie): bigint =>
  (BigInt(owner) << 56n) | (BigInt(version) << 48n) | (BigInt(object) << 24n) | BigInt(content)

export const unpackCookie = (cookie: bigint): Cookie => ({
  owner: Number((cookie >> 56n) & 0xffn),
  version: Number((cookie >> 48n) & 0xffn),
  object: Number((cookie >> 24n) & 0xffffffn),
  content: Number(cookie & 0xffffffn),
})

export const isOurs = (cookie: bigint): boolean => cookie >> 56n === BigInt(OWNER)

/** 24 bits of SHA-256 over the whole flow. */
export const contentOf = ({ table, priority, match, actions }: Rule): number =>
  Number.parseInt(hash('sha256', `${table} ${priority} ${match} ${actions}`, 'hex').slice(0, 6), 16)
