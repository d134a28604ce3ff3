/** `/v2.0/realizations`: what hosts report they really have in place, repairs included. For administrators. */
import type { Params } from '#core/reading/query.ts'
import { ApiError } from '#kernel/errors.ts'
import { isUuid } from '#kernel/ids.ts'
import type { Policy } from '#policy/policy.ts'
import type { FastifyInstance } from 'fastify'
import { paramsOf } from './request.ts'

/** Each list: any of these; left out: all. */
export interface RealizationFilter {
  readonly host?: readonly string[]
  readonly kind?: readonly string[]
  readonly id?: readonly string[]
  readonly state?: readonly string[]
  readonly repaired?: boolean
  readonly limit: number
}

export type ReadRealizations = (filter: RealizationFilter) => Promise<readonly unknown[]>

const FILTERS = ['host', 'kind', 'id', 'state'] as const
const MOST = 1000

export function realizationRoute(app: FastifyInstance, policy: Policy, read: ReadRealizations): void {
  app.get('/v2.0/realizations', async (request) => {
    if (!policy.isAdmin(request.caller)) throw new ApiError('PolicyNotAuthorized', { action: 'get_realizations' })
    return { realizations: await read(filterOf(paramsOf(request))) }
  })
}

function filterOf(params: Params): RealizationFilter {
  const unknown = Object.keys(params).filter((name) => ![...FILTERS, 'repaired', 'limit'].includes(name))
  if (unknown.length > 0) throw bad(`['${unknown.join("', '")}'] is invalid attribute for filtering`)
  const lists = FILTERS.flatMap((name) => (params[name] ? [[name, params[name]] as const] : []))
  const { id, ...others } = Object.fromEntries(lists)
  const repaired = params['repaired']?.at(-1)?.toLowerCase()
  if (repaired !== undefined && repaired !== 'true' && repaired !== 'false')
    throw bad(`repaired must be true or false and not '${repaired}'`)
  const limit = params['limit']?.at(-1) ?? String(MOST)
  if (!/^[1-9]\d{0,8}$/.test(limit)) throw bad(`Limit must be an integer 1 or greater and not '${limit}'`)
  return {
    ...others,
    ...(id && { id: id.filter(isUuid) }),
    ...(repaired !== undefined && { repaired: repaired === 'true' }),
    limit: Math.min(Number(limit), MOST),
  }
}

const bad = (reason: string): ApiError => new ApiError('HTTPBadRequest', { reason })
