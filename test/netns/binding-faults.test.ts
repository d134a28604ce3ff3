/**
 * What can be wrong with a binding, caused for real in the lab: agents that are not there or were killed, cables nobody
 * plugged, a switch without VLANs, a driver that throws, a database that dies. Each fault is read from the API, then
 * mended, and what was refused is bound and carries packets. Needs root and Open vSwitch with its VTEP emulator.
 */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { agentArguments, agentLog, agentStateDir, stopAgent, waitForAgent } from '#lab/agents.ts'
import { type Api, ApiRefused, getPort, type PortFacts, waitForStatus } from '#lab/api.ts'
import { enrol, heardFrom } from '#lab/enrol.ts'
import { inNamespace, ipBatch, run, waitFor } from '#lab/exec.ts'
import { bringDown, bringUp, labApi } from '#lab/lifecycle.ts'
import { hostNamespace } from '#lab/names.ts'
import { guardDevice, ovsEnv, vsctl } from '#lab/ovs.ts'
import { type ProcessRef, startDetached, terminate } from '#lab/processes.ts'
import { REPOSITORY } from '#lab/repository.ts'
import { serverArguments, serverLog } from '#lab/server.ts'
import { type Lab, type VmState, writeHost } from '#lab/state.ts'
import { ping } from '#lab/tour/inside.ts'
import { addVm } from '#lab/vm-add.ts'
import { INTEGRATION_BRIDGE, unplugVm } from '#lab/vm.ts'
import { DATABASE_NAME, socketUrl } from '#launch/pg-config.ts'
import { Client } from 'pg'
import { freePort, pidIn } from '../lib/installation.ts'

const able = process.getuid?.() === 0 && existsSync('/usr/share/openvswitch/scripts/ovs-vtep')
const options = { skip: able ? false : 'needs root and openvswitch-vtep', timeout: 150_000 }
const NAME = 'xfaults'

/** Rows of the table in docs/design/binding.md: who refuses, and for which reason. */
const FAULTS = {
  absent: { fault: 'no agent', driver: 'openvswitch', reason: 'agent_absent' },
  dead: { fault: 'dead agent', driver: 'openvswitch', reason: 'agent_dead' },
  unmapped: { fault: 'physical network not mapped', driver: 'openvswitch', reason: 'physnet_not_mapped' },
  vnic: { fault: 'vnic_type that no driver binds', driver: 'openvswitch', reason: 'vnic_unsupported' },
  exhausted: { fault: 'no VLAN left on the switch', driver: 'vtep', reason: 'segment_ids_exhausted' },
  bare: { fault: 'no switch above', driver: 'vtep', reason: 'tor_absent' },
  throwing: { fault: 'driver throws', driver: 'failing', reason: 'driver_failed' },
} as const

/** A driver of another maker, which is out of order for ports whose profile says so. */
const FAILING_DRIVER = `
export default {
  name: 'failing',
  connectivity: 'l2',
  vnicTypes: ['baremetal'],
  bind({ port: { vnic_type, profile } }) {
    if (profile.fail) throw new Error('out of order')
    if (vnic_type !== 'baremetal') return { refused: 'vnic_unsupported', facts: { vnic_type, supported: ['baremetal'] } }
    return { vif_type: 'other', vif_details: {} }
  },
}
`
/** Below the first switch there is one VLAN; hosts 3 and 4 may be plugged into `rack`. */
const RANGES = 'physnet-tor1:101:101,physnet-tor2:201:299,rack:300:309'
const MAPPED = '--bridge-mappings=rack:br-rack'

type Port = PortFacts & {
  readonly 'binding:vif_details': { readonly bound_drivers?: Readonly<Record<string, string>> }
}
type Refused = Readonly<Record<'driver' | 'reason', string>>
interface Attempt {
  readonly driver: string
  readonly reason: string | null
  readonly facts: Readonly<Record<string, unknown>>
  readonly remedy: string | null
}
type Explained = Readonly<Record<'last' | 'fresh', { readonly attempts: readonly Attempt[] }>>

let root = ''
let lab: Lab
let api: Api
let server: ProcessRef | null = null
/** A network of tunnels, with a server on h3. */
let plain = ''
let neighbour: VmState
/** On h1, with the only VLAN there. */
let switched: VmState

const create = async (collection: string, kind: string, body: object): Promise<{ readonly id: string }> =>
  (await api.call('POST', collection, { [kind]: body }))[kind] as { readonly id: string }

/** A network with a subnet, and nothing on it that is bound unasked. */
const makeNetwork = async (values: object = {}): Promise<string> => {
  const { id } = await create('networks', 'network', values)
  await create('subnets', 'subnet', { network_id: id, ip_version: 4, cidr: '10.0.0.0/24', enable_dhcp: false })
  return id
}
const makePort = async (network_id: string, host: string, values: object = {}): Promise<Port> =>
  (await create('ports', 'port', { network_id, 'binding:host_id': host, ...values })) as unknown as Port
const change = async (id: string, port: object): Promise<Port> =>
  (await api.call('PUT', `ports/${id}`, { port }))['port'] as Port

const explained = async (id: string): Promise<Explained> =>
  (await api.call('GET', `ports/${id}/binding-explanation`))['binding_explanation'] as Explained

/** The port is not bound, and both what was answered then and what would be now say why; answers the facts of now. */
const failsBy = async (port: Pick<Port, 'id'>, { driver, reason }: Refused): Promise<Attempt['facts']> => {
  assert.equal((await getPort(api, port.id))['binding:vif_type'], 'binding_failed')
  const { last, fresh } = await explained(port.id)
  const found = [last, fresh].map(({ attempts }) =>
    attempts.find((one) => one.driver === driver && one.reason === reason),
  )
  for (const one of found) assert.match(one?.remedy ?? '', /\.$/, JSON.stringify({ last, fresh }))
  return found[1]?.facts ?? {}
}

/** Nobody writes the port: it is bound because the fault is gone. */
const bindsByItself = async ({ id }: Pick<Port, 'id'>): Promise<void> => {
  const bound = async (): Promise<boolean> => (await getPort(api, id))['binding:vif_type'] === 'ovs'
  assert.ok(await waitFor(bound, { timeout: 30_000, every: 200 }), JSON.stringify(await explained(id)))
}

/** Plugs a server; its port is ACTIVE once its flows are proven. */
const proven = async (name: string, { id }: Pick<Port, 'id'>): Promise<VmState> => {
  const vm = await addVm(lab, api, { name, port: id, host: null, dhcp: false })
  assert.equal(await waitForStatus(api, id, 'ACTIVE', 30_000), 'ACTIVE', name)
  return vm
}
const reaches = async (from: VmState, to: VmState): Promise<void> => {
  const address = to.addresses[0]?.split('/')[0] ?? ''
  const all = async (): Promise<boolean> => (await ping(lab, from, address, 5)).received === 5
  assert.ok(await waitFor(all, { timeout: 25_000, every: 200 }), `${from.name} to ${to.name}`)
}

/** Starts the host's agent, and waits until it has reported and made its bridge. */
const startAgent = async (host: string, ...more: readonly string[]): Promise<void> => {
  await enrol(lab, api, host)
  await mkdir(agentStateDir(lab, host), { recursive: true })
  const argv = inNamespace(hostNamespace(NAME, host), [...agentArguments(lab, host, REPOSITORY), ...more])
  const since = Date.now()
  const apart = { log: agentLog(lab, host), env: ovsEnv(lab.paths.host(host)), cwd: REPOSITORY }
  await writeHost(lab.paths, { name: host, agent: await startDetached(argv, apart), build: REPOSITORY })
  await waitForAgent(lab, host, () => heardFrom(api, host, since), 30_000)
  await vsctl(lab, host, ['--no-wait', 'wait-until', 'Bridge', INTEGRATION_BRIDGE, 'datapath_id!=[]'])
}
const restartMapped = async (host: string): Promise<void> => {
  await stopAgent(lab, host, 'SIGTERM')
  await startAgent(host, MAPPED)
}

/** The lab's server with one VLAN below the first switch, and a driver from outside before all others. */
const startServer = async (bare: Lab): Promise<Lab> => {
  const driver = join(root, 'failing.mjs')
  await writeFile(driver, FAILING_DRIVER)
  const { paths, spec } = bare
  const port = await freePort()
  // Of two flags the last holds.
  const own = [`--network-vlan-ranges=${RANGES}`, `--mechanism-drivers=${driver},openvswitch,sriovnicswitch,vtep`]
  const log = serverLog(paths)
  server = await startDetached([...serverArguments(bare, port, port + 1), ...own], { log, cwd: REPOSITORY })
  const ready = async (): Promise<boolean> => /^ready http/m.test(await readFile(log, 'utf8'))
  assert.ok(await waitFor(ready, { timeout: 90_000, every: 100 }), await readFile(log, 'utf8'))
  const feeds = [`ws+unix:${paths.feedSocket}:/agent`]
  const openrc = join(paths.server, 'openrc')
  return { paths, spec: { ...spec, server: { own: true, url: `http://127.0.0.1:${port}`, openrc, feeds } } }
}

/** The physical network `rack`: a cable between two hosts, and on each a bridge with its end. */
const layCable = async (one: string, other: string): Promise<void> => {
  const [from, to] = [hostNamespace(NAME, one), hostNamespace(NAME, other)]
  await ipBatch(null, [`link add rack netns ${from} mtu 1600 type veth peer name rack netns ${to} mtu 1600`])
  for (const host of [one, other]) {
    await ipBatch(hostNamespace(NAME, host), ['link set rack addrgenmode none up'])
    await guardDevice(lab, host, 'rack')
    const bridge = ['add-br', 'br-rack', '--', 'set', 'Bridge', 'br-rack', `datapath_type=${lab.spec.datapath}`]
    await vsctl(lab, host, [...bridge, '--', 'add-port', 'br-rack', 'rack'])
  }
}

before(async () => {
  if (!able) return
  // Below /var/lib: the server's user must reach its data, the database's socket path must be short.
  root = await mkdtemp(join(existsSync('/var/lib') ? '/var/lib' : tmpdir(), 'dX-'))
  await run(['chmod', '755', root])
  await bringDown(root, NAME)
  const wish = { name: NAME, hosts: 4, datapath: 'netdev', server: 'none', topology: 'hpb' } as const
  lab = await startServer(await bringUp(root, wish, () => undefined))
  api = await labApi(lab)
  await layCable('h3', 'h4')
  for (const host of ['h1', 'h3']) await startAgent(host)
  const switched = await waitFor(() => heardFrom(api, 'tor1', 0), { timeout: 40_000, every: 200 })
  assert.ok(switched, 'the switch is known')
  plain = await makeNetwork()
  neighbour = await proven('neighbour', await makePort(plain, 'h3'))
})

after(async () => {
  if (!able) return
  await terminate(server, 20_000)
  await bringDown(root, NAME)
  await rm(root, { recursive: true, force: true })
})

test('a host without an agent: once it has one, the port is bound and carries packets', options, async () => {
  const port = await makePort(plain, 'h4')
  assert.deepEqual(await failsBy(port, FAULTS.absent), { host: 'h4', agent_type: 'Open vSwitch agent' })
  await failsBy(port, FAULTS.bare)
  await startAgent('h4')
  await bindsByItself(port)
  await reaches(await proven('found', port), neighbour)
})

test('an agent that was killed: started again, it gets what was refused meanwhile', options, async () => {
  await stopAgent(lab, 'h4', 'SIGKILL')
  const silent = await waitFor(async () => !(await heardFrom(api, 'h4', 0)), { timeout: 40_000, every: 200 })
  assert.ok(silent, 'it counts as down')
  const port = await makePort(plain, 'h4')
  const facts = await failsBy(port, FAULTS.dead)
  assert.ok(Date.now() - Date.parse(String(facts['last_heartbeat'])) > 10_000, JSON.stringify(facts))
  await startAgent('h4')
  await bindsByItself(port)
  await reaches(await proven('revived', port), neighbour)
})

test(
  'a physical network the hosts do not map: mapped on one, its port is bound, and then the other',
  options,
  async () => {
    const racked = await makeNetwork({ 'provider:network_type': 'vlan', 'provider:physical_network': 'rack' })
    const [near, far] = [await makePort(racked, 'h3'), await makePort(racked, 'h4')]
    for (const port of [near, far])
      assert.deepEqual(await failsBy(port, FAULTS.unmapped), { wanted: 'rack', mapped: [] })
    await restartMapped('h3')
    await bindsByItself(near)
    const vm = await proven('near', near)
    await failsBy(far, FAULTS.unmapped)
    await restartMapped('h4')
    await bindsByItself(far)
    await reaches(vm, await proven('far', far))
  },
)

test('a function of a card on a host without cards: as a normal port it is bound', options, async () => {
  const port = await makePort(plain, 'h3', { 'binding:vnic_type': 'direct' })
  assert.equal((await failsBy(port, FAULTS.vnic))['wanted'], 'switchdev')
  const ofCards = { ...FAULTS.absent, driver: 'sriovnicswitch' }
  assert.deepEqual(await failsBy(port, ofCards), { host: 'h3', agent_type: 'NIC Switch agent' })
  assert.equal((await change(port.id, { 'binding:vnic_type': 'normal' }))['binding:vif_type'], 'ovs')
  await reaches(await proven('normal', port), neighbour)
})

/** Through the switch at level 0, on its VLAN at level 1. */
const BELOW = { '0': 'vtep', '1': 'openvswitch' }
const vlansBelow = async (network: string): Promise<number> =>
  ((await api.call('GET', `segments?network_id=${network}&network_type=vlan`))['segments'] as object[]).length

test('one VLAN below a switch is one network: once it is free the next is bound', options, async () => {
  const [one, two] = [await makeNetwork(), await makeNetwork()]
  const first = await makePort(one, 'h1')
  assert.deepEqual(first['binding:vif_details'].bound_drivers, BELOW)
  const second = await makePort(two, 'h1')
  const wanted = [{ network_type: 'vlan', physical_network: 'physnet-tor1' }]
  assert.deepEqual((await failsBy(second, FAULTS.exhausted))['wanted'], wanted)
  await api.call('DELETE', `ports/${first.id}`)
  // As in Neutron, whoever writes a port whose binding failed has it tried again.
  assert.deepEqual((await change(second.id, { name: 'again' }))['binding:vif_details'].bound_drivers, BELOW)
  assert.deepEqual([await vlansBelow(one), await vlansBelow(two)], [0, 1])
  switched = await proven('switched', second)
})

test('a driver from outside that throws: it is named, others are asked all the same', options, async () => {
  const broken = { 'binding:profile': { fail: true } }
  const port = await makePort(plain, 'h3', { 'binding:vnic_type': 'baremetal', ...broken })
  assert.deepEqual(await failsBy(port, FAULTS.throwing), { error: 'out of order' })
  const normal = await makePort(plain, 'h3', broken)
  assert.deepEqual(normal['binding:vif_details'].bound_drivers, { '0': 'openvswitch' })
  assert.equal((await change(port.id, { 'binding:profile': {} }))['binding:vif_type'], 'other')
})

const statusOf = (error: unknown): number => {
  if (error instanceof ApiRefused) return error.status
  throw error
}

/** Who has made a segment and waits to write a port. */
const HELD_UP = `select 1 from pg_locks waiting join pg_locks held using (pid)
  where not waiting.granted and waiting.relation = 'ports'::regclass
    and held.granted and held.relation = 'network_segments'::regclass and held.mode = 'RowExclusiveLock'`

/** Kills the lab's database while it writes what `bind` asks for; answers what that was answered. */
const killUnder = async (bind: () => Promise<number>): Promise<number> => {
  const holder = new Client({ connectionString: socketUrl(databaseFolder(), DATABASE_NAME) })
  holder.on('error', () => undefined)
  await holder.connect()
  try {
    await holder.query('begin; lock table ports in share mode')
    const cut = bind()
    const heldUp = async (): Promise<boolean> => (await holder.query(HELD_UP)).rows.length > 0
    assert.ok(await waitFor(heldUp, { timeout: 8_000 }), 'it has a segment, and waits to write the port')
    process.kill(pidIn(join(databaseFolder(), 'postmaster.pid')), 'SIGKILL')
    return await cut
  } finally {
    await holder.end()
  }
}
const databaseFolder = (): string => join(lab.paths.server, 'postgres')

test('a database killed in the middle: 503, and once it is back one binding, with nothing over', options, async () => {
  // The only VLAN: if the binding that was cut off kept it, the next would find none.
  await unplugVm(lab, switched)
  await api.call('DELETE', `ports/${switched.portId}`)
  const network = await makeNetwork()
  const { id } = await makePort(network, '', { device_owner: 'compute:nova' })
  const bind = (): Promise<number> => change(id, { 'binding:host_id': 'h1' }).then(() => 200, statusOf)
  assert.equal(await killUnder(bind), 503)
  const answers: number[] = []
  const bound = async (): Promise<boolean> => answers[answers.push(await bind()) - 1] === 200
  assert.ok(await waitFor(bound, { timeout: 60_000, every: 100 }), answers.join(' '))
  assert.ok(
    answers.slice(0, -1).every((status) => status === 503),
    answers.join(' '),
  )
  const { bindings } = await api.call('GET', `ports/${id}/bindings`)
  const found = (bindings as { host: string; status: string }[]).map(({ host, status }) => [host, status])
  assert.deepEqual(found, [['h1', 'ACTIVE']])
  assert.deepEqual((await change(id, { name: 'bound' }))['binding:vif_details'].bound_drivers, BELOW)
  assert.equal(await vlansBelow(network), 1)
  await run([join(REPOSITORY, 'deuteron'), 'db', 'verify', `--database=${socketUrl(databaseFolder(), DATABASE_NAME)}`])
  await proven('survivor', { id })
})

test('docs/design/binding.md says which faults are tried here', () => {
  const page = readFileSync(new URL('../../docs/design/binding.md', import.meta.url), 'utf8')
  const here = page.split('\n').filter((line) => line.startsWith('|') && line.includes('binding-faults'))
  const rows = Object.values(FAULTS).map(
    ({ fault, driver, reason }) => `| ${fault} | ${driver} | \`${reason}\` | \`binding-faults\` |`,
  )
  assert.deepEqual(here.toSorted(), rows.toSorted())
})
