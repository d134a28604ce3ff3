/** Which addresses a port keeps, gives up and needs anew, and out of which subnets: pure. */
import { ApiError } from '#kernel/errors.ts'
import { contains, eui64, formatIp, parseIp, parsePrefix, type Prefix } from '#kernel/ip.ts'
import type { AddressOwner, AddressRequest, FixedIp } from '#model/context.ts'
import type { Draft } from '#model/define.ts'
import { hostsOf, isAutomatic, ROUTER_INTERFACE_OWNERS } from '#resources/subnet-addresses.ts'

/** A subnet as allocation sees it. */
export interface SubnetFacts {
  readonly id: string
  readonly block: Prefix
  /** Its addresses follow from MACs. */
  readonly automatic: boolean
  /** The segment it stands on; null: it spans the network. */
  readonly segmentId: string | null
  /** Owners whose ports it is for; none: for all. */
  readonly serviceTypes: readonly string[]
  readonly dhcp: boolean
}

/** One address to take: this one, one out of the first of these subnets that has one left, or the one its MAC gives. */
export type Wish =
  | { readonly kind: 'exactly'; readonly subnet: SubnetFacts; readonly ip_address: string }
  | { readonly kind: 'any'; readonly subnets: readonly SubnetFacts[] }
  | { readonly kind: 'automatic'; readonly subnet: SubnetFacts }

export const factsOf = (subnet: Readonly<Draft>): SubnetFacts => ({
  id: String(subnet['id']),
  block: parsePrefix(String(subnet['cidr'])) as Prefix,
  automatic: isAutomatic(subnet),
  segmentId: (subnet['segment_id'] ?? null) as string | null,
  serviceTypes: (subnet['service_types'] ?? []) as readonly string[],
  dhcp: subnet['enable_dhcp'] === true,
})

const isRouterInterface = ({ device_owner }: AddressOwner): boolean => ROUTER_INTERFACE_OWNERS.includes(device_owner)

/** What allocation knows of a network. */
export interface Ground {
  readonly subnets: readonly SubnetFacts[]
  /** Segments that the port's host reaches, in their order; null: its host is not known. */
  readonly reach: readonly string[] | null
}

/**
 * The grounds to try one after another for a port that asks for nothing: its addresses are all of one segment, so a host
 * that reaches several gives as many choices.
 */
export function choices(owner: AddressOwner, { subnets, reach }: Ground): readonly Ground[] {
  if (reach === null || reach.length < 2) return [{ subnets, reach }]
  const standing = new Set(forService(owner, subnets).map((one) => one.segmentId))
  const open = reach.filter((segment) => standing.has(segment))
  return open.length < 2 ? [{ subnets, reach }] : open.map((segment) => ({ subnets, reach: [segment] }))
}

/**
 * The subnets for such a port, those made for its owner first: where its host reaches or, as long as nobody knows its
 * host, where what it has or asks for stands. None, without an error: it has to wait for its host.
 */
export function candidates(
  owner: AddressOwner,
  ground: Ground,
  named: readonly AddressRequest[] | undefined,
): readonly SubnetFacts[] {
  const fitting = forService(owner, ground.subnets)
  if (fitting.every((one) => one.segmentId === null)) return fitting
  return ground.reach ? within(owner, fitting, ground.reach, named) : beside(owner, fitting, named)
}

function forService(owner: AddressOwner, subnets: readonly SubnetFacts[]): readonly SubnetFacts[] {
  const own = subnets.filter(({ serviceTypes }) => serviceTypes.includes(owner.device_owner))
  const open = subnets.filter((one) => one.serviceTypes.length === 0 || isForDhcp(owner, one))
  const found = [...new Set([...own, ...open])]
  if (found.length > 0 || subnets.length === 0) return found
  throw new ApiError('IpAddressGenerationFailureNoMatchingSubnet', {
    network_id: owner.network_id,
    service_type: owner.device_owner,
  })
}

function within(
  owner: AddressOwner,
  subnets: readonly SubnetFacts[],
  reach: readonly string[],
  named: readonly AddressRequest[] | undefined,
): readonly SubnetFacts[] {
  const { host, network_id } = owner
  const found = subnets.filter(({ segmentId }) => segmentId === null || reach.includes(segmentId))
  if (found.length === 0) throw new ApiError('HostNotConnectedToAnySegment', { host, network_id })
  const standing = new Set(found.flatMap((one) => one.segmentId ?? []))
  if (standing.size < 2) return found
  // Where the first of what it has or asks for stands; else the first that the host reaches.
  if (named?.some((request) => found.some((one) => isNamed(one, request)))) return beside(owner, found, named)
  const first = reach.find((segment) => standing.has(segment))
  return found.filter(({ segmentId }) => segmentId === null || segmentId === first)
}

/** The network's DHCP server is on every host; any other port is on one, so its addresses are of one segment. */
function beside(
  owner: AddressOwner,
  subnets: readonly SubnetFacts[],
  named: readonly AddressRequest[] | undefined,
): readonly SubnetFacts[] {
  if (owner.device_owner === 'network:dhcp') return subnets
  const chosen = (named ?? []).map((request) => subnets.find((one) => isNamed(one, request)))
  // Not of this network: what is wrong with it is said where it is looked up.
  if (chosen.some((one) => one === undefined)) return subnets
  const segments = new Set(chosen.map((one) => one?.segmentId ?? null))
  if (segments.size > 1) throw new ApiError('FixedIpsSubnetsNotOnSameSegment')
  const [segment = null] = segments
  return subnets.filter((one) => one.segmentId === segment)
}

function isNamed({ id, block }: SubnetFacts, { subnet_id, ip_address }: AddressRequest): boolean {
  if (subnet_id !== undefined) return id === subnet_id
  const ip = ip_address === undefined ? null : parseIp(ip_address)
  return ip !== null && contains(block, ip)
}

/** A DHCP server may stand in any subnet it serves. */
const isForDhcp = ({ device_owner }: AddressOwner, { dhcp }: SubnetFacts): boolean =>
  dhcp && device_owner === 'network:dhcp'

/**
 * Without requests: one IPv4 and one IPv6 address. With them or without: one in every subnet with automatic addresses
 * that is not `handled` already, for hosts take an address of every prefix announced on their link. Routers choose
 * theirs.
 */
export function wishesOf(
  owner: AddressOwner,
  ground: Ground,
  requests: readonly AddressRequest[] | undefined,
  kept: readonly FixedIp[] = [],
  handled: ReadonlySet<string> = new Set(),
): Wish[] {
  const found = candidates(owner, ground, requests && [...kept, ...requests])
  const asked = requests ? requests.flatMap((one) => requestedOf(owner, found, one)) : anyOf(found)
  if (isRouterInterface(owner)) return asked
  const open = found.filter((one) => one.automatic && !handled.has(one.id))
  return [...asked, ...open.map((subnet) => ({ kind: 'automatic' as const, subnet }))]
}

const anyOf = (subnets: readonly SubnetFacts[]): Wish[] =>
  ([4, 6] as const).flatMap((version) => {
    const fitting = subnets.filter((one) => !one.automatic && one.block.version === version)
    return fitting.length > 0 ? [{ kind: 'any' as const, subnets: fitting }] : []
  })

/** Nothing for what the port has without asking: its automatic addresses. */
function requestedOf(owner: AddressOwner, subnets: readonly SubnetFacts[], request: AddressRequest): Wish[] {
  const subnet = subnetFor(owner, subnets, request)
  const { ip_address } = request
  const own = subnet.automatic && !isRouterInterface(owner)
  if (ip_address === undefined) return own ? [] : [{ kind: 'any', subnets: [subnet] }]
  if (own && formatIp(eui64(subnet.block, owner.mac_address)) === ip_address) return []
  if (own && !owner.device_owner.startsWith('network:router_'))
    throw new ApiError('AllocationOnAutoAddressSubnet', { ip: ip_address, subnet_id: subnet.id })
  return [{ kind: 'exactly', subnet, ip_address }]
}

function subnetFor(
  owner: AddressOwner,
  subnets: readonly SubnetFacts[],
  { subnet_id, ip_address }: AddressRequest,
): SubnetFacts {
  if (subnet_id !== undefined) {
    const subnet = subnets.find((one) => one.id === subnet_id)
    const sentence = `Failed to create port on network ${owner.network_id}, because fixed_ips included invalid subnet ${subnet_id}`
    if (!subnet) throw new ApiError('InvalidInput', { error_message: sentence }, { reason: 'subnet_not_on_network' })
    if (ip_address !== undefined && !isHost(owner, subnet, ip_address))
      throw new ApiError('InvalidIpForSubnet', { ip_address })
    return subnet
  }
  if (ip_address === undefined)
    throw new ApiError('InvalidInput', { error_message: 'IP allocation requires subnet_id or ip_address' })
  const subnet = subnets.find((one) => isHost(owner, one, ip_address))
  if (!subnet) throw new ApiError('InvalidIpForNetwork', { ip_address })
  return subnet
}

/** Routers may have the routers' anycast address of an IPv6 subnet, its first (RFC 4291 §2.6.1). */
function isHost(owner: AddressOwner, { block }: SubnetFacts, text: string): boolean {
  const ip = parseIp(text)
  if (!ip || !contains(block, ip)) return false
  const { first, last } = hostsOf(block)
  const anycast =
    block.version === 6 && (owner.device_owner === '' || /^network:(ha_)?router_/.test(owner.device_owner))
  return anycast || (ip.value >= first && ip.value <= last)
}

export interface Change {
  readonly keep: readonly FixedIp[]
  readonly leave: readonly FixedIp[]
  readonly fresh: readonly AddressRequest[]
}

/**
 * What is held is kept if it is named again by address, else by subnet alone; automatic addresses stay until their
 * subnet is given up with `delete_subnet`.
 */
export function changeOf(
  owner: AddressOwner,
  held: readonly FixedIp[],
  requests: readonly AddressRequest[],
  automatic: ReadonlySet<string>,
): Change {
  const dropped = new Set(requests.flatMap((one) => (one.delete_subnet ? [one.subnet_id] : [])))
  const keep = new Set<FixedIp>()
  const fresh: AddressRequest[] = []
  const byAddressFirst = [...requests].sort((a, b) => Number(!a.ip_address) - Number(!b.ip_address))
  for (const request of byAddressFirst.filter((one) => !dropped.has(one.subnet_id))) {
    const again = held.find((one) => !keep.has(one) && !dropped.has(one.subnet_id) && namesAgain(request, one))
    if (again) keep.add(again)
    else fresh.push(request)
  }
  if (!isRouterInterface(owner))
    for (const one of held) if (automatic.has(one.subnet_id) && !dropped.has(one.subnet_id)) keep.add(one)
  const kept = held.filter((one) => keep.has(one))
  return { keep: kept, leave: held.filter((one) => !keep.has(one)), fresh }
}

const namesAgain = ({ subnet_id, ip_address }: AddressRequest, held: FixedIp): boolean =>
  (ip_address === undefined || ip_address === held.ip_address) &&
  (subnet_id === undefined || subnet_id === held.subnet_id)
