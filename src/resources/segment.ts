/** A part of a network that one kind of encapsulation, VLAN or physical network carries. */
import { ApiError } from '#kernel/errors.ts'
import {
  type Context,
  defineResource,
  type Draft,
  flag,
  optional,
  type Row,
  text,
  uuid,
  whole,
  type Write,
} from '#model/define.ts'
import { LARGEST_ID } from './provider.ts'
import { standard } from './standard.ts'

const attributes = {
  id: uuid({ filter: true, sort: true }),
  network_id: uuid({ set: 'create', required: true, filter: true, sort: true }),
  name: optional(text({ set: 'always', filter: true, sort: true })),
  network_type: text({ set: 'create', required: true, max: 32, filter: true, sort: true }),
  physical_network: optional(text({ set: 'create', max: 64, filter: true, sort: true })),
  segmentation_id: optional(whole({ set: 'create', min: 0, max: LARGEST_ID, sort: true })),
  /** Made for a binding, and gone with the last one. */
  is_dynamic: flag({ visible: false, default: false }),
  /** Where it stands among the network's segments. */
  segment_index: whole({ visible: false, default: 0 }),
  ...standard,
} as const
export type SegmentObject = Row<typeof attributes>

export const segment = defineResource({
  name: 'segment',
  plural: 'segments',
  table: 'network_segments',
  docs: 'A part of a network that one kind of encapsulation, VLAN or physical network carries. A network has one or more.',
  notFound: { type: 'SegmentNotFound', param: 'segment_id' },
  inUse: ({ id }) => inUse(String(id), 'The segment is still associated with subnet(s)'),
  references: { network_id: { resource: 'network', lock: 'update' } },
  bumps: ['network_id'],
  attributes,
  inTx: async (context, write) => {
    if (write.op === 'create' && !write.internal) return createSegment(context, write)
    if (write.op === 'delete') await deleteSegment(context, write)
    return undefined
  },
})

export const inUse = (segment_id: string, reason: string, facts: Readonly<Draft> = {}): ApiError =>
  new ApiError('SegmentInUse', { segment_id, reason }, facts)

/** The segments of a network in their order, dynamic ones too. */
export async function segmentsOf(context: Context, network_id: string): Promise<readonly SegmentObject[]> {
  const found = (await context.find('segment', { network_id })) as unknown as readonly SegmentObject[]
  return [...found].sort((a, b) => a.segment_index - b.segment_index)
}

/** One that a new network brings along is reserved by the network. */
async function createSegment(context: Context, { after }: Write<SegmentObject>): Promise<Partial<Draft>> {
  const { network_id, network_type, physical_network, segmentation_id } = after as SegmentObject
  const network = (await context.load('network', network_id)) ?? {}
  const wish = { network_type, physical_network: physical_network || null, segmentation_id: segmentation_id || null }
  const reserved = await context.segments.reserve(wish, String(network['project_id']))
  const others = await segmentsOf(context, network_id)
  const largest = context.segments.maxMtu([...others, reserved])
  if (largest < Number(network['mtu']))
    throw new ApiError('InvalidInput', { error_message: `Requested MTU is too big, maximum is ${largest}` })
  return { ...reserved, segment_index: (others.at(-1)?.segment_index ?? -1) + 1 }
}

async function deleteSegment(context: Context, { before, internal }: Write<SegmentObject>): Promise<void> {
  const { id, network_id, is_dynamic } = before as SegmentObject
  if (!internal && !is_dynamic) {
    // Two that go at once must not both believe that the other stays.
    await context.load('network', network_id, 'update')
    const others = (await segmentsOf(context, network_id)).filter((one) => one.id !== id && !one.is_dynamic)
    if (others.length === 0) throw inUse(id, 'it is the last segment of its network', { reason: 'last_segment' })
  }
  await context.segments.release([before as SegmentObject])
}
