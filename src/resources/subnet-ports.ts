/** What a subnet that comes or goes means for the ports of its network. */
import { ApiError } from '#kernel/errors.ts'
import type { Context, Draft } from '#model/define.ts'
import { port } from './port.ts'
import { AUTO_DELETED_OWNERS } from './standard.ts'
import { isAutomatic, ROUTER_INTERFACE_OWNERS } from './subnet-addresses.ts'

type PortRow = Readonly<Draft>

const ownerOf = (one: PortRow): string => String(one['device_owner'])
const isServices = (one: PortRow): boolean => (AUTO_DELETED_OWNERS as readonly string[]).includes(ownerOf(one))

/** Ports that stand on the network already get their address of a new subnet with automatic ones. */
export async function addressPorts(context: Context, networkId: string): Promise<void> {
  const ports = await context.find('port', { network_id: networkId })
  for (const one of ports.filter((one) => !ROUTER_INTERFACE_OWNERS.includes(ownerOf(one)) && !isDhcp(one)))
    await context.update(port, String(one['id']), { fixed_ips: one['fixed_ips'] })
}

/** The DHCP port is given its addresses where it is made. */
const isDhcp = (one: PortRow): boolean => ownerOf(one) === 'network:dhcp'

/**
 * Before a subnet goes: the service's own ports lose their addresses in it, and go with the last; others only lose
 * automatic ones. Throws SubnetInUse.
 */
export async function takeAddresses(context: Context, subnet: Readonly<Draft>): Promise<void> {
  const id = String(subnet['id'])
  const holders = await context.find('port', { 'fixed_ips:subnet_id': id })
  const stays = isAutomatic(subnet)
    ? (one: PortRow) => ROUTER_INTERFACE_OWNERS.includes(ownerOf(one))
    : (one: PortRow) => !isServices(one)
  const blocking = holders.filter(stays).map((one) => String(one['id']))
  if (blocking.length > 0) {
    const reason = `One or more ports have an IP allocation from this subnet.`
    throw new ApiError('SubnetInUse', { subnet_id: id, reason }, { reason: 'addresses_in_use', ports: blocking })
  }
  for (const one of holders) {
    const rest = (one['fixed_ips'] as readonly { subnet_id: string }[]).filter((fixed) => fixed.subnet_id !== id)
    if (rest.length === 0 && isServices(one)) await context.remove(port, String(one['id']))
    else await context.update(port, String(one['id']), { fixed_ips: [...rest, { subnet_id: id, delete_subnet: true }] })
  }
}
