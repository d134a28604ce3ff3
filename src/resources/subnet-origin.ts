/** Where a subnet's block comes from: the client, or a subnet pool that has it free. */
import { ApiError } from '#kernel/errors.ts'
import { formatIp, parsePrefix, type Prefix, rangeOf } from '#kernel/ip.ts'
import type { Context } from '#model/define.ts'
import { badSubnet } from './subnet-addresses.ts'
import type { SubnetPool } from './subnet-pool.ts'

interface Asked {
  readonly id: string
  readonly project_id: string
  readonly ip_version: number
  readonly cidr: string | null
  readonly gateway_ip: string | null | undefined
  readonly subnetpool_id: string | null
  readonly use_default_subnetpool: boolean
  readonly prefixlen: number | undefined
}

export interface Origin {
  readonly subnetpool_id: string | null
  readonly cidr: string
  readonly gateway_ip: string | null | undefined
}

/** What a project's quota of a pool is counted in: IPv4 addresses, IPv6 prefixes of 64 bits. */
const QUOTA_UNIT = { 4: 32, 6: 64 } as const

export const notInPool = (): ApiError =>
  allocationError('Cannot allocate requested subnet from the available set of prefixes')

const allocationError = (reason: string): ApiError => new ApiError('SubnetAllocationError', { reason })

/** Takes the block out of the pool, if there is one. Throws the pool's refusals. */
export async function originOf(context: Context, asked: Asked): Promise<Origin> {
  const { cidr, gateway_ip } = asked
  const pool = await poolFor(context, asked)
  if (!pool) return { subnetpool_id: null, cidr: cidr as string, gateway_ip }
  requireLength(pool, cidr ? (parsePrefix(cidr) as Prefix).length : lengthOf(asked, pool))
  const block = cidr ? await takeGiven(context, pool, cidr) : await takeAny(context, pool, lengthOf(asked, pool))
  context.afterWrite(() => requireQuota(context, pool, asked.project_id))
  return {
    subnetpool_id: pool.id,
    cidr: block,
    gateway_ip: cidr || gateway_ip !== undefined ? gateway_ip : firstHost(block),
  }
}

/** Unlike a block that was given, one that was drawn has its first host as gateway, whatever its version. */
function firstHost(block: string): string {
  const prefix = parsePrefix(block) as Prefix
  const { first, last } = rangeOf(prefix)
  return formatIp({ version: prefix.version, value: first === last ? first : first + 1n })
}

async function poolFor(context: Context, asked: Asked): Promise<SubnetPool | null> {
  const { ip_version } = asked
  const id = asked.use_default_subnetpool ? await defaultPool(context, ip_version) : asked.subnetpool_id
  if (!id) return null
  const pool = (await context.load('subnetpool', id, 'update')) as SubnetPool | undefined
  if (!pool) throw new ApiError('SubnetPoolNotFound', { subnetpool_id: id })
  if (pool.ip_version === ip_version) return pool
  throw badSubnet(`Cannot allocate IPv${ip_version} subnet from IPv${pool.ip_version} subnet pool`)
}

async function defaultPool(context: Context, ip_version: number): Promise<string> {
  const found = await context.find('subnetpool', { is_default: true, ip_version })
  const ids = found.map((one) => String(one['id']))
  const [pool] = ids.length > 0 ? await context.visible('subnetpool', ids) : []
  if (!pool) throw badSubnet(`No default subnetpool found for IPv${ip_version}`)
  return String(pool['id'])
}

const lengthOf = ({ prefixlen }: Asked, pool: SubnetPool): number => prefixlen ?? Number(pool.default_prefixlen)

function requireLength({ min_prefixlen, max_prefixlen }: SubnetPool, prefixlen: number): void {
  if (prefixlen > Number(max_prefixlen))
    throw new ApiError('MaxPrefixSubnetAllocationError', { prefixlen, max_prefixlen })
  if (prefixlen < Number(min_prefixlen))
    throw new ApiError('MinPrefixSubnetAllocationError', { prefixlen, min_prefixlen })
}

async function takeGiven(context: Context, { id }: SubnetPool, cidr: string): Promise<string> {
  if (await context.prefixes.takeExactly(id, cidr)) return cidr
  throw notInPool()
}

async function takeAny(context: Context, { id }: SubnetPool, length: number): Promise<string> {
  const taken = await context.prefixes.take(id, length)
  if (taken) return taken
  throw allocationError(`Insufficient prefix space to allocate subnet size /${length}`)
}

/** Counted once the subnets stand in their table, several made at once among them. */
async function requireQuota(context: Context, pool: SubnetPool, projectId: string): Promise<void> {
  const { id, default_quota: quota, ip_version } = pool
  if (!quota) return
  const used = await context.prefixes.used(id, projectId, QUOTA_UNIT[ip_version as 4 | 6])
  if (used > quota) throw new ApiError('SubnetPoolQuotaExceeded', {}, { reason: 'over_quota', limit: quota, used })
}
