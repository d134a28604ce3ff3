/** `/v2.0/quotas`: limits per project. Not a resource like the others: it has no create, and its id is a project's. */
import type { Core } from '#core/operation.ts'
import { changeQuota, defaultQuota, listQuotas, quotaDetails, quotaOf, resetQuota } from '#core/allocation/quotas.ts'
import { ApiError } from '#kernel/errors.ts'
import { isStorable } from '#model/attribute.ts'
import type { FastifyInstance, FastifyRequest } from 'fastify'

interface ProjectParams {
  readonly project: string
}

export function quotaRoutes(app: FastifyInstance, core: Core): void {
  const authorize = (action: string, request: FastifyRequest, project: string | null): void => {
    if (project !== null && !isStorable(project)) throw new ApiError('HTTPNotFound')
    // Everyone may read the quotas of the own project.
    if (action === 'get_quota' && project !== null && project === request.caller.projectId) return
    const target = project === null ? {} : { project_id: project }
    if (!core.policy.allows(action, request.caller, target)) throw new ApiError('PolicyNotAuthorized', { action })
  }
  /** Not a matter of policy, as in the peer. */
  const authorizeDetails = ({ caller }: FastifyRequest, project: string): void => {
    if (!isStorable(project)) throw new ApiError('HTTPNotFound')
    if (project === caller.projectId || core.policy.isAdmin(caller)) return
    const reason = 'Only admin is authorized to access quotas for another project'
    throw new ApiError('AdminRequired', { reason })
  }
  const path = '/v2.0/quotas'
  app.get(path, async (request) => {
    authorize('get_quota', request, null)
    return { quotas: await listQuotas(core) }
  })
  for (const name of ['tenant', 'project']) {
    app.get(`${path}/${name}`, async ({ caller }) => {
      if (caller.projectId === null) throw new ApiError('QuotaMissingTenant')
      return { [name]: { [`${name}_id`]: caller.projectId } }
    })
  }
  app.get<{ Params: ProjectParams }>(`${path}/:project`, async (request) => {
    authorize('get_quota', request, request.params.project)
    return { quota: await quotaOf(core, request.params.project) }
  })
  app.get<{ Params: ProjectParams }>(`${path}/:project/default`, async (request) => {
    authorize('get_quota', request, request.params.project)
    return { quota: defaultQuota(core) }
  })
  for (const name of ['details', 'details.json']) {
    app.get<{ Params: ProjectParams }>(`${path}/:project/${name}`, async (request) => {
      authorizeDetails(request, request.params.project)
      return { quota: await quotaDetails(core, request.params.project) }
    })
  }
  app.put<{ Params: ProjectParams }>(`${path}/:project`, async (request) => {
    authorize('update_quota', request, request.params.project)
    const given = (request.body as { quota?: unknown } | null)?.quota
    if (given === null || typeof given !== 'object' || Array.isArray(given))
      throw new ApiError('HTTPBadRequest', { reason: "Unable to find 'quota' in request body" })
    return { quota: await changeQuota(core, request.params.project, given as Record<string, unknown>) }
  })
  app.delete<{ Params: ProjectParams }>(`${path}/:project`, async (request, reply) => {
    authorize('delete_quota', request, request.params.project)
    await resetQuota(core, request.params.project)
    return reply.code(204).send()
  })
}
