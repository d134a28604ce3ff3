/** Segments of networks beyond the network itself: subnets on them, routes between them, which hosts reach them. */
import { ApiError } from '#kernel/errors.ts'
import {
  type Context,
  defineExtension,
  defineResource,
  type Draft,
  type Extension,
  type ExtensionPart,
  flag,
  optional,
  type Resource,
  uuid,
} from '#model/define.ts'
import { inUse, segmentsOf } from '#resources/segment.ts'
import { AUTO_DELETED_OWNERS } from '#resources/standard.ts'
import { isAutomatic } from '#resources/subnet-addresses.ts'
import { siblings, subnet } from '#resources/subnet.ts'
import { hostActions, hosts, segmentHost } from './hosts.ts'
import { associationChange, mixture, routesWithPeers, type SegmentSubnet } from './subnets.ts'

const subnetsOf = async (context: Context, network_id: unknown): Promise<readonly SegmentSubnet[]> =>
  (await context.find('subnet', { network_id: String(network_id) })) as unknown as readonly SegmentSubnet[]

const onSubnet: ExtensionPart = {
  attributes: { segment_id: optional(uuid({ set: 'always', filter: true, sort: true, policy: true })) },
  conflicts: {
    // Asked of a new subnet whose segment went meanwhile, or of a segment that a new subnet stands on.
    subnets_segment_id_fkey: ({ values: [segment_id], object }) =>
      'cidr' in object || 'segment_id' in object
        ? new ApiError('SegmentNotFound', { segment_id })
        : inUse(String(segment_id), 'The segment is still associated with subnet(s)'),
  },
  inTx: async (context, { op, before, after, given, internal }) => {
    const [old, wanted] = [before, after] as unknown as readonly [SegmentSubnet, SegmentSubnet]
    if (op === 'create') return createOn(context, wanted)
    // What the system changes of subnets, routes between them included, is decided where it does so.
    if (internal) return undefined
    if (op === 'update') return updateOn(context, old, wanted, given)
    if (old.segment_id === null) return undefined
    if (isAutomatic(before ?? {})) await keepAddressed(context, old.id)
    const others = (await subnetsOf(context, old.network_id)).filter((one) => one.id !== old.id)
    await updateRoutes(context, others, others, { cidr: old.cidr })
    return undefined
  },
}

/** A port whose last address would go would belong to no segment any more. */
async function keepAddressed(context: Context, subnet_id: string): Promise<void> {
  const holders = await context.find('port', { 'fixed_ips:subnet_id': subnet_id })
  const stranded = holders.filter(
    (one) =>
      !(AUTO_DELETED_OWNERS as readonly unknown[]).includes(one['device_owner']) &&
      (one['fixed_ips'] as readonly { subnet_id: string }[]).every((fixed) => fixed.subnet_id === subnet_id),
  )
  if (stranded.length === 0) return
  const reason = 'One or more ports have an IP allocation from this subnet.'
  const ports = stranded.slice(0, NAMED).map((one) => one['id'])
  throw new ApiError('SubnetInUse', { subnet_id, reason }, { reason: 'last_addresses', ports })
}

async function createOn(context: Context, wanted: SegmentSubnet): Promise<Partial<Draft> | undefined> {
  const others = (await siblings(context, String(wanted.network_id))) as unknown as readonly SegmentSubnet[]
  const issue = mixture([...others, wanted])
  if (issue) throw issue
  if (wanted.segment_id === null) return undefined
  await requireSegment(context, wanted)
  await updateRoutes(context, others, [...others, wanted])
  return { host_routes: routesWithPeers(wanted, others) }
}

async function updateOn(
  context: Context,
  old: SegmentSubnet,
  wanted: SegmentSubnet,
  given: ReadonlySet<string>,
): Promise<Partial<Draft> | undefined> {
  const moved = wanted.segment_id !== old.segment_id
  if (moved) {
    await context.load('network', old.network_id, 'update')
    const segments = await segmentsOf(context, old.network_id)
    const issue = associationChange(old, await subnetsOf(context, old.network_id), segments.length)
    if (issue) throw issue
    await requireSegment(context, wanted)
  }
  const rerouted = moved || given.has('host_routes') || wanted.gateway_ip !== old.gateway_ip
  if (wanted.segment_id === null || !rerouted) return undefined
  const gone = wanted.gateway_ip === old.gateway_ip ? {} : { gateway: old.gateway_ip }
  return { host_routes: routesWithPeers(wanted, await subnetsOf(context, old.network_id), gone) }
}

async function requireSegment(context: Context, { segment_id, network_id }: SegmentSubnet): Promise<void> {
  if (segment_id === null) return
  const segment = await context.load('segment', segment_id)
  if (!segment) throw new ApiError('SegmentNotFound', { segment_id })
  if (segment['network_id'] !== network_id)
    throw new ApiError('NetworkIdsDontMatch', { subnet_network: network_id, segment_id })
  if (segment['is_dynamic']) throw new ApiError('SubnetCantAssociateToDynamicSegment')
}

/** The routes of these subnets follow what the network's subnets are by now. */
async function updateRoutes(
  context: Context,
  changing: readonly SegmentSubnet[],
  subnets: readonly SegmentSubnet[],
  gone: Parameters<typeof routesWithPeers>[2] = {},
): Promise<void> {
  for (const one of changing) {
    const host_routes = routesWithPeers(one, subnets, gone)
    if (one.segment_id !== null && JSON.stringify(host_routes) !== JSON.stringify(one.host_routes))
      await context.update(subnet as Resource, one.id, { host_routes })
  }
}

/** Ports that are named to whoever takes away what they stand on. */
const NAMED = 50

/** A port that is bound on a segment; for hooks. */
const segmentPort = defineResource({
  name: 'segment_port',
  plural: 'segment_ports',
  table: 'segment_ports',
  docs: 'A port that is bound on a segment, on any level of its binding.',
  notFound: { type: 'SegmentNotFound', param: 'segment_id' },
  operations: [],
  attributes: { id: uuid(), network_id: uuid(), segment_id: uuid() },
})

const onSegment: ExtensionPart = {
  attributes: { hosts },
  actions: hostActions,
  inTx: async (context, { op, before, after, internal }) => {
    if (op === 'create' && !internal) await context.retryBindings({ network_id: String(after?.['network_id']) })
    if (op !== 'delete' || internal) return undefined
    await refuseInUse(context, before as Readonly<Draft>)
    return undefined
  },
}

/** Whoever binds holds the segment: none is bound on it after this. */
async function refuseInUse(context: Context, { id, network_id }: Readonly<Draft>): Promise<void> {
  const segment_id = String(id)
  const subnets = (await context.find('subnet', { segment_id })).map((one) => one['id'])
  const standing = `The segment is still associated with subnet(s) ${subnets.join(', ')}`
  if (subnets.length > 0) throw inUse(segment_id, standing, { reason: 'subnets_on_segment', subnets })
  const bound = await context.find('segment_port', { network_id: String(network_id), segment_id })
  const ports = bound.map((one) => one['id'])
  const carried = `The segment is still bound with ${ports.length} port(s)`
  if (ports.length > 0) throw inUse(segment_id, carried, { reason: 'ports_on_segment', ports: ports.slice(0, NAMED) })
}
const l2Adjacency = flag({
  sql: 'not exists (select 1 from subnets s where s.network_id = t.id and s.segment_id is not null)',
})

const part = (
  alias: string,
  name: string,
  description: string,
  updated: string,
  more: Partial<Pick<Extension, 'requires' | 'on' | 'resources'>> = {},
): Extension => defineExtension({ alias, name, description, updated, ...more })

export const segments: readonly Extension[] = Object.freeze([
  part('segment', 'Segment', 'The segments of networks, and subnets on them.', '2016-02-24T17:00:00-00:00', {
    requires: ['standard-attr-description'],
    on: { subnet: onSubnet, segment: onSegment },
    resources: [segmentHost, segmentPort] as unknown as Resource[],
  }),
  part(
    'standard-attr-segment',
    'Standard Attribute Segment Extension',
    'Segments have descriptions, revisions and timestamps.',
    '2018-04-09T10:00:00-00:00',
    { requires: ['segment'] },
  ),
  part(
    'subnet-segmentid-writable',
    'Subnet SegmentID (writable)',
    'A subnet may be put on a segment later.',
    '2018-03-12T00:00:00-00:00',
    { requires: ['segment'] },
  ),
  part(
    'segments-peer-subnet-host-routes',
    'Segments peer-subnet host routes',
    'Subnets on segments tell their hosts the way to those on the other segments.',
    '2018-06-12T10:00:00-00:00',
    { requires: ['segment'] },
  ),
  part(
    'l2_adjacency',
    'L2 Adjacency',
    'Whether all of a network is one broadcast domain.',
    '2016-04-12T16:00:00-00:00',
    { on: { network: { attributes: { l2_adjacency: l2Adjacency } } } },
  ),
  part('multi-provider', 'Multi Provider Network', 'Networks of several segments.', '2013-06-27T10:00:00-00:00', {
    requires: ['provider'],
  }),
])
