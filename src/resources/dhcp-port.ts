/** The port of a network's distributed DHCP server: one address per subnet with DHCP, the same on every host. */
import type { Context, Draft } from '#model/define.ts'
import { port } from './port.ts'
import { isAutomatic } from './subnet-addresses.ts'

type PortRow = Readonly<Draft>

interface Address {
  readonly subnet_id: string
  readonly ip_address: string
}

/** The DHCP port of a network, if it has one: of a network that is locked, until its subnets change. */
export const dhcpPortOf = (context: Context, network_id: string): Promise<readonly PortRow[]> =>
  context.find('port', { network_id, device_owner: 'network:dhcp' })

/**
 * Makes, changes or removes the DHCP port of a network, which is locked, so that it has exactly the addresses it needs.
 */
export async function ensureDhcpPort(
  context: Context,
  network: Readonly<Draft>,
  [existing]: readonly PortRow[],
): Promise<void> {
  const networkId = String(network['id'])
  // All of them: allocation asks for the same, and finds it remembered.
  const all = await context.find('subnet', { network_id: networkId })
  const held = (existing?.['fixed_ips'] ?? []) as readonly Address[]
  const wanted: (Address | { readonly subnet_id: string })[] = []
  for (const one of all.filter((subnet) => subnet['enable_dhcp'] === true)) {
    const subnet_id = String(one['id'])
    const address = held.find((fixed) => fixed.subnet_id === subnet_id)
    if (address) wanted.push(address)
    // Without an address left nobody answers there; the subnet stands all the same, as in Neutron.
    else if (isAutomatic(one) || (await context.ipam.anyLeft(subnet_id))) wanted.push({ subnet_id })
  }
  if (!existing) {
    if (wanted.length > 0) await context.add(port, dhcpPort(network, wanted))
    return
  }
  const id = String(existing['id'])
  if (wanted.length === 0) await context.remove(port, id)
  else if (wanted.length !== held.length || wanted.some((one) => !('ip_address' in one))) {
    await context.update(port, id, { fixed_ips: wanted })
  }
}

const dhcpPort = ({ id, project_id }: Readonly<Draft>, fixed_ips: readonly object[]): Draft => ({
  network_id: id,
  project_id,
  device_owner: 'network:dhcp',
  device_id: `dhcp-distributed-${String(id)}`,
  fixed_ips,
  port_security_enabled: false,
  security_groups: [],
})
