/**
 * What a check compares: the caller's credentials, the target's attributes, and when two of them are the same.
 * Values compare as oslo.policy compares them, by their Python text: true is `True`, null is `None`, 5 is `5`.
 */
import type { Caller } from '#kernel/caller.ts'

/** The object a rule is asked about: its attributes, its parents' as `network:project_id`. */
export type Target = Readonly<Record<string, unknown>>
export type Scalar = string | number | boolean | null
export type Facts = Readonly<Record<string, Scalar | readonly string[]>>

export const textOf = (value: unknown): string => {
  if (value === true) return 'True'
  if (value === false) return 'False'
  if (value === null) return 'None'
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

/** The value that a text stands for when it meets a typed column; `textOf` brings the text back. */
export const valueOf = (text: string): Scalar => {
  if (text === 'True') return true
  if (text === 'False') return false
  return text === 'None' ? null : text
}

/** An attribute the target lacks equals nothing. */
export const same = (value: unknown, other: Scalar): boolean => value !== undefined && textOf(value) === textOf(other)

/** The old name of a project lives on in rules; targets and answers know one name only. */
export const canonical = (name: string): string => name.replace(/(^|:)tenant_id$/, '$1project_id')

/**
 * Undefined when the target has no such attribute. Sharing belongs to networks: a subnet or a port without a
 * `shared` of its own has its network's (`network:shared`).
 */
export const lookup = (target: Target, attribute: string): unknown => {
  if (Object.hasOwn(target, attribute)) return target[attribute]
  return attribute === 'shared' && Object.hasOwn(target, 'network:shared') ? target['network:shared'] : undefined
}

/** The names a check may have on its left, `is_admin` apart, which the rule `context_is_admin` decides. */
export const credentialsOf = (caller: Caller): Facts => ({
  user_id: caller.userId,
  user: caller.userId,
  user_name: caller.userName,
  project_id: caller.projectId,
  tenant: caller.projectId,
  project_name: caller.projectName,
  tenant_name: caller.projectName,
  domain_id: caller.domainId,
  domain: caller.domainId,
  system_scope: caller.systemScope,
  is_admin_project: true,
  roles: caller.roles.map((role) => role.toLowerCase()),
  service_roles: caller.serviceRoles.map((role) => role.toLowerCase()),
})

const NOBODY: Caller = {
  userId: '',
  userName: '',
  projectId: null,
  projectName: null,
  domainId: null,
  systemScope: null,
  roles: [],
  serviceRoles: [],
  expiresAt: new Date(0),
}

export const CREDENTIALS: readonly string[] = Object.keys(credentialsOf(NOBODY))

/** The text of a literal on the left of a check, or null when it names a credential. */
export const literalText = (left: string): string | null => {
  if (left === 'True' || left === 'False' || left === 'None') return left
  if (/^-?\d+(\.\d+)?$/.test(left)) return left
  const quote = left.charAt(0)
  return (quote === "'" || quote === '"') && left.length > 1 && left.endsWith(quote) ? left.slice(1, -1) : null
}

/** The value of a `field:` check; `true` in any case means the boolean. */
export const fieldValue = (text: string): Scalar =>
  /^(true|false)$/i.test(text) ? text.toLowerCase() === 'true' : valueOf(text)

export type Scope = 'project' | 'domain' | 'system'

/** A token without any scope counts as a project's, as in oslo.policy. */
export const scopeOf = (caller: Caller): Scope => {
  if (caller.systemScope) return 'system'
  return caller.domainId && !caller.projectId ? 'domain' : 'project'
}
