/** For tests of the server's care for ToRs: real databases of two ToRs, no switch behind them, and a server. */
import assert from 'node:assert/strict'
import { recordAgent } from '#core/hosts/agents.ts'
import { planTor } from '#drivers/mechanism/vtep/plan.ts'
import type { TorSeen } from '#drivers/mechanism/vtep/seen.ts'
import {
  physicalSwitch,
  startVtepDatabase,
  type VtepDatabase,
  watchTor,
} from '#drivers/mechanism/vtep/vtep.test-support.ts'
import { wantOf } from '#drivers/mechanism/vtep/want.ts'
import { silentLogger } from '#kernel/log.ts'
import { createRegistry } from '#kernel/metrics.ts'
import type { OvsdbClient } from '#protocol/ovsdb/client.ts'
import { insert } from '#protocol/ovsdb/ops.ts'
import { createNotifier } from '#store/notify.ts'
import { readSpans } from '#tor/queries.ts'
import { startTors, type Tors } from '#tor/service.ts'
import { spannedNetworks, type TorSetting } from '#tor/spans.ts'
import { type TestServer, testServer } from '../lib/server.ts'

export interface Switch {
  readonly setting: TorSetting
  readonly database: VtepDatabase
  readonly tunnelIp: string
  client: OvsdbClient
  seen: () => TorSeen
}
const BELOW: Readonly<Record<string, readonly string[]>> = { tor1: ['h1', 'h4'], tor2: ['h2'] }
export const HOSTS = ['h1', 'h2', 'h3', 'h4', 'h5']

export interface TorAgent {
  readonly id: string
  readonly host: string
  readonly alive: boolean
  readonly heartbeat_timestamp: string
  readonly configurations: Record<string, any>
}

export interface TorRig {
  readonly server: TestServer
  readonly switches: readonly Switch[]
  /** Services at work; `start` adds one, for these ToRs or for all. */
  readonly running: Tors[]
  /** Of the service that was started last. */
  metrics(): Promise<string>
  start(settings?: readonly TorSetting[]): Tors
  /** The host's agent says what it is plugged into, and `services` beside its switch. */
  report(host: string, tunneling_ip: string | null, services?: Record<string, object>): Promise<boolean>
  /** Of the ToRs, by name. */
  agents(): Promise<TorAgent[]>
  /** A plan of what is wanted against what stands is empty: nothing is missing, nothing is too much. */
  inSync(): Promise<void>
  /** How many logical switches each ToR has. */
  logicalSwitches(): number[]
  makeNetwork(): Promise<string>
  makePort(network_id: string, host: string, more?: object): Promise<Record<string, any>>
  close(): Promise<void>
}

export async function until(what: string, is: () => Promise<boolean> | boolean, ms = 10_000): Promise<void> {
  for (const end = Date.now() + ms; !(await is()); await new Promise((resolve) => setTimeout(resolve, 20)))
    if (Date.now() > end) assert.fail(`not reached: ${what}`)
}

async function startSwitch(name: string, tunnelIp: string): Promise<Switch> {
  const database = await startVtepDatabase()
  const client = await database.connect()
  const ports = Object.fromEntries((BELOW[name] ?? []).map((host) => [host, `port_${host}`]))
  const [global] = await client.transact([insert('Global', {})])
  await client.transact(physicalSwitch(global?.uuid ?? '', name, tunnelIp, Object.values(ports)))
  const setting = { name, target: database.target, physicalNetwork: `physnet-${name}`, switch: name, ports }
  return { setting, database, tunnelIp, client, seen: await watchTor(client) }
}

/** What differs between what the switches hold and what they should, read whole from the database now. */
async function differences({ database }: TestServer, switches: readonly Switch[]): Promise<string[]> {
  const networks = spannedNetworks(
    switches.map(({ setting }) => setting),
    await readSpans(database, null),
  )
  const ips = Object.fromEntries(switches.map(({ setting, tunnelIp }) => [setting.name, tunnelIp]))
  return switches.flatMap(({ setting, seen }) => {
    const { ops, problems } = planTor(wantOf(setting.name, ips, networks), seen())
    return [...ops.map((op) => `${setting.name}: ${JSON.stringify(op)}`), ...problems.map((one) => JSON.stringify(one))]
  })
}

/** Two ToRs, tor1 above h1 and h4, tor2 above h2, with VLANs 101 to 199 and 201 to 299; h3 and h5 end tunnels. */
export async function torRig(): Promise<TorRig> {
  const ranges = ['tor1', 'tor2'].map((tor, i) => ({
    physical_network: `physnet-${tor}`,
    range: { first: 100 * i + 101, last: 100 * i + 199 },
  }))
  const server = await testServer({ settings: { networkVlanRanges: ranges } })
  const notifier = createNotifier(server.databaseUrl, silentLogger)
  const switches = [await startSwitch('tor1', '192.0.2.201'), await startSwitch('tor2', '192.0.2.202')]
  const running: Tors[] = []
  let registry = createRegistry()
  const rig: TorRig = {
    server,
    switches,
    running,
    metrics: () => registry.metrics(),
    start: (tors = switches.map(({ setting }) => setting)) => {
      registry = createRegistry()
      const served = startTors({
        core: server.core,
        tors,
        tls: null,
        hint: () => notifier.hint(),
        heartbeatMs: 1_000,
        registry,
        log: silentLogger,
        retry: { firstMs: 20, maxMs: 100 },
        leaseSeconds: 2,
      })
      running.push(served)
      return served
    },
    report: (host, tunneling_ip, services = {}) => {
      const tor = Object.keys(BELOW).find((name) => BELOW[name]?.includes(host))
      const configurations = tor
        ? { tunneling_ip: null, tunnel_types: [], bridge_mappings: { [`physnet-${tor}`]: 'br-trunk' }, services }
        : { tunneling_ip, tunnel_types: ['vxlan'], bridge_mappings: {}, services }
      return recordAgent(server.core, { host, configurations, started_at: '2026-01-01T00:00:00Z' })
    },
    agents: async () => {
      const { agents } = (await server.admin.get('agents?agent_type=Hardware%20VTEP%20agent')).body
      return (agents as TorAgent[]).toSorted((a, b) => (a.host < b.host ? -1 : 1))
    },
    inSync: () =>
      until('the ToRs hold what they should', async () => (await differences(server, switches)).length === 0),
    logicalSwitches: () => switches.map(({ seen }) => seen().logical.size),
    makeNetwork: async () => {
      const { id } = await server.admin.make('network', {})
      await server.admin.make('subnet', { network_id: id, ip_version: 4, cidr: '10.0.0.0/24' })
      return id
    },
    makePort: (network_id, host, more = {}) =>
      server.admin.make('port', { network_id, 'binding:host_id': host, ...more }),
    close: async () => {
      for (const tors of running) await tors.close()
      for (const { client, database } of switches) {
        client.close()
        await database.stop()
      }
      await notifier.close()
      await server.close()
    },
  }
  for (const host of HOSTS) await rig.report(host, `192.0.2.${host.slice(1)}`)
  rig.start()
  await until('both are alive', async () => (await rig.agents()).filter(({ alive }) => alive).length === 2)
  return rig
}
