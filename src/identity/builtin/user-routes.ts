/** /v3/users: administrators change them; everyone sees themselves, and may change the own password. */
import {
  type DirectoryContext,
  fitting,
  forAdmins,
  forOneself,
  forReaders,
  type Handler,
  refuseForeignDomain,
  refuseSameName,
  routesOf,
  sessionFor,
  the,
} from './access.ts'
import { type Directory, projectsOf, type User } from './directory.ts'
import { newKeystoneId } from './first-start.ts'
import * as http from './http.ts'
import { hashPassword, verifyPassword } from './password.ts'
import * as render from './render.ts'
import type { Throttle } from './throttle.ts'

/** `throttle` also slows down guesses at the original password of a change. */
export const userRoutes = (context: DirectoryContext, throttle: Throttle): http.Route[] =>
  routesOf(context, [
    ['GET', '/v3/users', forReaders('identity:list_users', list)],
    ['POST', '/v3/users', forAdmins('identity:create_user', create)],
    ['GET', '/v3/users/{user}', forOneself('identity:get_user', show)],
    ['PATCH', '/v3/users/{user}', forAdmins('identity:update_user', change)],
    ['DELETE', '/v3/users/{user}', forAdmins('identity:delete_user', remove)],
    ['GET', '/v3/users/{user}/projects', forOneself('identity:list_user_projects', projects)],
    ['POST', '/v3/users/{user}/password', changeOwnPassword(throttle)],
  ])

const list: Handler = ({ read }, { query, base }) => {
  const users = fitting(read().users, query).map((one) => render.user(base, one))
  return http.ok(render.list(base, 'users', 'users', users))
}

const show: Handler = ({ read }, { params, base }) =>
  http.ok({ user: render.user(base, the('user', read().users, params['user'])) })

const projects: Handler = ({ read }, { params, base }) => {
  const { id } = the('user', read().users, params['user'])
  const all = projectsOf(read(), id).map((one) => render.project(base, one))
  return http.ok(render.list(base, 'projects', `users/${id}/projects`, all))
}

/** A user without a password cannot log in. */
const create: Handler = async ({ update }, { body, base }) => {
  const given = http.objectAt(body, 'user')
  refuseForeignDomain(given)
  const password = http.optionalTextIn(given, 'password', 4096)
  const user: User = {
    id: newKeystoneId(),
    name: http.textIn(given, 'name'),
    description: http.optionalTextIn(given, 'description', 65_535) ?? '',
    email: http.optionalTextIn(given, 'email') ?? null,
    enabled: http.optionalFlagIn(given, 'enabled') ?? true,
    default_project_id: http.optionalTextIn(given, 'default_project_id') ?? null,
    password: password ? await hashPassword(password) : '',
    tokens_from: 0,
  }
  update((draft) => {
    refuseSameName('user', draft.users, user)
    draft.users.push(user)
  })
  return http.created({ user: render.user(base, user) })
}

const change: Handler = async ({ update, clock }, { body, params, base }) => {
  const given = http.objectAt(body, 'user')
  const password = http.optionalTextIn(given, 'password', 4096)
  const hash = password ? await hashPassword(password) : null
  const user = update((draft) => {
    const one = the('user', draft.users, params['user'])
    one.name = given['name'] === undefined ? one.name : http.textIn(given, 'name')
    one.description = http.optionalTextIn(given, 'description', 65_535) ?? one.description
    one.email = http.optionalTextIn(given, 'email') ?? one.email
    one.enabled = http.optionalFlagIn(given, 'enabled') ?? one.enabled
    one.default_project_id = http.optionalTextIn(given, 'default_project_id') ?? one.default_project_id
    refuseSameName('user', draft.users, one)
    if (hash) setPassword(draft, one, hash, clock())
    return one
  })
  return http.ok({ user: render.user(base, user) })
}

const changeOwnPassword =
  (throttle: Throttle): Handler =>
  async (context, call) => {
    const { user } = sessionFor(context, call)
    if (user.id !== call.params['user']) throw http.forbidden('identity:change_password')
    const given = http.objectAt(call.body, 'user')
    const original = http.textIn(given, 'original_password', 4096)
    const { right } = await throttle.guard(`${call.remoteAddress} ${user.id}`, () =>
      verifyPassword(original, user.password),
    )
    if (!right) throw http.unauthorized()
    const hash = await hashPassword(http.textIn(given, 'password', 4096))
    context.update((draft) => setPassword(draft, the('user', draft.users, user.id), hash, context.clock()))
    return http.noContent
  }

const remove: Handler = ({ update }, { params }) => {
  update((draft) => {
    const { id } = the('user', draft.users, params['user'])
    draft.users = draft.users.filter((one) => one.id !== id)
    draft.assignments = draft.assignments.filter(({ user }) => user !== id)
  })
  return http.noContent
}

/** All tokens of the user end, and a password drawn at the first start is no longer worth keeping. */
function setPassword(draft: Directory, user: User, hash: string, now: number): void {
  user.password = hash
  user.tokens_from = now
  if (user.name === 'admin') delete draft.initial.admin
  if (user.name === 'demo') delete draft.initial.demo
}
