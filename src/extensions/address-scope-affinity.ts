/** Which pools the subnets of one network may come from. */
import { ApiError } from '#kernel/errors.ts'
import type { Context, Draft } from '#model/define.ts'

type Rows = readonly Readonly<Draft>[]

/** Throws NetworkSubnetPoolAffinityError, NetworkAddressScopeAffinityError. The network is locked. */
export async function requireAffinity(
  context: Context,
  { id, network_id, ip_version }: Readonly<Draft>,
): Promise<void> {
  const subnets = await context.find('subnet', { network_id: String(network_id), ip_version: Number(ip_version) })
  const poolIds = [...new Set(subnets.map((one) => one['subnetpool_id'] as string | null))]
  if (poolIds.length < 2) return
  const pools = await context.find('subnetpool', { id: poolIds.filter((one) => one !== null) })
  const issue = affinityIssue(subnets, pools, String(id))
  if (issue) throw issue
}

/**
 * Pure. Subnets of one network and IP version, of more than one origin: all from pools of one scope, or it is wrong.
 * Said of the newest, whose id is `newId`, as Neutron says it: the scope it misses, else the pool.
 */
export function affinityIssue(subnets: Rows, pools: Rows, newId: string): ApiError | null {
  const scopeOf = new Map(pools.map((one) => [one['id'], one['address_scope_id'] ?? null]))
  const scopes = subnets.map((one) => ({ id: one['id'], scope: scopeOf.get(one['subnetpool_id']) ?? null }))
  const others = new Set(scopes.filter((one) => one.id !== newId).map((one) => one.scope))
  const own = scopes.find((one) => one.id === newId)?.scope ?? null
  if (others.size === 1 && own !== null && others.has(own)) return null
  const scoped = [...others].some((one) => one !== null)
  const fromPool = subnets.some((one) => one['id'] === newId && one['subnetpool_id'])
  return new ApiError(scoped && fromPool ? 'NetworkAddressScopeAffinityError' : 'NetworkSubnetPoolAffinityError')
}
