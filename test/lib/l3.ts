/** What tests of routers and floating IPs begin with: an external network, and a project's network with a subnet. */
import { answered } from './refused.ts'
import type { Client } from './server.ts'

export type Item = Record<string, any>

/** An external network with one IPv4 subnet. */
export async function outside(admin: Client, cidr = '203.0.113.0/24'): Promise<Item> {
  const network = await admin.make('network', { name: 'outside', 'router:external': true })
  const subnet = await admin.make('subnet', { network_id: network['id'], ip_version: 4, cidr, enable_dhcp: false })
  return { ...network, subnet }
}

/** A network of the client's, with one subnet. */
export async function inside(client: Client, cidr: string, values: Item = {}): Promise<Item> {
  const network = await client.make('network', { name: 'inside' })
  const ip_version = cidr.includes(':') ? 6 : 4
  const subnet = await client.make('subnet', { network_id: network['id'], ip_version, cidr, ...values })
  return { ...network, subnet }
}

export const router = (client: Client, values: Item = {}): Promise<Item> => client.make('router', values)

export const routerOutside = (client: Client, network: Item): Promise<Item> =>
  router(client, { external_gateway_info: { network_id: network['id'] } })

export const connect = async (client: Client, routerId: string, body: Item): Promise<Item> =>
  answered(await client.put(`routers/${routerId}/add_router_interface`, body), 200)

export const disconnect = async (client: Client, routerId: string, body: Item): Promise<Item> =>
  answered(await client.put(`routers/${routerId}/remove_router_interface`, body), 200)

export const portsOf = async (admin: Client, deviceId: string): Promise<Item[]> =>
  answered(await admin.get(`ports?device_id=${deviceId}`), 200).ports
