/** Which subnets and ports may become interfaces of a router, pure. */
import { parseIp } from '#kernel/ip.ts'
import { badRouter, type Block, type RouterAddress, versionOf } from './addresses.ts'

export interface FixedIp {
  readonly subnet_id: string
  readonly ip_address: string
}

export interface Port {
  readonly id: string
  readonly project_id: string
  readonly network_id: string
  readonly device_id: string
  readonly device_owner: string
  readonly fixed_ips: readonly FixedIp[]
}

export interface Subnet extends Block {
  readonly project_id: string
  readonly network_id: string
  readonly ip_version: number
  readonly gateway_ip: string | null
  readonly ipv6_ra_mode: string | null
  readonly ipv6_address_mode: string | null
  readonly allocation_pools: readonly { readonly start: string; readonly end: string }[]
}

/** Where another router already announces the prefix, ours may not. */
export function checkSubnet({ id, ip_version, ipv6_ra_mode, ipv6_address_mode }: Subnet): void {
  if (ip_version === 6 && ipv6_ra_mode === null && ipv6_address_mode !== null)
    throw badRouter(
      `IPv6 subnet ${id} configured to receive RAs from an external router cannot be added to Neutron Router.`,
    )
}

export function checkPort(
  port: Port,
  subnets: readonly Subnet[],
  present: readonly RouterAddress[],
  caller: { readonly projectId: string | null; readonly isAdmin: boolean },
): void {
  if (port.fixed_ips.length === 0) throw badRouter('Router port must have at least one fixed IP')
  for (const subnet of subnets) checkSubnet(subnet)
  const neighbour = present.find((one) => one.network_id === port.network_id && versionOf(one.ip_address) === 6)
  if (neighbour && subnets.some((one) => one.ip_version === 6))
    throw badRouter(
      `Cannot have multiple router ports with the same network id if both contain IPv6 subnets. Existing port ${neighbour.port_id} has IPv6 subnet(s) and network id ${port.network_id}`,
    )
  if (subnets.filter((one) => one.ip_version === 4).length > 1)
    throw badRouter('Cannot have multiple IPv4 subnets on router port')
  if (!caller.isAdmin) for (const fixed of port.fixed_ips) checkInPool(port, subnets, fixed, caller.projectId)
}

/** Outside the pools, an address may be anybody's: it is the subnet's owner's to give. */
function checkInPool(
  port: Port,
  subnets: readonly Subnet[],
  { subnet_id, ip_address }: FixedIp,
  projectId: string | null,
): void {
  const subnet = subnets.find(({ id }) => id === subnet_id)
  const ip = parseIp(ip_address)
  const value = ip?.value ?? 0n
  const pooled = subnet?.allocation_pools.some(({ start, end }) => {
    const [first, last] = [parseIp(start)?.value ?? 0n, parseIp(end)?.value ?? 0n]
    return first <= value && value <= last
  })
  if (pooled || subnet?.project_id === projectId) return
  throw badRouter(
    `Cannot add interface to router because specified port ${port.id} has an IP address out of the allocation pool of subnet ${subnet_id}, which is not owned by the project making the request`,
  )
}
