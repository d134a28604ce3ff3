/** Who a token speaks for, right now: its claims against the directory as it stands. */
import { type Headers, header } from '../identity.ts'
import { type Directory, type Project, type Role, rolesOn, type User } from './directory.ts'
import { forbidden, unauthorized } from './http.ts'
import { type Claims, createVerifier, type Verifier } from './token.ts'

export interface Session {
  readonly claims: Claims
  readonly user: User
  /** Null without project scope. */
  readonly project: Project | null
  /** Implied ones included; empty for an unscoped token. */
  readonly roles: readonly Role[]
}

/** A directory is one object until something in it changes. */
const verifiers = new WeakMap<Directory, Verifier>()

function claimsOf(directory: Directory, token: string): Claims | null {
  const verifier = verifiers.get(directory) ?? createVerifier(directory.key)
  verifiers.set(directory, verifier)
  return verifier(token)
}

/** Null when the token is not (or no longer) good for anything. `now` in ms. */
export function sessionOf(directory: Directory, token: string, now: number): Session | null {
  const claims = claimsOf(directory, token)
  if (!claims || claims.expires <= now) return null
  if (directory.revoked.some(({ id }) => id === claims.audit[0])) return null
  const user = directory.users.find(({ id }) => id === claims.user)
  if (!user?.enabled || claims.issued < user.tokens_from) return null
  const { scope } = claims
  if (!scope) return { claims, user, project: null, roles: [] }
  const project = 'project' in scope ? (directory.projects.find(({ id }) => id === scope.project) ?? null) : null
  if ('project' in scope && !project?.enabled) return null
  const roles = rolesOn(directory, user.id, scope)
  return roles.length > 0 ? { claims, user, project, roles } : null
}

/** The session of a request's X-Auth-Token. @throws IdentityError 401 */
export function requireSession(directory: Directory, headers: Headers, now: number): Session {
  const token = header(headers, 'x-auth-token')
  const session = token === null ? null : sessionOf(directory, token, now)
  if (!session) throw unauthorized()
  return session
}

export const has = (session: Session, role: string): boolean => session.roles.some(({ name }) => name === role)

/** An administrator may do all. @throws IdentityError 403 that names `action`, as Keystone's policy does */
export function requireAdmin(session: Session, action: string): void {
  if (!has(session, 'admin')) throw forbidden(action)
}

/** Whoever may read all of the directory: administrators, and readers of the whole system. */
export const readsAll = (session: Session): boolean => {
  const { scope } = session.claims
  const ofSystem = scope !== null && 'system' in scope
  return has(session, 'admin') || (ofSystem && has(session, 'reader'))
}

/** Whoever may look into the tokens of others: services do, for that is how they learn who calls them. */
export const readsTokens = (session: Session): boolean => has(session, 'service') || readsAll(session)
