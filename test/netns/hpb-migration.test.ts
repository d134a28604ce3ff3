/**
 * A server moves under a stream of a packet a millisecond between a host below one ToR, a host below another, and a host
 * that ends VXLAN itself. The guest's namespace has a leg on both hosts while it moves, as in `live-migration.test.ts`;
 * who sends is on a host of its own. Needs root and Open vSwitch with its VTEP emulator.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test, type TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type Api, type PortFacts, waitForStatus } from '#lab/api.ts'
import { ipBatch, run, waitFor, words } from '#lab/exec.ts'
import { bringDown, bringUp, labApi } from '#lab/lifecycle.ts'
import { hostNamespace, vmNamespace } from '#lab/names.ts'
import { guardDevice, ovsEnv, unguardDevice, vsctl } from '#lab/ovs.ts'
import type { Lab, VmState } from '#lab/state.ts'
import { trunkPort, vtepctl } from '#lab/tor.ts'
import { ping } from '#lab/tour/inside.ts'
import { addVm } from '#lab/vm-add.ts'
import { INTEGRATION_BRIDGE } from '#lab/vm.ts'

const able = process.getuid?.() === 0 && existsSync('/usr/share/openvswitch/scripts/ovs-vtep')
const skip = able ? false : 'needs root and openvswitch-vtep'
const NAME = 'thpbmov'
const TRAFFIC = fileURLToPath(new URL('./ovs-traffic.ts', import.meta.url))
const PACKETS = 5000
const MOVES = [
  ['h1', 'h2'],
  ['h2', 'h3'],
  ['h3', 'h1'],
] as const
/** h1 is below tor1, h2 below tor2; h3 and h4 end tunnels. */
type Host = 'h1' | 'h2' | 'h3'
const TOR: Readonly<Record<Host, string | null>> = { h1: 'tor1', h2: 'tor2', h3: null }
const TUNNEL: Readonly<Record<Host, string>> = { h1: '172.31.0.201', h2: '172.31.0.202', h3: '172.31.0.3' }

let root = ''
let lab: Lab
let api: Api
let network = ''
let guest: VmState
let sender: VmState
/** The guest's leg on a host. */
const legs = new Map<string, string>()

before(async () => {
  if (!able) return
  root = await mkdtemp(join(existsSync('/var/lib') ? '/var/lib' : tmpdir(), 'dT-'))
  await run(['chmod', '755', root])
  await bringDown(root, NAME)
  const wish = { name: NAME, hosts: 4, datapath: 'netdev', server: 'own', topology: 'hpb' } as const
  lab = await bringUp(root, wish, () => undefined)
  api = await labApi(lab)
  network = (await create('networks', 'network', { name: 'moving' })).id
  await create('subnets', 'subnet', { network_id: network, ip_version: 4, cidr: '10.0.0.0/24', enable_dhcp: false })
  sender = await startVm('sender', 'h4')
  guest = await startVm('guest', 'h1')
  legs.set('h1', guest.tap)
  const ns = vmNamespace(NAME, guest.name)
  const reverse = ['all', 'eth0'].map((device) => `net.ipv4.conf.${device}.rp_filter=0`)
  await run(['ip', 'netns', 'exec', ns, 'sysctl', '-qw', ...reverse])
  const reached = (): Promise<boolean> => ping(lab, sender, address(), 3).then(({ received }) => received === 3)
  assert.ok(await waitFor(reached, { timeout: 25_000, every: 200 }), 'the guest is reached')
})

after(async () => {
  if (!able) return
  await bringDown(root, NAME)
  await rm(root, { recursive: true, force: true })
})

const address = (): string => guest.addresses[0]?.split('/')[0] ?? ''
const create = async (collection: string, kind: string, body: object): Promise<PortFacts> =>
  (await api.call('POST', collection, { [kind]: body }))[kind] as PortFacts

async function startVm(name: string, host: string): Promise<VmState> {
  const owner = { device_owner: 'compute:nova', device_id: crypto.randomUUID() }
  const { id } = await create('ports', 'port', { network_id: network, 'binding:host_id': host, ...owner })
  const vm = await addVm(lab, api, { name, port: id, host: null, dhcp: false })
  assert.equal(await waitForStatus(api, id, 'ACTIVE', 20_000), 'ACTIVE', host)
  return vm
}

/** The guest's leg on a host, silent, and plugged as Nova plugs it on the target of a migration. */
async function plugLeg(host: Host): Promise<void> {
  const [ns, there] = [vmNamespace(NAME, guest.name), hostNamespace(NAME, host)]
  const [leg, tap] = [`leg-${host}`, `tapleg${host}`]
  const { mac, mtu, portId } = guest
  await run(
    words(
      `ip link add ${leg} netns ${ns} address ${mac} mtu ${mtu} type veth peer name ${tap} netns ${there} mtu ${mtu}`,
    ),
  )
  await ipBatch(there, [`link set ${tap} addrgenmode none up`])
  await ipBatch(ns, [`link set ${leg} addrgenmode none up`, `addr add ${guest.addresses[0]} dev ${leg} noprefixroute`])
  await run(words(`ip netns exec ${ns} sysctl -qw net.ipv4.conf.${leg}.rp_filter=0`))
  await guardDevice(lab, host, tap)
  const plug = `add-port ${INTEGRATION_BRIDGE} ${tap} -- set Interface ${tap} external_ids:iface-id=${portId} external_ids:attached-mac="${mac}"`
  await vsctl(lab, host, words(plug))
  legs.set(host, tap)
}

/** What Nova does on the host that was left. */
async function unplugLeg(host: Host): Promise<void> {
  const tap = legs.get(host) ?? ''
  await unguardDevice(lab, host, tap)
  await vsctl(lab, host, ['--if-exists', 'del-port', INTEGRATION_BRIDGE, tap])
  await run(words(`ip -n ${hostNamespace(NAME, host)} link del ${tap}`))
  legs.delete(host)
}

interface Counted {
  readonly received: number
  readonly lost: number
}

/** What of a stream arrives while `disturb` happens in its middle. */
async function underStream(from: VmState, disturb: () => Promise<unknown>): Promise<Counted> {
  const inside = (vm: VmState, ...role: string[]) =>
    spawn('ip', ['netns', 'exec', vmNamespace(NAME, vm.name), process.execPath, TRAFFIC, ...role], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
  const receiver = inside(guest, 'receive', '9000')
  const lines: string[] = []
  const ready = new Promise<void>((resolve) => receiver.stdout.once('data', () => resolve()))
  receiver.stdout.setEncoding('utf8').on('data', (text: string) => void lines.push(...text.trim().split('\n')))
  const ended = new Promise((resolve) => receiver.once('close', resolve))
  await ready
  const sending = inside(from, 'send', address(), '9000', String(PACKETS))
  const sent = new Promise((resolve) => sending.once('exit', resolve))
  await pause(1_000)
  await disturb()
  await sent
  await pause(300)
  receiver.kill('SIGTERM')
  await ended
  return JSON.parse(lines.at(-1) ?? '{}') as Counted
}

/** Remote MACs of the network at a ToR: MAC → tunnel address. */
async function remoteMacs(tor: string): Promise<Readonly<Record<string, string>>> {
  const lines = await vtepctl(lab, tor, ['list-remote-macs', `deuteron-${network}`]).catch(() => '')
  const found = [...lines.matchAll(/^\s+(\S+) -> vxlan_over_ipv4\/(\S+)/gm)]
  return Object.fromEntries(found.map(([, mac = '', ip = '']) => [mac, ip]))
}
const vlans = async (tor: string, host: string): Promise<string> =>
  (await vtepctl(lab, tor, ['list-bindings', tor, trunkPort(host)])).trim()

/** Frames that come from elsewhere are delivered there. */
const isReady = async (host: Host): Promise<boolean> => {
  const flows = await run(['ovs-ofctl', '-OOpenFlow15', '--timeout=10', 'dump-flows', INTEGRATION_BRIDGE, 'table=30'], {
    env: ovsEnv(lab.paths.host(host)),
  })
  return flows.includes(`dl_dst=${guest.mac}`)
}

/** Moves the guest as Nova does; answers how long the database of the ToRs took to say so, and what was lost. */
async function move(
  stream: VmState,
  from: Host,
  to: Host,
  t: TestContext,
  watch: () => Promise<void> = async () => undefined,
): Promise<Counted> {
  await api.call('POST', `ports/${guest.portId}/bindings`, { binding: { host: to } })
  await plugLeg(to)
  assert.ok(await waitFor(() => isReady(to), { timeout: 15_000, every: 50 }), `${to} is ready`)
  const tor = TOR[to]
  if (tor)
    assert.ok(await waitFor(async () => (await vlans(tor, to)) !== '', { timeout: 5_000, every: 50 }), 'so is its ToR')
  await pause(3_000)
  let told = 0
  const before = await arrivedOn(to)
  const result = await underStream(stream, async () => {
    const begin = performance.now()
    const watching = watch()
    await api.call('PUT', `ports/${guest.portId}/bindings/${to}/activate`)
    await waitFor(async () => (await notYet(to, stream)).length === 0, { timeout: 5_000, every: 5 })
    told = performance.now() - begin
    await watching
  })
  const arrived = (await arrivedOn(to)) - before
  assert.ok(arrived > (stream === sender ? PACKETS / 3 : 0), `${arrived} came to its new leg`)
  t.diagnostic(`${from} to ${to}: ${JSON.stringify(result)}, the ToRs' databases after ${Math.round(told)} ms`)
  assert.deepEqual(await notYet(to, stream), [])
  assert.ok(told < 3_000, `${told} ms`)
  assert.equal(await waitForStatus(api, guest.portId, 'ACTIVE', 10_000), 'ACTIVE')
  await api.call('DELETE', `ports/${guest.portId}/bindings/${from}`)
  await unplugLeg(from)
  await ipBatch(vmNamespace(NAME, guest.name), [`route replace 10.0.0.0/24 dev leg-${to}`])
  return result
}

/** Frames that the guest's leg on a host got. */
const arrivedOn = async (host: Host): Promise<number> => {
  const tap = legs.get(host) ?? ''
  const file = `/sys/class/net/${tap}/statistics/tx_packets`
  return Number(await run(['ip', 'netns', 'exec', hostNamespace(NAME, host), 'cat', file]))
}

/** What the databases of the ToRs do not say yet of a move to a host. Where the sender is, the network stays. */
async function notYet(to: Host, { host: senders }: VmState): Promise<string[]> {
  const wrong: string[] = []
  for (const host of ['h1', 'h2'] as const) {
    const tor = TOR[host] as string
    const wanted = host === to || host !== senders ? undefined : TUNNEL[to]
    const at = (await remoteMacs(tor))[guest.mac]
    if (at !== wanted) wrong.push(`${tor}: ${guest.mac} at ${at}, not ${wanted}`)
    const bound = (await vlans(tor, host)) !== ''
    if (bound !== (host === to || host === senders)) wrong.push(`${tor}: a VLAN is ${bound ? 'left' : 'missing'}`)
  }
  return wrong
}

test('below one ToR, below the other, on VXLAN of its own, and back: hardly a packet is lost', {
  skip,
  timeout: 240_000,
}, async (t) => {
  const control = await underStream(sender, async () => undefined)
  t.diagnostic(`control: ${JSON.stringify(control)}`)
  for (const [from, to] of MOVES) {
    const { lost } = await move(sender, from, to, t)
    assert.ok(lost - control.lost <= 5, `${from} to ${to}: ${lost} lost`)
  }
})

/** How the switch of a ToR finds the guest now. */
const foundAt = async (tor: string): Promise<string> => {
  const env = ovsEnv(lab.paths.host(tor))
  const bridge = (await vsctl(lab, tor, ['list-br'])).split('\n').find((name) => name.includes('_vtep_ls')) ?? ''
  const flows = await run(['ovs-ofctl', '--timeout=10', 'dump-flows', bridge, `table=1,dl_dst=${guest.mac}`], { env })
  return /actions=(\S+)/.exec(flows)?.[1] ?? ''
}

test('for a sender below a ToR no more is lost than the ToR takes to do what it was told', {
  skip,
  timeout: 120_000,
}, async (t) => {
  const below = await startVm('below', 'h1')
  const reached = (): Promise<boolean> => ping(lab, below, address(), 3).then(({ received }) => received === 3)
  assert.ok(await waitFor(reached, { timeout: 25_000, every: 200 }), 'the guest is reached')
  for (const [from, to] of [
    ['h1', 'h2'],
    ['h2', 'h3'],
  ] as const) {
    let acted = 0
    const { lost } = await move(below, from, to, t, async () => {
      const [begin, before] = [performance.now(), await foundAt('tor1')]
      await waitFor(async () => (await foundAt('tor1')) !== before, { timeout: 10_000, every: 10 })
      acted = performance.now() - begin
    })
    assert.ok(acted < 5_000, 'it acted')
    t.diagnostic(`the emulator acted ${Math.round(acted)} ms after the activation`)
    assert.ok(lost <= acted + 100, `${from} to ${to}: ${lost} lost in ${Math.round(acted)} ms`)
  }
})
