/** What a default rule is, and the check strings that most of them are made of. */
import type { Scope } from '../values.ts'

export interface Operation {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** Below /v2.0. */
  readonly path: string
}

export interface RuleDefault {
  readonly name: string
  /** Present default: OpenStack's secure RBAC (personas admin, member, reader within a project). */
  readonly check: string
  /** Former default, where it said something else; in force beside the present one until it is switched off. */
  readonly formerly?: string
  readonly description: string
  readonly operations: readonly Operation[]
  /** Scopes of token the rule is made for; any when absent. */
  readonly scopes?: readonly Scope[]
}

export const ADMIN = 'rule:admin_only'
export const MEMBER = 'role:member and project_id:%(project_id)s'
export const READER = 'role:reader and project_id:%(project_id)s'
export const ADMIN_OR_MEMBER = `${ADMIN} or ${MEMBER}`
export const ADMIN_OR_READER = `${ADMIN} or ${READER}`

/** A rule that others refer to; no operation asks for it. */
export const helper = (name: string, check: string, description: string): RuleDefault => ({
  name,
  check,
  description,
  operations: [],
})

/** A rule that operations ask for. `formerly` defaults to the present text. */
export const action = (
  name: string,
  operations: readonly Operation[],
  description: string,
  check: string,
  formerly?: string,
): RuleDefault => ({
  name,
  check,
  ...(formerly === undefined ? {} : { formerly }),
  description,
  operations,
  scopes: ['project'],
})

/** The operations of a collection with the usual five: `get` is list and show. */
export const crud = (
  collection: string,
): {
  readonly create: Operation[]
  readonly get: Operation[]
  readonly update: Operation[]
  readonly remove: Operation[]
} => ({
  create: [{ method: 'POST', path: collection }],
  get: [
    { method: 'GET', path: collection },
    { method: 'GET', path: `${collection}/{id}` },
  ],
  update: [{ method: 'PUT', path: `${collection}/{id}` }],
  remove: [{ method: 'DELETE', path: `${collection}/{id}` }],
})
