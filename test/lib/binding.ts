/** Ports, hosts and switches to bind with: small words for tests of bindings through the API. */
import type { MechanismDriver } from '#core/contracts.ts'
import type { BindingAttempt } from '#model/context.ts'
import { storeReport } from '../../src/tor/report.ts'
import { hostReports } from './agents.ts'
import type { TestServer } from './server.ts'

type Values = Readonly<Record<string, unknown>>
// biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape.
export type Seen = Record<string, any>

/** A host on physical networks, with tunnels or without. */
export const hostOn = (server: TestServer, host: string, physnets: readonly string[], tunnels = true) =>
  hostReports(server, host, {
    bridge_mappings: Object.fromEntries(physnets.map((name) => [name, `br-${name}`])),
    tunnel_types: tunnels ? ['vxlan'] : [],
  })

/** A ToR that hosts hang on by VLANs of its physical network; `unreachable`: its database is not connected. */
export const torOver = (
  { core }: TestServer,
  name: string,
  physical_network: string,
  hosts: readonly string[],
  unreachable: string | null = null,
): Promise<void> =>
  storeReport(
    core,
    name,
    {
      physical_network,
      tunnel_ip: '192.0.2.201',
      switch: name,
      ports: Object.fromEntries(hosts.map((host) => [host, `to-${host}`])),
      target: 'unix:/nowhere',
      configured: true,
      foreign_vlans: [],
      unreachable,
      problems: [],
      vlan_bindings: 0,
      remote_macs: 0,
      reconciled_at: null,
      last_error: null,
    },
    '2026-01-01T00:00:00Z',
  )

/** A network with a subnet. */
export async function networkWith({ admin }: TestServer, values: Values = {}): Promise<Seen> {
  const network = await admin.make('network', values)
  await admin.make('subnet', { network_id: network['id'], ip_version: 4, cidr: '10.0.0.0/16', enable_dhcp: false })
  return network
}

export const portOn = ({ admin }: TestServer, network: Seen, host: string, values: Values = {}): Promise<Seen> =>
  admin.make('port', { network_id: network['id'], 'binding:host_id': host, ...values })

/** The port with what clients do not see. */
export async function stored({ core }: TestServer, id: unknown): Promise<Seen> {
  const [row] = await core.database.query<Seen>('select * from ports where id = $1', [id])
  if (!row) throw new Error(`there is no port ${String(id)}`)
  return row
}

export const dynamicSegments = ({ database }: TestServer, network: Seen): Promise<Seen[]> =>
  database.query<Seen>('select * from network_segments where network_id = $1 and is_dynamic order by segmentation_id', [
    network['id'],
  ])

/** `driver: reason` of each attempt. */
export const reasonsOf = (attempts: readonly BindingAttempt[]): string[] =>
  attempts.map((one) => `${one.level} ${one.driver}: ${one.reason ?? one.result}`)

/** Binds everything on any host, at level 0. */
export const easyDriver = (name: string, more: Partial<MechanismDriver> = {}): MechanismDriver => ({
  name,
  connectivity: 'l2',
  bind: () => ({ vif_type: 'ovs', vif_details: {} }),
  ...more,
})
