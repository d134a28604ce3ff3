/**
 * What Nova may rely on when it hears `network-vif-plugged`, with a real switch: at that moment the first packet of the
 * server arrives. Server and agents are processes, one of which is killed while a server is plugged. Needs root and
 * Open vSwitch.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { startAgent, stopAgent } from '#lab/agents.ts'
import { type Api, type PortFacts, waitForStatus } from '#lab/api.ts'
import { ipBatch, run, sleep } from '#lab/exec.ts'
import { bringDown, bringUp, labApi } from '#lab/lifecycle.ts'
import { vmNamespace } from '#lab/names.ts'
import { signal } from '#lab/processes.ts'
import { type Lab, readHost, readVm, type VmState } from '#lab/state.ts'
import { ping } from '#lab/tour/inside.ts'
import { addVm } from '#lab/vm-add.ts'
import { INTEGRATION_BRIDGE, unplugVm } from '#lab/vm.ts'
import { startServer, until } from '../lib/cloud.ts'
import { type NovaStub, novaStub, type Witnessed, witness } from '../lib/nova-stub.ts'
import { ovsMissing } from '../lib/ovs.ts'
import { testDatabase } from '../lib/postgres.ts'

const options = { skip: ovsMissing() ?? false, timeout: 60_000 }
const NAME = 'gplug'
const HOSTS = ['h1', 'h2'] as const
type Host = (typeof HOSTS)[number]
const PLUGGED = 'network-vif-plugged'
const UNPLUGGED = 'network-vif-unplugged'

/** Of a port at one moment: which of those plugged before it reaches, and whether its switch knows its MAC. */
interface Seen {
  readonly reached: readonly string[]
  /** As that of who sends, and of who is sent to. */
  readonly flows: readonly [boolean, boolean]
}
const WHOLE: Seen = { reached: HOSTS, flows: [true, true] }
const NOTHING: Seen = { reached: [], flows: [false, false] }

const stack = new AsyncDisposableStack()
let lab: Lab
let api: Api
let nova: NovaStub
let network = ''
let told: readonly Witnessed<Seen>[]
/** On each host a server that is reached by now. */
const peers = new Map<Host, VmState>()
/** The servers of ports: as they are called, before they are plugged. */
const servers = new Map<string, { readonly name: string; readonly port: PortFacts }>()

const create = async (kind: string, body: object): Promise<PortFacts> =>
  (await api.call('POST', `${kind}s`, { [kind]: body }))[kind] as PortFacts

/** A port for a server of this name, bound to the host. */
async function makePort(name: string, host: Host): Promise<PortFacts> {
  const server = { device_owner: 'compute:nova', device_id: randomUUID() }
  const port = await create('port', { network_id: network, 'binding:host_id': host, ...server })
  servers.set(port.id, { name, port })
  return port
}

const plug = ({ id }: PortFacts): Promise<VmState> =>
  addVm(lab, api, { name: servers.get(id)?.name ?? '', port: id, host: null, dhcp: false })

const addressOf = ({ addresses }: VmState): string => addresses[0]?.split('/')[0] ?? ''

/** One packet each, whatever was tried before: given up before the kernel asks a second time who has the address. */
async function reachedFrom(vm: VmState): Promise<string[]> {
  await ipBatch(vmNamespace(NAME, vm.name), ['neigh flush dev eth0'])
  const answers = [...peers].map(async ([host, peer]) => {
    const { received } = await ping(lab, vm, addressOf(peer), 1, ['-W', '0.9'])
    return received === 1 ? [host] : []
  })
  return (await Promise.all(answers)).flat()
}

async function flowsOf({ mac_address, 'binding:host_id': host }: PortFacts): Promise<Seen['flows']> {
  const bridge = `unix:${join(lab.paths.host(host), `${INTEGRATION_BRIDGE}.mgmt`)}`
  const flows = await run(['ovs-ofctl', '-O', 'OpenFlow15', 'dump-flows', bridge])
  return [flows.includes(`dl_src=${mac_address}`), flows.includes(`dl_dst=${mac_address}`)]
}

async function look(id: string): Promise<Seen> {
  const { name, port } = servers.get(id) as { name: string; port: PortFacts }
  const vm = await readVm(lab.paths, name)
  if (vm === null) return NOTHING
  const [reached, flows] = await Promise.all([reachedFrom(vm), flowsOf(port)])
  return { reached, flows }
}

/** The names of events Nova took of the port, repetitions of the last one apart. */
const heardOf = ({ id }: PortFacts): string[] =>
  nova.taken
    .filter(({ tag }) => tag === id)
    .map(({ name }) => name)
    .filter((name, index, all) => name !== all[index - 1])

/** Waits until Nova has heard that it is plugged, and checks what was true at each time it was told so. */
async function pluggedWhole(port: PortFacts): Promise<void> {
  await until('Nova hears that it is plugged', () => heardOf(port).includes(PLUGGED))
  const seen = await Promise.all(told.filter((one) => one.port === port.id).map((one) => one.seen))
  assert.ok(seen.length > 0)
  for (const one of seen) assert.deepEqual(one, WHOLE)
  assert.deepEqual(heardOf(port), [PLUGGED])
}

before(async () => {
  if (options.skip) return
  // Paths of the switch's sockets must be short.
  const root = await mkdtemp(join(existsSync('/var/lib') ? '/var/lib' : tmpdir(), 'dG-'))
  stack.defer(() => rm(root, { recursive: true, force: true }))
  const db = stack.use(await testDatabase())
  nova = stack.use(await novaStub())
  const feed = join(root, 'feed.sock')
  const flags = [`--feed-socket=${feed}`, `--nova-endpoint-override=${nova.url}`, '--send-events-interval=0s']
  const server = await startServer(stack, { database: db.url, flags })
  const openrc = join(root, 'openrc')
  await writeFile(openrc, `export OS_AUTH_TYPE=none\nexport OS_ENDPOINT=${server.url}\n`)
  await bringDown(root, NAME)
  stack.defer(async () => void (await bringDown(root, NAME)))
  const at = { url: server.url, openrc, feeds: [`ws+unix:${feed}:/agent`] }
  lab = await bringUp(root, { name: NAME, hosts: 2, datapath: 'netdev', server: at }, () => undefined)
  api = await labApi(lab)
  network = (await create('network', {})).id
  await create('subnet', { network_id: network, ip_version: 4, cidr: '10.0.0.0/24', enable_dhcp: false })
  for (const host of HOSTS) {
    const port = await makePort(`peer-${host}`, host)
    const vm = await plug(port)
    assert.equal(await waitForStatus(api, port.id, 'ACTIVE', 10_000), 'ACTIVE')
    peers.set(host, vm)
  }
  told = witness(nova, PLUGGED, look)
})

after(() => stack.disposeAsync())

test(
  'told that it is plugged, a server is heard with its first packet; unplugged is told as well',
  options,
  async () => {
    const ports = await Promise.all([makePort('one', 'h1'), makePort('two', 'h2'), makePort('three', 'h1')])
    await sleep(500)
    for (const port of ports) assert.deepEqual(heardOf(port), [], 'bound is not plugged')
    const vms = await Promise.all(ports.map(plug))
    await Promise.all(ports.map(pluggedWhole))
    await Promise.all(vms.map((vm) => unplugVm(lab, vm)))
    for (const port of ports) {
      await until('Nova hears that it is not', () => heardOf(port).includes(UNPLUGGED))
      assert.deepEqual(heardOf(port), [PLUGGED, UNPLUGGED])
      assert.deepEqual(await flowsOf(port), NOTHING.flows)
    }
  },
)

/** Plugs while the agent is held up, lets it go on for so many milliseconds, and kills it. */
async function plugAndKill(port: PortFacts, ms: number): Promise<void> {
  const { agent } = await readHost(lab.paths, 'h1')
  signal(agent, 'SIGSTOP')
  await plug(port)
  if (ms > 0) {
    signal(agent, 'SIGCONT')
    await sleep(ms)
  }
  await stopAgent(lab, 'h1', 'SIGKILL')
}

test('the agent killed before it takes note: nothing is told until it is back', options, async () => {
  const port = await makePort('unseen', 'h1')
  await plugAndKill(port, 0)
  await sleep(1500)
  assert.deepEqual(await look(port.id), NOTHING)
  assert.deepEqual(heardOf(port), [])
  await startAgent(lab, 'h1')
  await pluggedWhole(port)
})

test('the agent killed while it adds flows: what is told is true, and it is told', options, async (t) => {
  for (const ms of [3, 10, 30]) {
    const port = await makePort(`after-${ms}`, 'h1')
    await plugAndKill(port, ms)
    await sleep(500)
    const [flows, heard] = [await flowsOf(port), heardOf(port)]
    t.diagnostic(`killed after ${ms} ms: ${flows.includes(true) ? 'it has' : 'no'} flows, Nova heard [${heard}]`)
    await startAgent(lab, 'h1')
    await pluggedWhole(port)
  }
})
