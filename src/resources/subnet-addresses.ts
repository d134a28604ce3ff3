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
  readonly cidr: string
  readonly ip_version: number
  readonly gateway_ip: string | null
  readonly allocation_pools: readonly { readonly start: string; readonly end: string }[]
  readonly dns_nameservers: readonly string[]
  readonly host_routes: readonly { readonly destination: string; readonly nexthop: string }[]
  readonly enable_dhcp: boolean
  readonly ipv6_ra_mode: string | null
  readonly ipv6_address_mode: string | null
}

const invalid = (sentence: string): ApiError => new ApiError('InvalidInput', { error_message: sentence })

/** The first address after the network's, as Neutron chooses it; none where there is no such address. */
export const defaultGateway = (block: Prefix): string | null => {
  const { first, last } = rangeOf(block)
  return first === last ? null : formatIp({ version: block.version, value: first + 1n })
}

/** Host addresses without network, IPv4 broadcast and gateway. */
export function defaultPools(block: Prefix, gateway: string | null): { start: string; end: string }[] {
  const { first, last } = rangeOf(block)
  const tiny = last - first < 2n
  const hosts: IpRange = tiny ? { first, last } : { first: first + 1n, last: block.version === 4 ? last - 1n : last }
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

export function checkSubnet({ op, after }: Write<Addresses>, limits: Limits): ApiError[] {
  const wanted = after as Addresses
  const block = wanted.cidr ? parsePrefix(wanted.cidr) : null
  if (op === 'create' && !block)
    return [new ApiError('HTTPBadRequest', { reason: 'A cidr must be specified in the absence of a subnet pool' })]
  if (!block) return []
  return [
    ...checkVersion(wanted, block),
    ...checkModes(wanted, block),
    ...checkLists(wanted, limits),
    ...checkPools(wanted, block),
  ]
}

function checkVersion(wanted: Addresses, block: Prefix): ApiError[] {
  if (wanted.ip_version !== undefined && wanted.ip_version !== block.version) {
    return [invalid(`cidr '${wanted.cidr}' does not match the ip_version '${wanted.ip_version}'`)]
  }
  const gateway = wanted.gateway_ip ? parseIp(wanted.gateway_ip) : null
  if (!gateway) return []
  if (gateway.version !== block.version)
    return [invalid(`gateway_ip '${wanted.gateway_ip}' does not match the ip_version '${block.version}'`)]
  const { first, last } = rangeOf(block)
  const reserved = last - first >= 2n && (gateway.value === first || (block.version === 4 && gateway.value === last))
  return contains(block, gateway) && reserved ? [invalid('Gateway is not valid on subnet')] : []
}

function checkModes(wanted: Addresses, block: Prefix): ApiError[] {
  const { ipv6_ra_mode: ra, ipv6_address_mode: mode } = wanted
  if (!ra && !mode) return []
  if (block.version === 4) return [invalid('ipv6_ra_mode or ipv6_address_mode cannot be set when ip_version is 4')]
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
  const automatic = [ra, mode].some((one) => one === 'slaac' || one === 'dhcpv6-stateless')
  if (automatic && block.length !== 64)
    issues.push(
      invalid(
        `Invalid CIDR ${wanted.cidr} for IPv6 address mode. OpenStack uses the EUI-64 address format, which requires the prefix to be /64`,
      ),
    )
  return issues
}

function checkLists(wanted: Addresses, limits: Limits): ApiError[] {
  const issues: ApiError[] = []
  const { dns_nameservers = [], host_routes = [] } = wanted
  const subnet_id = wanted.id
  if (dns_nameservers.length > limits.maxDnsNameservers)
    issues.push(new ApiError('DNSNameServersExhausted', { subnet_id, quota: limits.maxDnsNameservers }))
  if (host_routes.length > limits.maxHostRoutes)
    issues.push(new ApiError('HostRoutesExhausted', { subnet_id, quota: limits.maxHostRoutes }))
  return issues
}

function checkPools(wanted: Addresses, block: Prefix): ApiError[] {
  const issues: ApiError[] = []
  const ranges: { range: IpRange; text: string }[] = []
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
    } else if (!contains(block, first) || !contains(block, last)) {
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
