/**
 * The broadcast domains of a network on this host: one for each of its segments that ports here are bound on.
 *
 * Segments of one network are apart unless something outside joins them, as in Neutron: two ports of a host on two
 * segments meet where the segments do. So each domain has a key of its own in the register, its own way out and its
 * own flood lists. Bindings of several levels (a VLAN below a ToR's VXLAN) say that their segments are joined.
 */
import type { PortObject, SegmentObject } from '#wire/objects.ts'
import type { View } from '../view.ts'

const TUNNELS = ['vxlan', 'geneve', 'gre'] as const

/** How a segment leaves this host. */
export type Carrier =
  | { readonly kind: 'tunnel'; readonly ofport: number; readonly vni: number }
  | { readonly kind: 'provider'; readonly ofport: number; readonly vlan: number | null }
  | { readonly kind: 'none' }

export interface Domain {
  /** Its number in the register. */
  readonly key: number
  /** Null: the network has none. */
  readonly segment: SegmentObject | null
  /** Null: this host does not reach the segment. */
  readonly carrier: Carrier | null
  /** The segment and those it is joined with; null: no binding says, all of the network's are taken to be. */
  readonly joined: ReadonlySet<string> | null
  /** Last members of the bindings on it; '' where they do not say. Names flood lists. */
  readonly bottoms: readonly string[]
}

/** In the order in which the network names its segments. Nothing for a network that is not known. */
export function domainsOf(network: string, view: View): readonly Domain[] {
  const segments = view.segmentsOf(network)
  if (!segments) return []
  const chains = view.chainsIn(network).map((chain) => chain.split(' '))
  const said = chains.filter((chain) => chain[0] !== '')
  const unsaid = said.length < chains.length || said.length === 0
  const first = unsaid ? firstReached(segments, view) : undefined
  const domains = segments.flatMap((segment) => {
    const here = said.filter((chain) => chain.at(-1) === segment.id)
    if (here.length === 0 && segment !== first) return []
    return {
      key: view.number('network', segment.id),
      segment,
      carrier: carrierOf(segment, view),
      joined: here.length === 0 ? null : new Set(here.flat()),
      bottoms: [...(here.length > 0 ? [segment.id] : []), ...(segment === first ? [''] : [])],
    }
  })
  if (segments.length > 0) return domains
  return [{ key: view.number('network', network), segment: null, carrier: null, joined: null, bottoms: [''] }]
}

/** Where a port of this host is. Null: its segment is not known here yet. */
export function domainOf({ network_id, segment_ids }: PortObject, view: View): Domain | null {
  const bottom = segment_ids.at(-1) ?? ''
  const domains = domainsOf(network_id, view)
  const own = domains.find(({ bottoms }) => bottoms.includes(bottom))
  return own ?? (bottom === '' ? (domains[0] ?? null) : null)
}

/** Whether what is bound on these segments is in the domain. */
export const isIn = ({ joined }: Domain, segmentIds: readonly string[]): boolean =>
  joined === null || segmentIds.length === 0 || segmentIds.some((id) => joined.has(id))

/** What older servers meant, who did not say: the first segment this host reaches, else the first. */
const firstReached = (segments: readonly SegmentObject[], view: View): SegmentObject | undefined =>
  segments.find((segment) => carrierOf(segment, view) !== null) ?? segments[0]

function carrierOf({ network_type, physical_network, segmentation_id }: SegmentObject, view: View): Carrier | null {
  if (network_type === 'local') return { kind: 'none' }
  if (TUNNELS.some((type) => type === network_type)) {
    const ofport = view.ofport('tunnels', network_type)
    return ofport === undefined ? null : { kind: 'tunnel', ofport, vni: segmentation_id ?? 0 }
  }
  const ofport = view.ofport('patches', physical_network ?? '')
  return ofport === undefined ? null : { kind: 'provider', ofport, vlan: segmentation_id }
}

/** As operators know it: `vlan 101 on physnet1`. */
export const nameOf = ({ network_type, segmentation_id, physical_network }: SegmentObject): string =>
  network_type +
  (segmentation_id === null ? '' : ` ${segmentation_id}`) +
  (physical_network ? ` on ${physical_network}` : '')
