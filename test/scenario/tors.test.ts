/**
 * The server's care for ToRs, with real databases of ToRs and no switch behind them: what they hold follows from the
 * ports whatever happened before, one server at a time works on them, and agents say how they are.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { recordAgent } from '#core/hosts/agents.ts'
import { planTor } from '#drivers/mechanism/vtep/plan.ts'
import type { TorSeen } from '#drivers/mechanism/vtep/seen.ts'
import {
  missing as skip,
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
import { createNotifier, type Notifier } from '#store/notify.ts'
import { readSpans } from '#tor/queries.ts'
import { startTors, type Tors } from '#tor/service.ts'
import { spannedNetworks, type TorSetting } from '#tor/spans.ts'
import { type TestServer, testServer } from '../lib/server.ts'

interface Switch {
  readonly setting: TorSetting
  readonly database: VtepDatabase
  readonly tunnelIp: string
  client: OvsdbClient
  seen: () => TorSeen
}
const BELOW: Readonly<Record<string, readonly string[]>> = { tor1: ['h1', 'h4'], tor2: ['h2'] }
const HOSTS = ['h1', 'h2', 'h3', 'h4', 'h5']

let server: TestServer
let notifier: Notifier
const switches: Switch[] = []
const running: Tors[] = []

const report = (host: string, tunneling_ip: string | null): Promise<boolean> => {
  const tor = Object.keys(BELOW).find((name) => BELOW[name]?.includes(host))
  const configurations = tor
    ? { tunneling_ip: null, tunnel_types: [], bridge_mappings: { [`physnet-${tor}`]: 'br-trunk' } }
    : { tunneling_ip, tunnel_types: ['vxlan'], bridge_mappings: {} }
  return recordAgent(server.core, { host, configurations, started_at: '2026-01-01T00:00:00Z' })
}

async function startSwitch(name: string, tunnelIp: string): Promise<void> {
  const database = await startVtepDatabase()
  const client = await database.connect()
  const ports = Object.fromEntries((BELOW[name] ?? []).map((host) => [host, `port_${host}`]))
  const [global] = await client.transact([insert('Global', {})])
  await client.transact(physicalSwitch(global?.uuid ?? '', name, tunnelIp, Object.values(ports)))
  const setting = { name, target: database.target, physicalNetwork: `physnet-${name}`, switch: name, ports }
  switches.push({ setting, database, tunnelIp, client, seen: await watchTor(client) })
}

const start = (): Tors => {
  const tors = startTors({
    core: server.core,
    tors: switches.map(({ setting }) => setting),
    tls: null,
    hint: () => notifier.hint(),
    heartbeatMs: 1_000,
    registry: createRegistry(),
    log: silentLogger,
    retry: { firstMs: 20, maxMs: 100 },
    leaseSeconds: 2,
  })
  running.push(tors)
  return tors
}

before(async () => {
  if (skip !== false) return
  const ranges = ['tor1', 'tor2'].map((tor, i) => ({
    physical_network: `physnet-${tor}`,
    range: { first: 100 * i + 101, last: 100 * i + 199 },
  }))
  server = await testServer({ settings: { networkVlanRanges: ranges } })
  notifier = createNotifier(server.databaseUrl, silentLogger)
  await startSwitch('tor1', '192.0.2.201')
  await startSwitch('tor2', '192.0.2.202')
  for (const host of HOSTS) await report(host, `192.0.2.${host.slice(1)}`)
  start()
  await until('both are alive', async () => (await agents()).filter(({ alive }) => alive).length === 2)
})
after(async () => {
  for (const tors of running) await tors.close()
  for (const { client, database } of switches) {
    client.close()
    await database.stop()
  }
  await notifier?.close()
  await server?.close()
})

async function until(what: string, is: () => Promise<boolean> | boolean, ms = 10_000): Promise<void> {
  for (const end = Date.now() + ms; !(await is()); await new Promise((resolve) => setTimeout(resolve, 20)))
    if (Date.now() > end) assert.fail(`not reached: ${what}`)
}

interface TorAgent {
  readonly host: string
  readonly alive: boolean
  readonly heartbeat_timestamp: string
  readonly configurations: Record<string, unknown>
}
const agents = async (): Promise<TorAgent[]> =>
  ((await server.admin.get('agents?agent_type=Hardware%20VTEP%20agent')).body.agents as TorAgent[]).toSorted((a, b) =>
    a.host < b.host ? -1 : 1,
  )

/** What a switch holds of networks, as data; and what it should hold, read whole from the database now. */
async function differences(): Promise<string[]> {
  const networks = spannedNetworks(
    switches.map(({ setting }) => setting),
    await readSpans(server.database, null),
  )
  const ips = Object.fromEntries(switches.map(({ setting, tunnelIp }) => [setting.name, tunnelIp]))
  return switches.flatMap(({ setting, seen }) => {
    const { ops, problems } = planTor(wantOf(setting.name, ips, networks), seen())
    return [...ops.map((op) => `${setting.name}: ${JSON.stringify(op)}`), ...problems.map((one) => JSON.stringify(one))]
  })
}
/** A plan of what is wanted against what stands is empty: nothing is missing, nothing is too much. */
const inSync = (): Promise<void> =>
  until('the ToRs hold what they should', async () => (await differences()).length === 0)
const logicalSwitches = (): number[] => switches.map(({ seen }) => seen().logical.size)

const makeNetwork = async (): Promise<string> => {
  const { id } = await server.admin.make('network', {})
  await server.admin.make('subnet', { network_id: id, ip_version: 4, cidr: '10.0.0.0/24' })
  return id
}
const makePort = (network_id: string, host: string) =>
  server.admin.make('port', { network_id, 'binding:host_id': host })

/** Numbers that are the same in every run. */
function* numbers(seed: number): Generator<number, never> {
  for (let state = seed; ; ) {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
    yield state >> 8
  }
}

test('whatever happens to ports, the ToRs follow: incrementally as if read anew', {
  skip,
  timeout: 60_000,
}, async () => {
  const next = numbers(7)
  const pick = <T>(of: readonly T[]): T => of[next.next().value % of.length] as T
  const networks = [await makeNetwork(), await makeNetwork()]
  const ports: string[] = []
  let most = 0
  for (let round = 0; round < 60; round++) {
    const what = next.next().value % 6
    const one = ports.length > 0 ? pick(ports) : null
    if (one === null || what < 2) ports.push((await makePort(pick(networks), pick(HOSTS)))['id'])
    else if (what === 2) await server.admin.delete(`ports/${ports.splice(ports.indexOf(one), 1)[0]}`)
    else if (what === 3)
      await server.admin.put(`ports/${one}`, { port: { 'binding:host_id': pick([...HOSTS, '', 'nowhere']) } })
    else if (what === 4) {
      const tail = (next.next().value % 256).toString(16).padStart(2, '0')
      await server.admin.put(`ports/${one}`, {
        port: { mac_address: `02:00:00:00:${round.toString(16).padStart(2, '0')}:${tail}` },
      })
    } else await report(pick(['h3', 'h5']), `192.0.2.${50 + (next.next().value % 50)}`)
    if (round % 3 === 2) await inSync()
    most = Math.max(most, ...logicalSwitches())
  }
  assert.equal(most, 2, 'both networks were spanned at some time')
  for (const id of ports) await server.admin.delete(`ports/${id}`)
  await until('nothing is left', () => logicalSwitches().every((count) => count === 0))
  const { segments } = (await server.admin.get('segments?network_type=vlan')).body
  assert.deepEqual(segments, [], 'no VLAN outlives its last port')
})

test('each ToR has a VLAN of its own for a network, and each MAC the address it is behind', { skip }, async () => {
  const network = await makeNetwork()
  const made: Record<string, Record<string, any>> = {}
  for (const host of ['h1', 'h2', 'h3']) made[host] = await makePort(network, host)
  await inSync()
  const behind = switches.map(({ setting: { name }, seen }) => {
    const { logical, unicast, ports } = seen()
    const uuid = logical.get(`deuteron-${network}`)?.uuid ?? ''
    const macs = Object.fromEntries((unicast.get(uuid) ?? []).map(({ mac, tunnelIp }) => [mac, tunnelIp]))
    const vlans = ports.flatMap(({ bindings }) => [...bindings.keys()])
    return { name, ranges: vlans.map((vlan) => Math.floor(vlan / 100)), macs }
  })
  const mac = (host: string): string => made[host]?.['mac_address']
  const h3 = (await server.admin.get('agents?host=h3&agent_type=Open%20vSwitch%20agent')).body.agents[0].configurations
  assert.deepEqual(behind, [
    { name: 'tor1', ranges: [1], macs: { [mac('h2')]: '192.0.2.202', [mac('h3')]: h3.tunneling_ip } },
    { name: 'tor2', ranges: [2], macs: { [mac('h1')]: '192.0.2.201', [mac('h3')]: h3.tunneling_ip } },
  ])
  for (const { id } of Object.values(made) as { id: string }[]) await server.admin.delete(`ports/${id}`)
})

test('a binding that waits has its VLAN at the ToR before it is active, and none after it went', { skip }, async () => {
  const [tor1, tor2] = switches as [Switch, Switch]
  const network = await makeNetwork()
  const made = { network_id: network, 'binding:host_id': 'h3', device_owner: 'compute:nova', device_id: 'vm' }
  const { id, mac_address } = await server.admin.make('port', made)
  const vlans = (one: Switch): number => one.seen().ports.reduce((count, { bindings }) => count + bindings.size, 0)
  const macs = (one: Switch): string[] => [...one.seen().unicast.values()].flat().map(({ mac }) => mac)
  await inSync()
  assert.equal(vlans(tor2), 0)
  const asked = await server.admin.post(`ports/${id}/bindings`, { binding: { host: 'h2' } })
  assert.equal(asked.status, 201, asked.text)
  await inSync()
  assert.deepEqual([vlans(tor2), macs(tor2)], [1, [mac_address]], 'ready, and the port still behind h3')
  assert.equal((await server.admin.put(`ports/${id}/bindings/h2/activate`)).status, 200)
  await inSync()
  assert.deepEqual([vlans(tor2), macs(tor2)], [1, []], 'the port is here')
  // The old host's binding waits now; gone, it leaves nothing, and the one here stays.
  assert.equal((await server.admin.post(`ports/${id}/bindings`, { binding: { host: 'h1' } })).status, 201)
  await inSync()
  assert.deepEqual([vlans(tor1), vlans(tor2), macs(tor1)], [1, 1, [mac_address]])
  assert.equal((await server.admin.delete(`ports/${id}/bindings/h1`)).status, 204)
  await until('nothing is left at tor1', () => vlans(tor1) === 0 && tor1.seen().logical.size === 0)
  await inSync()
  await server.admin.delete(`ports/${id}`)
  await until('nothing is left', () => logicalSwitches().every((count) => count === 0))
})

test('of two servers one works; gone, the other takes over what changed meanwhile', {
  skip,
  timeout: 30_000,
}, async () => {
  const network = await makeNetwork()
  const { id } = await makePort(network, 'h1')
  await inSync()
  const held = async () =>
    (await server.database.query<{ holder: string }>("select holder from leases where name = 'tors'"))[0]?.holder
  const first = await held()
  start()
  await new Promise((resolve) => setTimeout(resolve, 1_200))
  assert.equal(await held(), first, 'the first keeps it')
  await running.shift()?.close()
  await makePort(network, 'h2')
  await until('the second has it', async () => ![undefined, first].includes(await held()))
  await inSync()
  await server.admin.delete(`ports/${id}`)
  await until('the network is at tor2 alone', () => logicalSwitches().join() === '0,1')
  const before = await agents()
  await until('heartbeats go on', async () =>
    (await agents()).every(({ heartbeat_timestamp: at }, i) => at > (before[i]?.heartbeat_timestamp ?? '')),
  )
})

test('a ToR whose database is away says so, keeps its address, and catches up', { skip, timeout: 30_000 }, async () => {
  const [one] = switches as [Switch]
  const network = await makeNetwork()
  await makePort(network, 'h1')
  await makePort(network, 'h2')
  await inSync()
  one.client.close()
  await one.database.kill()
  const says = async () => (await agents())[0]?.configurations
  await until('it is said', async () => (await says())?.['unreachable'] !== null)
  assert.equal((await says())?.['tunnel_ip'], one.tunnelIp)
  await server.database.query("update agents set heartbeat_timestamp = now() - interval '1 day' where host = 'tor1'")
  const failed = await makePort(network, 'h4')
  assert.equal(failed['binding:vif_type'], 'binding_failed')
  const [row] = await server.database.query<{ attempts: { driver: string; reason: string }[] }>(
    "select binding_failure -> 'attempts' as attempts from ports where id = $1",
    [failed['id']],
  )
  assert.equal(row?.attempts.find(({ driver }) => driver === 'vtep')?.reason, 'tor_unreachable')
  assert.equal((await makePort(network, 'h2'))['binding:vif_type'], 'ovs', 'the other goes on')
  await one.database.start()
  one.client = await one.database.connect()
  one.seen = await watchTor(one.client)
  await until('alive again', async () => (await agents())[0]?.alive === true)
  assert.equal((await says())?.['unreachable'], null)
  await inSync()
})
