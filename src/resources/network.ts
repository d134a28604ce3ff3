/** A layer-2 broadcast domain. */
import { ApiError } from '#kernel/errors.ts'
import {
  type Context,
  defineResource,
  type Draft,
  flag,
  list,
  oneOf,
  parseUuid,
  type Resource,
  type Row,
  text,
  whole,
  type Write,
} from '#model/define.ts'
import { port } from './port.ts'
import { provider, refuseDuplicates, refuseOtherProvider, wishesOf } from './provider.ts'
import { segment, segmentsOf } from './segment.ts'
import { shareable } from './sharing.ts'
import { AUTO_DELETED_OWNERS, identity, IPV6_MTU, standard } from './standard.ts'
import { subnet } from './subnet.ts'

const attributes = {
  ...identity,
  name: text({ set: 'always', default: '', filter: true, sort: true }),
  admin_state_up: flag({ set: 'always', default: true, filter: true, sort: true }),
  status: oneOf(['ACTIVE', 'BUILD', 'DOWN', 'ERROR'], { filter: true, sort: true }),
  ...shareable,
  /** 0 or left out: the largest the segment carries. */
  mtu: whole({ set: 'always', min: 0, max: 65535, filter: true, sort: true, policy: true }),
  port_security_enabled: flag({ set: 'always', default: true, policy: true }),
  ...provider,
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
  precede: (context, op, id) => {
    if (op === 'delete') context.ipam.closePools({ network_id: id })
  },
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
  const reserved = await createSegments(context, wanted)
  return {
    status: 'ACTIVE',
    mtu: chosenMtu(context.segments.maxMtu(reserved), wanted.mtu),
  }
}

/** What the network asks for, reserved and stored before the network itself: its first image tells of them. */
async function createSegments(context: Context, wanted: Network): Promise<readonly Reserved[]> {
  const specs = wishesOf(wanted)
  if (specs.length > 1) refuseDuplicates(specs, context.segments.isPartial)
  const reserved: Reserved[] = []
  for (const spec of specs) reserved.push(await context.segments.reserve(spec, wanted.project_id))
  for (const [segment_index, one] of reserved.entries())
    await context.add(segment as Resource, { network_id: wanted.id, segment_index, ...one })
  return reserved
}
type Reserved = Awaited<ReturnType<Context['segments']['reserve']>>

/** A VLAN network takes another tag while nothing is bound to it. */
async function moveSegment(context: Context, old: Network, wanted: Network): Promise<void> {
  const segmentation_id = wanted['provider:segmentation_id'] ?? null
  if (segmentation_id === null || segmentation_id === old['provider:segmentation_id']) return
  const refuse = (sentence: string): never => {
    throw new ApiError('InvalidInput', { error_message: sentence })
  }
  const segments = (await segmentsOf(context, old.id)).filter((one) => !one.is_dynamic)
  const [current] = segments
  if (!current || segments.length > 1)
    return refuse('Provider network attributes can be updated only in provider networks with a single segment.')
  const ports = await context.find('port', { network_id: old.id })
  if (ports.some(isBound)) {
    const types = UNBOUND.join(', ')
    const attribute = 'provider:segmentation_id'
    refuse(
      `Provider network attribute ${attribute} cannot be updated if any port in the network has not the following binding:vif_type: ${types}`,
    )
  }
  if (current.network_type !== 'vlan') refuse('Only VLAN type networks can be updated.')
  const { network_type, physical_network } = current
  await context.segments.reserve({ network_type, physical_network, segmentation_id }, old.project_id)
  await context.update(segment as Resource, current.id, { segmentation_id })
  await context.segments.release([current])
}

const UNBOUND = ['unbound', 'binding_failed']

/** The service's own ports are everywhere; their hosts hear of the new tag. */
const isBound = (one: Readonly<Draft>): boolean =>
  !UNBOUND.includes(String(one['binding:vif_type'])) &&
  !(AUTO_DELETED_OWNERS as readonly unknown[]).includes(one['device_owner'])

async function updateNetwork(context: Context, { before, after, given }: Write<Network>): Promise<Partial<Draft>> {
  const [old, wanted] = [before as Network, after as Network]
  const patch: Partial<Draft> = {}
  refuseOtherProvider(old, wanted, given)
  if (given.has('provider:segmentation_id')) await moveSegment(context, old, wanted)
  if (given.has('mtu')) {
    const limit = context.segments.maxMtu(await segmentsOf(context, old.id))
    const mtu = chosenMtu(limit, wanted.mtu)
    if (mtu < IPV6_MTU) await refuseSmallMtu(context, old.id, mtu)
    patch['mtu'] = mtu
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
  for (const one of await segmentsOf(context, id)) await context.remove(segment as Resource, one.id)
}
