/** A subnet's address rules, pure: gateways, pools, IPv6 modes and what contradicts what. */
import { ApiError } from '#kernel/errors.ts'
import {
  contains,
  formatIp,
  type IpRange,
  parseIp,
  parsePrefix,
  type Prefix,
  rangeOf,
  rangesOverlap,
} from '#kernel/ip.ts'
import type { Limits, Write } from '#model/define.ts'

interface Addresses {
  readonly id: string
  readonly cidr: string | null
  readonly ip_version: number
  readonly gateway_ip: string | null | undefined
  readonly allocation_pools: readonly { readonly start: string; readonly end: string }[]
  readonly dns_nameservers: readonly string[]
  readonly host_routes: readonly { readonly destination: string; readonly nexthop: string }[]
  readonly enable_dhcp: boolean
  readonly ipv6_ra_mode: string | null
  readonly ipv6_address_mode: string | null
  readonly subnetpool_id?: string | null
  readonly use_default_subnetpool?: boolean
  readonly prefixlen?: number | undefined
}

const invalid = (sentence: string): ApiError => new ApiError('InvalidInput', { error_message: sentence })

/** Owners of the ports with which routers stand in subnets: they choose their addresses, even automatic ones. */
export const ROUTER_INTERFACE_OWNERS: readonly string[] = [
  'network:router_interface',
  'network:ha_router_replicated_interface',
  'network:router_interface_distributed',
  'network:router_centralized_snat',
]

type Modes = Readonly<Partial<Record<'ipv6_ra_mode' | 'ipv6_address_mode', unknown>>>
const AUTOMATIC_MODES: readonly unknown[] = ['slaac', 'dhcpv6-stateless']

/** Addresses of such a subnet follow from the MACs of its ports (RFC 4862). */
export const isAutomatic = ({ ipv6_ra_mode, ipv6_address_mode }: Modes): boolean =>
  AUTOMATIC_MODES.includes(ipv6_ra_mode) || AUTOMATIC_MODES.includes(ipv6_address_mode)

/** As Neutron chooses it: the first host of IPv4, the routers' anycast address of IPv6; none in a block of one address. */
export const defaultGateway = (block: Prefix): string | null => {
  const { first, last } = rangeOf(block)
  if (first === last) return null
  return formatIp({ version: block.version, value: block.version === 4 ? first + 1n : first })
}

/** What ports can have: all but the network's own address and the IPv4 broadcast; of two addresses or one, all. */
export function hostsOf(block: Prefix): IpRange {
  const { first, last } = rangeOf(block)
  if (last - first < 2n) return { first, last }
  return { first: first + 1n, last: block.version === 4 ? last - 1n : last }
}

/** Host addresses without the gateway. */
export function defaultPools(block: Prefix, gateway: string | null): { start: string; end: string }[] {
  const hosts = hostsOf(block)
  const hole = gateway ? parseIp(gateway)?.value : undefined
  const parts =
    hole === undefined || hole < hosts.first || hole > hosts.last
      ? [hosts]
      : [
          { first: hosts.first, last: hole - 1n },
          { first: hole + 1n, last: hosts.last },
        ]
  return parts
    .filter((part) => part.first <= part.last)
    .map((part) => ({
      start: formatIp({ version: block.version, value: part.first }),
      end: formatIp({ version: block.version, value: part.last }),
    }))
}

export function checkSubnet({ op, before, after, given, internal }: Write<Addresses>, limits: Limits): ApiError[] {
  const wanted = after as Addresses
  return [
    ...(op === 'create' ? checkOrigin(wanted) : checkSwitchedOff(before as Addresses, wanted)),
    ...(internal ? [] : checkLists(wanted, given, limits)),
    ...checkBlock(wanted, before),
  ]
}

/** What depends on the block, once it is known. */
export function checkBlock(wanted: Addresses, before: Addresses | null): ApiError[] {
  const block = wanted.cidr ? parsePrefix(wanted.cidr) : null
  if (!block) return []
  return [
    ...(block.length === 0 ? [invalid('0 is not allowed as CIDR prefix length')] : []),
    ...checkVersion(wanted, block),
    ...(wanted.enable_dhcp && !before?.enable_dhcp ? checkServable(block) : []),
    ...(before ? [] : checkModes(wanted, block)),
    ...checkPools(wanted, block),
  ]
}

export const badSubnet = (msg: string): ApiError => new ApiError('BadRequest', { resource: 'subnets', msg })

/** Where the block comes from: given, or cut from a pool. */
function checkOrigin(wanted: Addresses): ApiError[] {
  const { cidr, prefixlen, subnetpool_id, use_default_subnetpool, allocation_pools } = wanted
  const pooled = Boolean(subnetpool_id) || use_default_subnetpool === true
  const issues: ApiError[] = []
  if (cidr && prefixlen !== undefined) issues.push(badSubnet('cidr and prefixlen must not be supplied together'))
  if (subnetpool_id && use_default_subnetpool)
    issues.push(badSubnet('subnetpool_id and use_default_subnetpool cannot both be specified'))
  if (!cidr && !pooled) issues.push(badSubnet('a subnetpool must be specified in the absence of a cidr'))
  if (!cidr && allocation_pools) issues.push(badSubnet('allocation_pools allowed only for specific subnet requests'))
  return issues
}

function checkVersion(wanted: Addresses, block: Prefix): ApiError[] {
  const { version } = block
  const issues: ApiError[] = []
  const agree = (name: string, text: string): boolean => {
    if (parsePrefix(text)?.version === version) return true
    issues.push(invalid(`${name} '${text}' does not match the ip_version '${wanted.ip_version ?? version}'`))
    return false
  }
  if (wanted.ip_version !== undefined && wanted.ip_version !== version)
    issues.push(invalid(`cidr '${wanted.cidr}' does not match the ip_version '${wanted.ip_version}'`))
  if (wanted.gateway_ip && agree('gateway_ip', wanted.gateway_ip) && isReserved(block, wanted.gateway_ip))
    issues.push(invalid('Gateway is not valid on subnet'))
  for (const one of wanted.dns_nameservers ?? []) agree('dns_nameserver', one)
  for (const { nexthop, destination } of wanted.host_routes ?? [])
    if (agree('nexthop', nexthop)) agree('destination', destination)
  return issues
}

/** The network's own address and the broadcast of IPv4 are no router's. */
function isReserved(block: Prefix, gateway: string): boolean {
  const ip = parseIp(gateway)
  const { first, last } = hostsOf(block)
  return block.version === 4 && ip !== null && contains(block, ip) && (ip.value < first || ip.value > last)
}

const LOOPBACK = ['127.0.0.0/8', '::1/128'].map((one) => parsePrefix(one) as Prefix)
const MULTICAST = ['224.0.0.0/4', 'ff00::/8'].map((one) => parsePrefix(one) as Prefix)
const isIn = (outer: readonly Prefix[], { version, value }: Prefix): boolean =>
  outer.some((one) => contains(one, { version, value }))

/** Can a DHCP server stand in it? */
function checkServable(block: Prefix): ApiError[] {
  if (block.length > (block.version === 4 ? 30 : 126))
    return [invalid('Subnet has a prefix length that is incompatible with DHCP service enabled')]
  if (isIn(MULTICAST, block)) return [invalid('Multicast IP subnet is not supported if enable_dhcp is True')]
  if (isIn(LOOPBACK, block)) return [invalid('Loopback IP subnet is not supported if enable_dhcp is True')]
  const fromZero = block.version === 4 && rangeOf(block).first === 0n
  return fromZero ? [invalid("First IP '0.0.0.0' of network is not supported if enable_dhcp is True.")] : []
}

function checkSwitchedOff(before: Addresses, wanted: Addresses): ApiError[] {
  const guided = wanted.ipv6_ra_mode || wanted.ipv6_address_mode
  return before.enable_dhcp && !wanted.enable_dhcp && guided
    ? [invalid('Cannot disable enable_dhcp with ipv6 attributes set')]
    : []
}

function checkModes(wanted: Addresses, block: Prefix): ApiError[] {
  const { ipv6_ra_mode: ra, ipv6_address_mode: mode } = wanted
  if (!ra && !mode) return []
  if (block.version === 4)
    return [invalid(`${ra ? 'ipv6_ra_mode' : 'ipv6_address_mode'} is not valid when ip_version is 4`)]
  const issues: ApiError[] = []
  if (!wanted.enable_dhcp)
    issues.push(invalid('ipv6_ra_mode or ipv6_address_mode cannot be set when enable_dhcp is set to False'))
  if (ra && mode && ra !== mode) {
    issues.push(
      invalid(
        `ipv6_ra_mode set to '${ra}' with ipv6_address_mode set to '${mode}' is not valid. If both attributes are set, they must be the same value`,
      ),
    )
  }
  if (isAutomatic(wanted) && block.length !== 64)
    issues.push(
      invalid(
        `Invalid CIDR ${wanted.cidr} for IPv6 address mode. OpenStack uses the EUI-64 address format, which requires the prefix to be /64`,
      ),
    )
  return issues
}

/** Of what the client gives: routes between segments, which the system adds, are as many as there are segments. */
function checkLists(wanted: Addresses, given: ReadonlySet<string>, limits: Limits): ApiError[] {
  const issues: ApiError[] = []
  const { dns_nameservers = [], host_routes = [] } = wanted
  const subnet_id = wanted.id
  if (given.has('dns_nameservers') && dns_nameservers.length > limits.maxDnsNameservers)
    issues.push(new ApiError('DNSNameServersExhausted', { subnet_id, quota: limits.maxDnsNameservers }))
  if (given.has('host_routes') && host_routes.length > limits.maxHostRoutes)
    issues.push(new ApiError('HostRoutesExhausted', { subnet_id, quota: limits.maxHostRoutes }))
  return issues
}

function checkPools(wanted: Addresses, block: Prefix): ApiError[] {
  const issues: ApiError[] = []
  const ranges: { range: IpRange; text: string }[] = []
  const hosts = hostsOf(block)
  for (const { start, end } of wanted.allocation_pools ?? []) {
    const [first, last] = [parseIp(start), parseIp(end)]
    const pool = `${start}-${end}`
    if (
      !first ||
      !last ||
      first.version !== block.version ||
      last.version !== block.version ||
      first.value > last.value
    ) {
      issues.push(new ApiError('InvalidAllocationPool', { pool }))
    } else if (first.value < hosts.first || last.value > hosts.last) {
      issues.push(new ApiError('OutOfBoundsAllocationPool', { pool, subnet_cidr: wanted.cidr }))
    } else ranges.push({ range: { first: first.value, last: last.value }, text: pool })
  }
  const gateway = wanted.gateway_ip ? parseIp(wanted.gateway_ip) : null
  for (const [index, { range, text }] of ranges.entries()) {
    const other = ranges.slice(index + 1).find((one) => rangesOverlap(range, one.range))
    if (other)
      issues.push(
        new ApiError('OverlappingAllocationPools', { pool_1: text, pool_2: other.text, subnet_cidr: wanted.cidr }),
      )
    if (gateway && gateway.value >= range.first && gateway.value <= range.last) {
      issues.push(new ApiError('GatewayConflictWithAllocationPools', { ip_address: wanted.gateway_ip, pool: text }))
    }
  }
  return issues
}
