/** What a default rule is, and the check strings that most of them are made of. */
import type { Scope } from '../values.ts'

export interface Operation {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** Below /v2.0. */
  readonly path: string
}

export interface RuleDefault {
  readonly name: string
  /** Names of earlier releases; a policy file may still use them. */
  readonly formerNames?: readonly string[]
  /** Present default: OpenStack's secure RBAC (personas admin, member, reader within a project). */
  readonly check: string
  /** Former default, where it said something else; in force beside the present one until it is switched off. */
  readonly formerly?: string
  /**
   * Holds besides, whatever the text is, the policy file's included: whose objects a caller may see at all. Neutron's
   * database layer draws this line beneath its policy, so that `rule:regular_user` never shows what is another project's.
   */
  readonly within?: string
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

/** Former texts. */
export const ANYONE = 'rule:regular_user'
export const ADMIN_OR_OWNER = 'rule:admin_or_owner'

/** The line around objects of a project; `or …` makes it wider where objects are shared. */
export const OWN = 'rule:sees_every_project or rule:owner'

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

/** Draws the line of a rule that shows objects. */
export const confine = (rule: RuleDefault, within: string = OWN): RuleDefault => ({ ...rule, within })

/** The operations of a collection with the usual five: `get` is list and show. `id`: the last parameter's name. */
export const crud = (
  collection: string,
  id = 'id',
): {
  readonly create: Operation[]
  readonly get: Operation[]
  readonly update: Operation[]
  readonly remove: Operation[]
} => ({
  create: [{ method: 'POST', path: collection }],
  get: [
    { method: 'GET', path: collection },
    { method: 'GET', path: `${collection}/{${id}}` },
  ],
  update: [{ method: 'PUT', path: `${collection}/{${id}}` }],
  remove: [{ method: 'DELETE', path: `${collection}/{${id}}` }],
})

/** Operations beside the usual five. */
export const put = (path: string): Operation[] => [{ method: 'PUT', path }]
export const post = (path: string): Operation[] => [{ method: 'POST', path }]
export const read = (...paths: readonly string[]): Operation[] => paths.map((path) => ({ method: 'GET', path }))
export const remove = (path: string): Operation[] => [{ method: 'DELETE', path }]

/** The four rules of what administrators alone run; `noun` with its article: `a segment`. */
export const administered = (
  name: string,
  noun: string,
  { create, get, update, remove }: ReturnType<typeof crud>,
): readonly RuleDefault[] => [
  action(`create_${name}`, create, `Create ${noun}.`, ADMIN),
  action(`get_${name}`, get, `See ${noun}.`, ADMIN),
  action(`update_${name}`, update, `Change ${noun}.`, ADMIN),
  action(`delete_${name}`, remove, `Delete ${noun}.`, ADMIN),
]

/** The four rules of what a project makes, changes and sees for itself. */
export const owned = (
  name: string,
  noun: string,
  { create, get, update, remove }: ReturnType<typeof crud>,
): readonly RuleDefault[] => [
  action(`create_${name}`, create, `Create ${noun}.`, ADMIN_OR_MEMBER, ANYONE),
  confine(action(`get_${name}`, get, `See ${noun}.`, ADMIN_OR_READER, ADMIN_OR_OWNER)),
  action(`update_${name}`, update, `Change ${noun}.`, ADMIN_OR_MEMBER, ADMIN_OR_OWNER),
  action(`delete_${name}`, remove, `Delete ${noun}.`, ADMIN_OR_MEMBER, ADMIN_OR_OWNER),
]

/** The four rules of what belongs to another object; that one's owner counts as its own. */
export const belonging = (
  name: string,
  noun: string,
  { create, get, update, remove }: ReturnType<typeof crud>,
): readonly RuleDefault[] => {
  const change = `${ADMIN_OR_MEMBER} or rule:ext_parent_owner`
  const formerly = 'rule:admin_or_ext_parent_owner'
  return [
    action(`create_${name}`, create, `Create ${noun}.`, change, formerly),
    confine(
      action(`get_${name}`, get, `See ${noun}.`, `${ADMIN_OR_READER} or rule:ext_parent_owner`, formerly),
      `${OWN} or rule:ext_parent_owner`,
    ),
    action(`update_${name}`, update, `Change ${noun}.`, change, formerly),
    action(`delete_${name}`, remove, `Delete ${noun}.`, change, formerly),
  ]
}
