/** From credentials to claims: POST /v3/auth/tokens. */
import { type Directory, DOMAIN, type Project, rolesOn, type Scope, type User } from './directory.ts'
import { type Call, IdentityError, isObject, malformed, objectAt, textIn, unauthorized } from './http.ts'
import { verifyPassword } from './password.ts'
import { sessionOf } from './session.ts'
import type { Throttle } from './throttle.ts'
import { type Claims, newAuditId } from './token.ts'

export interface IssueContext {
  readonly read: () => Directory
  readonly throttle: Throttle
  readonly clock: () => number
  readonly tokenLifetimeMs: number
}

interface Proven {
  readonly user: User
  readonly methods: readonly string[]
  readonly expires: number
  /** Audit ids of the token that was shown, if one was. */
  readonly audit: readonly string[]
}

/**
 * The claims of a new token. A token made from a token ends when that one does.
 * @throws IdentityError 400 for a body that makes no sense, 401 for credentials or a scope that are not good, 429
 * after too many wrong passwords
 */
export async function issue(call: Call, context: IssueContext): Promise<Claims> {
  const identity = objectAt(call.body, 'auth.identity')
  const { methods } = identity
  if (!Array.isArray(methods) || methods.length === 0) throw malformed("Expecting to find 'methods' in auth.identity.")
  const proofs: Proven[] = []
  for (const method of methods) {
    if (method === 'password') proofs.push(await byPassword(call, context))
    else if (method === 'token') proofs.push(byToken(call, context))
    else throw unauthorized()
  }
  const [first] = proofs
  if (!first || proofs.some(({ user }) => user.id !== first.user.id)) throw unauthorized()
  const directory = context.read()
  return {
    user: first.user.id,
    scope: scopeOf(directory, first.user, objectAt(call.body, 'auth')['scope']),
    methods: [...new Set(proofs.flatMap((proof) => proof.methods))],
    issued: context.clock(),
    expires: Math.min(...proofs.map(({ expires }) => expires)),
    audit: [newAuditId(), ...proofs.flatMap(({ audit }) => audit.slice(0, 1))],
  }
}

async function byPassword(call: Call, { read, throttle, clock, tokenLifetimeMs }: IssueContext): Promise<Proven> {
  const given = objectAt(call.body, 'auth.identity.password.user')
  const password = typeof given['password'] === 'string' ? given['password'] : ''
  const user = findUser(read(), given)
  const guessed = user?.id ?? String(given['id'] ?? given['name']).slice(0, 255)
  const { right, waitSeconds } = await throttle.guard(`${call.remoteAddress} ${guessed}`, () =>
    verifyPassword(password, user?.enabled ? user.password : null),
  )
  if (waitSeconds > 0)
    throw new IdentityError(429, `Too many wrong passwords; try again in ${waitSeconds} s.`, {
      'retry-after': String(waitSeconds),
    })
  if (!right || !user) throw unauthorized()
  return { user, methods: ['password'], expires: clock() + tokenLifetimeMs, audit: [] }
}

function byToken(call: Call, { read, clock }: IssueContext): Proven {
  const token = textIn(objectAt(call.body, 'auth.identity.token'), 'id', 4096)
  const session = sessionOf(read(), token, clock())
  if (!session) throw unauthorized()
  const { user, claims } = session
  return { user, methods: ['token', ...claims.methods], expires: claims.expires, audit: claims.audit }
}

/** By id, or by name and domain. */
function findUser(directory: Directory, given: Readonly<Record<string, unknown>>): User | undefined {
  if (given['id'] !== undefined) return directory.users.find(({ id }) => id === given['id'])
  const name = textIn(given, 'name')
  requireDomain(given)
  return directory.users.find((one) => one.name === name)
}

/** @throws IdentityError 401 when the user has no role there */
function scopeOf(directory: Directory, user: User, wanted: unknown): Scope | null {
  if (wanted === undefined || wanted === null) return defaultScope(directory, user)
  if (wanted === 'unscoped') return null
  if (!isObject(wanted)) throw malformed("Invalid input for field 'scope'.")
  if (wanted['unscoped'] !== undefined) return null
  const scope: Scope = wanted['system'] === undefined ? projectIn(directory, wanted) : systemIn(wanted)
  if (rolesOn(directory, user.id, scope).length === 0) throw unauthorized()
  return scope
}

function defaultScope(directory: Directory, user: User): Scope | null {
  const project = directory.projects.find(({ id }) => id === user.default_project_id)
  if (!project?.enabled) return null
  const scope = { project: project.id }
  return rolesOn(directory, user.id, scope).length > 0 ? scope : null
}

function systemIn(wanted: Readonly<Record<string, unknown>>): Scope {
  const { system } = wanted
  if (!isObject(system) || system['all'] !== true)
    throw malformed("A system scope is written {'system': {'all': true}}.")
  return { system: 'all' }
}

function projectIn(directory: Directory, wanted: Readonly<Record<string, unknown>>): Scope {
  if (wanted['domain'] !== undefined) throw unauthorized()
  const given = objectAt(wanted, 'project')
  const project = findProject(directory, given)
  if (!project?.enabled) throw unauthorized()
  return { project: project.id }
}

function findProject(directory: Directory, given: Readonly<Record<string, unknown>>): Project | undefined {
  if (given['id'] !== undefined) return directory.projects.find(({ id }) => id === given['id'])
  const name = textIn(given, 'name')
  requireDomain(given)
  return directory.projects.find((one) => one.name === name)
}

/** Names are those of the one domain; its own name is taken in any case, as Keystone does. */
function requireDomain(given: Readonly<Record<string, unknown>>): void {
  const domain = objectAt(given, 'domain')
  const name = typeof domain['name'] === 'string' ? domain['name'].toLowerCase() : null
  if (domain['id'] !== DOMAIN.id && name !== DOMAIN.name.toLowerCase()) throw unauthorized()
}
