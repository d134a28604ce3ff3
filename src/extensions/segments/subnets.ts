/** Subnets on segments: what may stand where, decided from the network's other subnets. Pure. */
import { ApiError } from '#kernel/errors.ts'
import { contains, parsePrefix } from '#kernel/ip.ts'

export interface SegmentSubnet {
  readonly id: string
  readonly network_id: string
  readonly segment_id: string | null
  readonly ip_version: number
  readonly cidr: string
  readonly gateway_ip: string | null
  readonly host_routes: readonly HostRoute[]
  readonly service_types?: readonly string[]
}
export interface HostRoute {
  readonly destination: string
  readonly nexthop: string
}

/** Subnets that only routers use span the segments. */
const ROUTED = 'network:routed'
const isRouted = ({ service_types }: SegmentSubnet): boolean => service_types?.includes(ROUTED) ?? false

/** All of a network's subnets stand on segments, or none does. */
export function mixture(subnets: readonly SegmentSubnet[]): ApiError | null {
  const [first, ...rest] = subnets.filter((one) => !isRouted(one))
  const mixed = first && rest.some((one) => (one.segment_id === null) !== (first.segment_id === null))
  return mixed ? new ApiError('SubnetsNotAllAssociatedWithSegments', { network_id: first.network_id }) : null
}

/** Only the lone subnet of a network of one segment may be put on it later. */
export function associationChange(
  old: SegmentSubnet,
  subnets: readonly SegmentSubnet[],
  segments: number,
): ApiError | null {
  const { network_id } = old
  if (subnets.filter((one) => !isRouted(one)).length > 1)
    return new ApiError('SubnetsNotAllAssociatedWithSegments', { network_id })
  if (old.segment_id !== null) return new ApiError('SubnetSegmentAssociationChangeNotAllowed')
  if (segments > 1) return new ApiError('NoUpdateSubnetWhenMultipleSegmentsOnNetwork', { network_id })
  return null
}

/**
 * The host routes of a subnet on a segment: its own and, through its gateway, one to each subnet of the network's
 * other segments that no own route covers. `gone`: gateway the routes led through, or block they led to, until now.
 */
export function routesWithPeers(
  { id, segment_id, ip_version, gateway_ip, host_routes }: SegmentSubnet,
  subnets: readonly SegmentSubnet[],
  gone: { readonly gateway?: string | null; readonly cidr?: string } = {},
): readonly HostRoute[] {
  const peers = subnets.filter((one) => one.id !== id && one.segment_id !== segment_id && one.ip_version === ip_version)
  const kept = host_routes.filter(
    ({ destination, nexthop }) =>
      !(nexthop === gateway_ip && destination === gone.cidr) &&
      !(gone.gateway && nexthop === gone.gateway && peers.some((one) => one.cidr === destination)),
  )
  if (!gateway_ip) return kept
  const missing = peers
    .filter(({ cidr }) => !kept.some(({ destination }) => covers(destination, cidr)))
    .sort((a, b) => (firstOf(a) < firstOf(b) ? -1 : 1))
  return [...kept, ...missing.map(({ cidr }) => ({ destination: cidr, nexthop: gateway_ip }))]
}

const firstOf = ({ cidr }: SegmentSubnet): bigint => parsePrefix(cidr)?.value ?? 0n

function covers(destination: string, cidr: string): boolean {
  const [outer, inner] = [parsePrefix(destination), parsePrefix(cidr)]
  return outer !== null && inner !== null && outer.length <= inner.length && contains(outer, inner)
}
