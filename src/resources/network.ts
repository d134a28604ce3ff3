/** A layer-2 broadcast domain. */
import { ApiError } from '#kernel/errors.ts'
import {
  type Context,
  defineResource,
  type Draft,
  EVERYONE,
  flag,
  list,
  oneOf,
  optional,
  parseUuid,
  type Row,
  text,
  whole,
  type Write,
} from '#model/define.ts'
import { port } from './port.ts'
import { AUTO_DELETED_OWNERS, identity, IPV6_MTU, standard } from './standard.ts'
import { shareable } from './sharing.ts'
import { subnet } from './subnet.ts'

export const NETWORK_TYPES = ['flat', 'vlan', 'vxlan', 'geneve', 'gre', 'local'] as const

/** The network's first segment, read where the segments are kept. */
const firstSegment = (column: string): string =>
  `(select s.${column} from network_segments s where s.network_id = t.id order by s.segment_index limit 1)`

const attributes = {
  ...identity,
  name: text({ set: 'always', default: '', filter: true, sort: true }),
  admin_state_up: flag({ set: 'always', default: true, filter: true, sort: true }),
  status: oneOf(['ACTIVE', 'BUILD', 'DOWN', 'ERROR'], { filter: true, sort: true }),
  ...shareable,
  /** 0 or left out: the largest the segment carries. */
  mtu: whole({ set: 'always', min: 0, max: 65535, filter: true, sort: true, policy: true }),
  port_security_enabled: flag({ set: 'always', default: true, policy: true }),
  'provider:network_type': optional(
    oneOf(NETWORK_TYPES, { set: 'create', filter: true, policy: true, sql: firstSegment('network_type') }),
    {},
  ),
  'provider:physical_network': optional(
    text({ set: 'create', max: 64, filter: true, policy: true, sql: firstSegment('physical_network') }),
    {},
  ),
  'provider:segmentation_id': optional(
    whole({
      set: 'create',
      min: 0,
      max: 2 ** 24 - 1,
      filter: true,
      policy: true,
      sql: firstSegment('segmentation_id'),
    }),
    {},
  ),
  subnets: list(
    { schema: { type: 'string', format: 'uuid' }, parse: parseUuid },
    {
      sql: "(select coalesce(json_agg(s.id order by s.created_at, s.id), '[]') from subnets s where s.network_id = t.id)",
    },
  ),
  ...standard,
} as const
export type Network = Row<typeof attributes>

export const network = defineResource({
  name: 'network',
  plural: 'networks',
  table: 'networks',
  docs: 'A layer-2 broadcast domain. The provider attributes say what carries it; without them the system chooses.',
  notFound: { type: 'NetworkNotFound', param: 'net_id' },
  quota: 'network',
  inUse: ({ id }) => new ApiError('NetworkInUse', { net_id: id, ports: '' }, { reason: 'in_use' }),
  attributes,
  check: ({ after }) => {
    if (!after) return []
    const tooSmall = after.mtu > 0 && after.mtu < 68
    return tooSmall ? [new ApiError('InvalidInput', { error_message: `MTU ${after.mtu} is below 68` })] : []
  },
  inTx: async (context, write) => {
    if (write.op === 'create') return createNetwork(context, write)
    if (write.op === 'update') return updateNetwork(context, write)
    await deleteNetwork(context, write.before as Network)
    return undefined
  },
})

async function createNetwork(context: Context, { after }: Write<Network>): Promise<Partial<Draft>> {
  const wanted = after as Network
  const segment = await context.segments.reserve(wanted.id, {
    network_type: wanted['provider:network_type'] ?? null,
    physical_network: wanted['provider:physical_network'] ?? null,
    segmentation_id: wanted['provider:segmentation_id'] ?? null,
  })
  return {
    status: 'ACTIVE',
    shared_with: wanted.shared ? [EVERYONE] : [],
    mtu: chosenMtu(context.segments.maxMtu(segment), wanted.mtu),
  }
}

async function updateNetwork(context: Context, { before, after, given }: Write<Network>): Promise<Partial<Draft>> {
  const [old, wanted] = [before as Network, after as Network]
  const patch: Partial<Draft> = {}
  if (given.has('mtu')) {
    const limit = context.segments.maxMtu({
      id: wanted.id,
      network_type: old['provider:network_type'] ?? 'local',
      physical_network: old['provider:physical_network'],
      segmentation_id: old['provider:segmentation_id'],
    })
    const mtu = chosenMtu(limit, wanted.mtu)
    if (mtu < IPV6_MTU) await refuseSmallMtu(context, old.id, mtu)
    patch['mtu'] = mtu
  }
  if (old.shared && !wanted.shared) await refuseUnsharing(context, wanted)
  if (old.shared !== wanted.shared) {
    const others = old.shared_with.filter((one) => one !== EVERYONE)
    const shared_with = wanted.shared ? [...others, EVERYONE] : others
    patch['shared_with'] = shared_with
    // What others see of the subnets changes with the network: say so in the change log.
    for (const id of old.subnets) await context.update(subnet, id, { shared_with })
  }
  return patch
}

async function refuseSmallMtu(context: Context, network_id: string, mtu: number): Promise<void> {
  const [subnet6] = await context.find('subnet', { network_id, ip_version: 6 })
  if (subnet6) throw new ApiError('NetworkMTUSubnetConflict', { mtu, subnet_id: subnet6['id'] })
}

function chosenMtu(limit: number, asked: number | undefined): number {
  if (!asked) return limit
  if (asked > limit)
    throw new ApiError('InvalidInput', { error_message: `Requested MTU is too big, maximum is ${limit}` })
  return asked
}

async function refuseUnsharing(context: Context, wanted: Network): Promise<void> {
  const ports = await context.find('port', { network_id: wanted.id })
  const foreign = ports.some((one) => one['project_id'] !== wanted.project_id && one['project_id'] !== '')
  if (foreign) throw new ApiError('InvalidSharedSetting', { network: wanted.name })
}

async function deleteNetwork(context: Context, { id, subnets }: Network): Promise<void> {
  const ports = await context.find('port', { network_id: id })
  const owners: readonly unknown[] = AUTO_DELETED_OWNERS
  const blocking = ports.filter((one) => !owners.includes(one['device_owner'])).map((one) => String(one['id']))
  if (blocking.length > 0) {
    const shown = blocking.slice(0, 10)
    throw new ApiError(
      'NetworkInUse',
      { net_id: id, ports: shown.join(', ') },
      { reason: 'ports_in_use', ports: blocking },
    )
  }
  for (const one of ports) await context.remove(port, String(one['id']))
  for (const one of subnets) await context.remove(subnet, one)
  await context.segments.release(id)
}
