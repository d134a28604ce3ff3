/** Ranges of segmentation ids: those of the configuration, and those administrators set apart for projects or for all. */
import { ApiError } from '#kernel/errors.ts'
import { type Context, defineExtension, defineResource, type Draft, type Resource, type Write } from '#model/define.ts'
import { attributes, type Range } from './attributes.ts'

/** The ids each type has. */
const LARGEST = { vlan: 4094, vxlan: 2 ** 24 - 1, geneve: 2 ** 24 - 1, gre: 2 ** 32 - 1 } as const

const overlaps = (ids: readonly unknown[]): ApiError =>
  new ApiError('NetworkSegmentRangeOverlaps', { range_id: ids.join(', ') })

export const networkSegmentRange = defineResource({
  name: 'network_segment_range',
  plural: 'network_segment_ranges',
  path: 'network_segment_ranges',
  table: 'network_segment_ranges',
  docs: 'Segmentation ids that new networks draw: of the configuration (default), for all projects, or for one of them first.',
  notFound: { type: 'NetworkSegmentRangeNotFound', param: 'range_id' },
  conflicts: { network_segment_ranges_no_overlap: () => overlaps([]) },
  attributes,
  check: ({ op, before, after, internal }) => {
    if (before?.default && !internal)
      return [new ApiError('NetworkSegmentRangeDefaultReadOnly', { range_id: before.id })]
    return op === 'delete' || !after ? [] : [...checkKind(after), ...checkBounds(after)]
  },
  inTx: async (context, write) => {
    // More ids, perhaps those that a binding found exhausted.
    if (write.op !== 'delete') await context.retryBindings({})
    if (write.op === 'create') return createRange(context, write)
    if (write.op === 'update') await updateRange(context, write)
    else await deleteRange(context, write)
    return undefined
  },
})

function checkKind({ network_type, physical_network, shared, project_id }: Range): ApiError[] {
  if (network_type === null) return [new ApiError('NetworkSegmentRangeNetTypeNotSupported', { type: network_type })]
  const bad = (msg: string): ApiError => new ApiError('BadRequest', { resource: 'network_segment_range', msg })
  return [
    ...(network_type === 'vlan' && !physical_network
      ? [bad("Network type vlan requires 'physical_network' to be specified while creating new range")]
      : []),
    ...(!shared && !project_id ? [bad('a range that is not shared must have a project_id')] : []),
  ]
}

function checkBounds({ network_type, minimum, maximum }: Range): ApiError[] {
  if (network_type === null) return []
  const wrong = [minimum, maximum].find((one) => one > LARGEST[network_type])
  const range = `${minimum}:${maximum}`
  if (network_type === 'vlan') {
    const error =
      wrong === undefined ? 'End of VLAN range is less than start of VLAN range' : `${wrong} is not a valid VLAN tag`
    return wrong === undefined && minimum <= maximum
      ? []
      : [new ApiError('NetworkVlanRangeError', { vlan_range: range, error })]
  }
  const error =
    wrong === undefined
      ? 'End of tunnel range is less than start of tunnel range'
      : `${wrong} is not a valid ${network_type} identifier`
  return wrong === undefined && minimum <= maximum
    ? []
    : [new ApiError('NetworkTunnelRangeError', { tunnel_range: range, error })]
}

type Kind = Parameters<Context['segments']['remakePools']>[0]
const kindOf = ({ network_type, physical_network }: Range): Kind => ({
  network_type: String(network_type),
  physical_network: network_type === 'vlan' ? physical_network : null,
})

async function createRange(context: Context, { after }: Write<Range>): Promise<Partial<Draft>> {
  const wanted = after as Range
  const decided = { ...kindOf(wanted), project_id: wanted.shared ? null : wanted.project_id }
  await refuseOverlap(context, wanted)
  await context.segments.remakePools(decided, wanted.id, { ...wanted, ...decided })
  return decided
}

/** Those of the configuration lie below the others: they may overlap. */
async function refuseOverlap(context: Context, wanted: Range): Promise<void> {
  if (wanted.default) return
  const others = (await context.find('network_segment_range', {
    ...kindOf(wanted),
    default: false,
  })) as readonly Range[]
  const hit = others.filter(
    ({ id, minimum, maximum }) => id !== wanted.id && wanted.minimum <= maximum && wanted.maximum >= minimum,
  )
  if (hit.length > 0) throw overlaps(hit.map((one) => one.id))
}

/** As Neutron has it, a bound that is given may not even touch an id in use. */
async function updateRange(context: Context, { before, after, given }: Write<Range>): Promise<void> {
  const [old, wanted] = [before as Range, after as Range]
  if (!given.has('minimum') && !given.has('maximum')) return
  await refuseOverlap(context, wanted)
  const held = await heldIn(context, old, wanted)
  const [least, most] = [held[0], held.at(-1)]
  if (least === undefined || most === undefined) return
  const impacted = (given.has('minimum') && wanted.minimum >= least) || (given.has('maximum') && wanted.maximum <= most)
  if (impacted) throw new ApiError('NetworkSegmentRangeReferencedByProject', { range_id: old.id }, { least, most })
}

async function deleteRange(context: Context, { before, internal }: Write<Range>): Promise<void> {
  const old = before as Range
  const held = await heldIn(context, old, null)
  if (held.length > 0 && !internal)
    throw new ApiError('NetworkSegmentRangeReferencedByProject', { range_id: old.id }, { used: held.length })
}

/** The pools follow the change; answers which ids of the range as it was are held, in order. */
async function heldIn(context: Context, old: Range, wanted: Range | null): Promise<readonly number[]> {
  const held = await context.segments.remakePools(kindOf(old), old.id, wanted)
  return held.filter((id) => old.minimum <= id && id <= old.maximum)
}

export const networkSegmentRanges = defineExtension({
  alias: 'network-segment-range',
  name: 'Neutron Network Segment Range',
  description: 'Ranges of segmentation ids, managed by the API.',
  updated: '2018-11-29T00:00:00-00:00',
  requires: ['provider'],
  resources: [networkSegmentRange as unknown as Resource],
})
