/** `/v2.0/agents/enrolments`: the credentials with which hosts' agents connect. Administrators only. */
import type { Policy } from '#policy/policy.ts'
import { ApiError } from '#kernel/errors.ts'
import type { FastifyInstance, FastifyRequest } from 'fastify'

/** What keeps the credentials. */
export interface Enrolments {
  isHostName(host: string): boolean
  /** The secret is shown once, never stored. */
  enrol(host: string): Promise<{ readonly id: string; readonly host: string; readonly secret: string }>
  /** How many credentials of the host were revoked. */
  revoke(host: string): Promise<number>
  list(): Promise<readonly unknown[]>
}

export function enrolmentRoutes(app: FastifyInstance, policy: Policy, enrolments: Enrolments): void {
  const path = '/v2.0/agents/enrolments'
  const administrators = (request: FastifyRequest): void => {
    if (!policy.isAdmin(request.caller)) throw new ApiError('PolicyNotAuthorized', { action: 'enrol_agent' })
  }
  app.get(path, async (request) => {
    administrators(request)
    return { enrolments: await enrolments.list() }
  })
  app.post(path, async (request, reply) => {
    administrators(request)
    const host = (request.body as { enrolment?: { host?: unknown } } | null)?.enrolment?.host
    if (typeof host !== 'string' || !enrolments.isHostName(host)) {
      throw new ApiError('HTTPBadRequest', {
        reason: 'Invalid input for host. Reason: it must be a host name of at most 255 characters.',
      })
    }
    return reply.code(201).send({ enrolment: await enrolments.enrol(host) })
  })
  app.delete<{ Params: { host: string } }>(`${path}/:host`, async (request, reply) => {
    administrators(request)
    const revoked = await enrolments.revoke(request.params.host)
    if (revoked === 0) throw new ApiError('AgentNotFound', { id: request.params.host })
    return reply.code(204).send()
  })
}
