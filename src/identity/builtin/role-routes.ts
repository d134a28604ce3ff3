/** Roles and who has them where: /v3/roles, the grants below projects and the system, /v3/role_assignments. */
import { type DirectoryContext, forAdmins, forReaders, type Handler, routesOf, the } from './access.ts'
import { type Assignment, type Directory, DOMAIN, type Scope, sameScope } from './directory.ts'
import * as http from './http.ts'
import * as render from './render.ts'

export const roleRoutes = (context: DirectoryContext): http.Route[] =>
  routesOf(context, [
    ['GET', '/v3/roles', forReaders('identity:list_roles', list)],
    ['GET', '/v3/roles/{role}', forReaders('identity:get_role', show)],
    ['GET', '/v3/role_assignments', forReaders('identity:list_role_assignments', assignments)],
    ...['/v3/projects/{project}/users/{user}/roles', '/v3/system/users/{user}/roles'].flatMap(
      (path): [http.Route['method'], string, Handler][] => [
        ['GET', path, forReaders('identity:list_grants', given)],
        ['PUT', `${path}/{role}`, forAdmins('identity:create_grant', grant)],
        ['GET', `${path}/{role}`, forReaders('identity:check_grant', check)],
        ['DELETE', `${path}/{role}`, forAdmins('identity:revoke_grant', revoke)],
      ],
    ),
  ])

const list: Handler = ({ read }, { query, base }) => {
  const name = query.get('name')
  const roles = read().roles.filter((role) => name === null || role.name === name)
  const rendered = roles.map((role) => render.role(base, role))
  return http.ok(render.list(base, 'roles', 'roles', rendered))
}

const show: Handler = ({ read }, { params, base }) =>
  http.ok({ role: render.role(base, the('role', read().roles, params['role'])) })

const given: Handler = ({ read }, { params, base }) => {
  const { user, project } = params
  const on: Scope = project ? { project } : { system: 'all' }
  const roles = read()
    .assignments.filter((one) => one.user === user && sameScope(one.on, on))
    .map(({ role }) => render.role(base, the('role', read().roles, role)))
  return http.ok(render.list(base, 'roles', 'roles', roles))
}

const grant: Handler = ({ update }, call) => {
  update((draft) => {
    const wanted = grantIn(draft, call)
    if (!draft.assignments.some((one) => sameGrant(one, wanted))) draft.assignments.push(wanted)
  })
  return http.noContent
}

const check: Handler = ({ read }, call) => {
  const wanted = grantIn(read(), call)
  if (!read().assignments.some((one) => sameGrant(one, wanted))) throw http.notFound('role assignment', wanted.role)
  return http.noContent
}

const revoke: Handler = ({ update }, call) => {
  update((draft) => {
    const wanted = grantIn(draft, call)
    const rest = draft.assignments.filter((one) => !sameGrant(one, wanted))
    if (rest.length === draft.assignments.length) throw http.notFound('role assignment', wanted.role)
    draft.assignments = rest
  })
  return http.noContent
}

const assignments: Handler = ({ read }, { query, base }) => {
  const found = read().assignments.filter((one) => wantedBy(query, one))
  const rendered = found.map((one) => assignment(read(), one, query.has('include_names')))
  return http.ok(render.list(base, 'role_assignments', 'role_assignments', rendered))
}

/** The grant that a path names; all three must exist. @throws IdentityError 404 */
const grantIn = (directory: Directory, { params }: http.Call): Assignment => ({
  user: the('user', directory.users, params['user']).id,
  on: params['project'] ? { project: the('project', directory.projects, params['project']).id } : { system: 'all' },
  role: the('role', directory.roles, params['role']).id,
})

const sameGrant = (a: Assignment, b: Assignment): boolean =>
  a.user === b.user && a.role === b.role && sameScope(a.on, b.on)

function wantedBy(query: URLSearchParams, { user, on, role }: Assignment): boolean {
  const asked = (name: string, value: string): boolean => !query.has(name) || query.get(name) === value
  return (
    asked('user.id', user) &&
    asked('role.id', role) &&
    asked('scope.project.id', 'project' in on ? on.project : '') &&
    asked('scope.system', 'system' in on ? 'all' : '')
  )
}

function assignment(directory: Directory, { user, on, role }: Assignment, withNames: boolean) {
  const named = (all: readonly { id: string; name: string }[], id: string, inDomain: boolean) => ({
    id,
    ...(withNames ? { name: all.find((one) => one.id === id)?.name, ...(inDomain ? { domain: DOMAIN } : {}) } : {}),
  })
  return {
    user: named(directory.users, user, true),
    role: named(directory.roles, role, false),
    scope: 'project' in on ? { project: named(directory.projects, on.project, true) } : { system: { all: true } },
    links: {},
  }
}
