/** /v3/projects: administrators change them; everyone sees those they have a role on. */
import {
  type DirectoryContext,
  fitting,
  forAdmins,
  forReaders,
  type Handler,
  refuseForeignDomain,
  refuseSameName,
  routesOf,
  sessionFor,
  the,
} from './access.ts'
import { type Project, rolesOn } from './directory.ts'
import { newKeystoneId } from './first-start.ts'
import * as http from './http.ts'
import * as render from './render.ts'
import { readsAll } from './session.ts'

export const projectRoutes = (context: DirectoryContext): http.Route[] =>
  routesOf(context, [
    ['GET', '/v3/projects', forReaders('identity:list_projects', list)],
    ['POST', '/v3/projects', forAdmins('identity:create_project', create)],
    ['GET', '/v3/projects/{project}', show],
    ['PATCH', '/v3/projects/{project}', forAdmins('identity:update_project', change)],
    ['DELETE', '/v3/projects/{project}', forAdmins('identity:delete_project', remove)],
  ])

const list: Handler = ({ read }, { query, base }) => {
  const projects = fitting(read().projects, query).map((one) => render.project(base, one))
  return http.ok(render.list(base, 'projects', 'projects', projects))
}

const show: Handler = (context, call) => {
  const session = sessionFor(context, call)
  const { project: id = '' } = call.params
  const directory = context.read()
  const own = rolesOn(directory, session.user.id, { project: id }).length > 0
  if (!own && !readsAll(session)) throw http.forbidden('identity:get_project')
  return http.ok({ project: render.project(call.base, the('project', directory.projects, id)) })
}

const create: Handler = ({ update }, { body, base }) => {
  const given = http.objectAt(body, 'project')
  refuseForeignDomain(given)
  const project: Project = {
    id: newKeystoneId(),
    name: http.textIn(given, 'name', 64),
    description: http.optionalTextIn(given, 'description', 65_535) ?? '',
    enabled: http.optionalFlagIn(given, 'enabled') ?? true,
  }
  update((draft) => {
    refuseSameName('project', draft.projects, project)
    draft.projects.push(project)
  })
  return http.created({ project: render.project(base, project) })
}

const change: Handler = ({ update }, { body, params, base }) => {
  const given = http.objectAt(body, 'project')
  const project = update((draft) => {
    const one = the('project', draft.projects, params['project'])
    one.name = given['name'] === undefined ? one.name : http.textIn(given, 'name', 64)
    one.description = http.optionalTextIn(given, 'description', 65_535) ?? one.description
    one.enabled = http.optionalFlagIn(given, 'enabled') ?? one.enabled
    refuseSameName('project', draft.projects, one)
    return one
  })
  return http.ok({ project: render.project(base, project) })
}

const remove: Handler = ({ update }, { params }) => {
  update((draft) => {
    const { id } = the('project', draft.projects, params['project'])
    draft.projects = draft.projects.filter((one) => one.id !== id)
    draft.assignments = draft.assignments.filter(({ on }) => !('project' in on) || on.project !== id)
    for (const user of draft.users) if (user.default_project_id === id) user.default_project_id = null
  })
  return http.noContent
}
