/** `onboard_network_subnets`: takes the subnets that a network already has into a pool. */
import { ApiError } from '#kernel/errors.ts'
import { formatPrefix, type Prefix, parsePrefix } from '#kernel/ip.ts'
import { overlap } from '#kernel/prefixes.ts'
import { type Call, type Context, defineExtension, type Draft, type Resource, uuid } from '#model/define.ts'
import { subnet } from '#resources/subnet.ts'
import { prefixesOf, subnetPool } from '#resources/subnet-pool.ts'

type Rows = readonly Readonly<Draft>[]

const blockOf = (one: Readonly<Draft>): Prefix => parsePrefix(String(one['cidr'])) as Prefix

async function onboard(context: Context, { object: pool, body }: Call): Promise<unknown> {
  const networkId = String(body['network_id'])
  await requireOwnNetwork(context, networkId)
  const [id, ip_version] = [String(pool['id']), Number(pool['ip_version'])]
  const subnets = await context.find('subnet', { network_id: networkId, ip_version })
  refuseAllocated(id, subnets, await context.find('subnet', { subnetpool_id: id }))
  const added = subnets.map((one) => String(one['cidr']))
  // First the subnets: what of the pool is free then follows from them.
  for (const one of subnets) {
    await leavePool(context, one)
    await context.update(subnet as Resource, String(one['id']), { subnetpool_id: id })
  }
  const prefixes = prefixesOf([...(pool['prefixes'] as readonly string[]), ...added]).map(formatPrefix)
  await context.update(subnetPool as Resource, id, { prefixes })
  await context.prefixes.reset(id, prefixes)
  return subnets.map((one) => ({ id: one['id'], cidr: one['cidr'] }))
}

/** Neutron's rule: only whose network it is moves its subnets, though others may see them. */
async function requireOwnNetwork(context: Context, net_id: string): Promise<void> {
  const [seen] = await context.visible('network', [net_id])
  if (!seen) throw new ApiError('NetworkNotFound', { net_id })
  await context.load('network', net_id, 'update')
  if (context.isAdmin || seen['project_id'] === context.caller.projectId) return
  throw new ApiError('PolicyNotAuthorized', { action: 'onboard_network_subnets' })
}

function refuseAllocated(subnetpool_id: string, subnets: Rows, allocated: Rows): void {
  const taken = allocated.map(blockOf)
  const other = subnets.find((one) => overlap([blockOf(one)], taken))
  if (!other) return
  const reason = `Onboarding subnet ${String(other['id'])}: ${String(other['cidr'])} conflicts with allocated prefixes in subnet pool ${subnetpool_id}`
  throw new ApiError('IllegalSubnetPoolUpdate', { reason })
}

async function leavePool(context: Context, { subnetpool_id, cidr }: Readonly<Draft>): Promise<void> {
  if (typeof subnetpool_id !== 'string') return
  await context.load('subnetpool', subnetpool_id, 'update')
  await context.prefixes.giveBack(subnetpool_id, String(cidr))
}

export const onboarding = defineExtension({
  alias: 'subnet_onboard',
  name: 'Subnet Onboard',
  description: 'Takes the subnets of a network into a subnet pool.',
  updated: '2018-12-18T09:00:00-00:00',
  requires: ['subnet_allocation'],
  on: {
    subnetpool: {
      actions: [
        {
          name: 'onboard_network_subnets',
          method: 'PUT',
          path: 'onboard_network_subnets',
          rule: 'onboard_network_subnets',
          body: { network_id: uuid({ set: 'create', required: true }) },
          docs: 'Takes the subnets of a network into the pool, their prefixes with them.',
          run: onboard,
        },
      ],
    },
  },
})
