/**
 * What the built-in identity knows: users, projects, roles, who has which role where. Plain data with the questions
 * asked of it; how it is kept is the state file's matter.
 */

export interface User {
  readonly id: string
  name: string
  description: string
  email: string | null
  enabled: boolean
  default_project_id: string | null
  /** A scrypt hash, see password.ts. */
  password: string
  /** Tokens issued before this instant (ms) are void: the password changed. */
  tokens_from: number
}

export interface Project {
  readonly id: string
  name: string
  description: string
  enabled: boolean
}

export interface Role {
  readonly id: string
  readonly name: string
}

export interface Assignment {
  readonly user: string
  /** A project, or the whole system. */
  readonly on: { readonly project: string } | { readonly system: 'all' }
  /** The role's id. */
  readonly role: string
}

export interface Directory {
  readonly version: 1
  /** Signs tokens; 32 bytes in base64. */
  readonly key: string
  users: User[]
  projects: Project[]
  readonly roles: Role[]
  assignments: Assignment[]
  /** Tokens taken back before their time, by audit id, with the time (ms) at which they end anyway. */
  revoked: { readonly id: string; readonly until: number }[]
  /** Passwords drawn at the first start, kept until changed so that openrc can be written again. */
  initial: { admin?: string; demo?: string }
}

/** There is one domain; OpenStack's clients want to name it. */
export const DOMAIN = Object.freeze({ id: 'default', name: 'Default' })

export const ROLES = ['admin', 'manager', 'member', 'reader', 'service'] as const

/** Whoever has the first has the second (Keystone's default implications). */
const IMPLIED: Readonly<Record<string, string>> = { admin: 'manager', manager: 'member', member: 'reader' }

/** The roles with all they imply, each once. */
export function withImplied(names: readonly string[]): string[] {
  const all = new Set<string>()
  for (let name of names) {
    while (!all.has(name)) {
      all.add(name)
      name = IMPLIED[name] ?? name
    }
  }
  return [...all]
}

export type Scope = Assignment['on']

export const sameScope = (a: Scope, b: Scope): boolean =>
  'project' in a ? 'project' in b && a.project === b.project : 'system' in b

/** Roles of a user on a project or the system, implied ones included. */
export function rolesOn(directory: Directory, user: string, scope: Scope): Role[] {
  const given = directory.assignments
    .filter((one) => one.user === user && sameScope(one.on, scope))
    .flatMap((one) => directory.roles.find((role) => role.id === one.role)?.name ?? [])
  const names = withImplied(given)
  return directory.roles.filter((role) => names.includes(role.name))
}

/** Enabled projects on which the user has a role. */
export const projectsOf = (directory: Directory, user: string): Project[] =>
  directory.projects.filter(
    (project) =>
      project.enabled &&
      directory.assignments.some((one) => one.user === user && sameScope(one.on, { project: project.id })),
  )
