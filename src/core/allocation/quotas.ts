/** Limits of projects: the stored ones over the configured ones, with what is used. */
import { ApiError } from '#kernel/errors.ts'
import { parseFlag, Reject } from '#model/attribute.ts'
import { clearLimits, holdUsage, limitsOf, projectsWithLimits, setLimits, usageOf } from '#store/quota.ts'
import { inTransaction } from '#store/transaction.ts'
import type { Core } from '../operation.ts'

export type Limits = Readonly<Record<string, number>>

export async function quotaOf({ database, settings }: Core, projectId: string): Promise<Limits> {
  const stored = await limitsOf(database, projectId)
  return { ...settings.quotas, ...Object.fromEntries(stored.map(({ resource, limit }) => [resource, limit])) }
}

export const defaultQuota = ({ settings }: Core): Limits => ({ ...settings.quotas })

export async function quotaDetails(
  core: Core,
  projectId: string,
): Promise<Record<string, { limit: number; used: number; reserved: number }>> {
  const [limits, usage] = await Promise.all([quotaOf(core, projectId), usageOf(core.database, projectId)])
  const used = new Map(usage.map((one) => [one.resource, one.used]))
  return Object.fromEntries(
    Object.entries(limits).map(([name, limit]) => [name, { limit, used: used.get(name) ?? 0, reserved: 0 }]),
  )
}

/** Projects with limits of their own. */
export async function listQuotas({ database, settings }: Core): Promise<Record<string, unknown>[]> {
  const byProject = new Map<string, Record<string, unknown>>()
  for (const { project_id, resource, limit } of await projectsWithLimits(database)) {
    const entry = byProject.get(project_id) ?? { ...settings.quotas, project_id, tenant_id: project_id }
    byProject.set(project_id, { ...entry, [resource]: limit })
  }
  return [...byProject.values()]
}

/** `check_limit: true` refuses limits below what is used; `force` says the contrary, which is the default. */
export async function changeQuota(
  core: Core,
  projectId: string,
  given: Readonly<Record<string, unknown>>,
): Promise<Limits> {
  const { tenant_id: _, project_id: __, force: ___, check_limit, ...limits } = given
  const unknown = Object.keys(limits).filter((name) => !Object.hasOwn(core.settings.quotas, name))
  if (unknown.length > 0)
    throw new ApiError('HTTPBadRequest', { reason: `Unrecognized attribute(s) '${unknown.join(', ')}'` })
  const parsed = Object.fromEntries(Object.entries(limits).map(([name, value]) => [name, parseLimit(name, value)]))
  const checked = parseOption('check_limit', check_limit)
  await inTransaction(core.database, async (tx) => {
    if (checked) refuseBelow(parsed, await holdUsage(tx, projectId, Object.keys(parsed)))
    return { value: await setLimits(tx, projectId, parsed) }
  })
  return quotaOf(core, projectId)
}

function refuseBelow(limits: Limits, usage: readonly { readonly resource: string; readonly used: number }[]): void {
  const over = usage.find(({ resource, used }) => {
    const limit = limits[resource] ?? -1
    return limit >= 0 && used > limit
  })
  if (!over) return
  const { resource, used } = over
  const limit = limits[resource]
  const reason = `Quota limit ${limit} for ${resource} must be greater than or equal to already used ${used}`
  throw new ApiError('HTTPBadRequest', { reason }, { reason: 'limit_below_usage', resource, limit, used })
}

function parseOption(name: string, value: unknown): boolean {
  try {
    return value === undefined || value === null ? false : parseFlag(value)
  } catch (error) {
    if (!(error instanceof Reject)) throw error
    throw new ApiError('HTTPBadRequest', { reason: `Invalid input for ${name}. Reason: ${error.message}.` })
  }
}

function parseLimit(name: string, value: unknown): number {
  const number = typeof value === 'string' && /^-?\d{1,10}$/.test(value) ? Number(value) : value
  if (typeof number === 'number' && Number.isInteger(number) && number >= -1 && number < 2 ** 31) return number
  throw new ApiError('HTTPBadRequest', {
    reason: `Invalid input for ${name}. Reason: '${String(value)}' is not an integer of -1 or more.`,
  })
}

/** Back to the defaults; throws ProjectQuotaNotFound when the project has them already. */
export async function resetQuota({ database }: Core, projectId: string): Promise<void> {
  const cleared = await inTransaction(database, async (tx) => ({ value: await clearLimits(tx, projectId) }))
  if (cleared.length === 0) throw new ApiError('ProjectQuotaNotFound', { project_id: projectId })
}
