/** The port of a network's distributed DHCP server: one address per subnet with DHCP, the same on every host. */
import type { Context } from '#model/define.ts'
import { port } from './port.ts'

/**
 * Makes, changes or removes the network's DHCP port so that it has exactly the addresses it needs. `first`: the network
 * had no subnets so far, and so has none.
 */
export async function ensureDhcpPort(context: Context, networkId: string, first = false): Promise<void> {
  void context.load('network', networkId)
  // All of them: allocation asks for the same, and finds it remembered.
  const all = await context.find('subnet', { network_id: networkId })
  const subnets = all.filter((one) => one['enable_dhcp'] === true)
  const [existing] = first ? [] : await context.find('port', { network_id: networkId, device_owner: 'network:dhcp' })
  const held = (existing?.['fixed_ips'] ?? []) as readonly { subnet_id: string; ip_address: string }[]
  const wanted = subnets.map(
    (one) => held.find((fixed) => fixed.subnet_id === one['id']) ?? { subnet_id: String(one['id']) },
  )
  if (!existing) {
    if (wanted.length > 0) await context.create(port, await dhcpPort(context, networkId, wanted))
    return
  }
  const id = String(existing['id'])
  if (wanted.length === 0) await context.remove(port, id)
  else if (wanted.length !== held.length || wanted.some((one) => !('ip_address' in one))) {
    await context.update(port, id, { fixed_ips: wanted })
  }
}

async function dhcpPort(context: Context, networkId: string, fixed_ips: readonly object[]) {
  const network = await context.load('network', networkId)
  return {
    network_id: networkId,
    project_id: network?.['project_id'] ?? '',
    device_owner: 'network:dhcp',
    device_id: `dhcp-distributed-${networkId}`,
    fixed_ips,
    port_security_enabled: false,
    security_groups: [],
  }
}
