/**
 * Hierarchical binding in the lab, from the API to packets: hosts below two ToRs and a host on native VXLAN are one
 * network, whatever is killed; VLANs come with the first port below a ToR and go with the last. Needs root and Open
 * vSwitch with its VTEP emulator.
 */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { type Api, getPort, type PortFacts, waitForStatus } from '#lab/api.ts'
import { run, waitFor, words } from '#lab/exec.ts'
import { restoreTor } from '#lab/hosts.ts'
import { bringDown, bringUp, labApi } from '#lab/lifecycle.ts'
import { ovsEnv, ovsProcesses } from '#lab/ovs.ts'
import { signal, waitGone } from '#lab/processes.ts'
import { startServer, stopServer } from '#lab/server.ts'
import type { Lab, VmState } from '#lab/state.ts'
import { trunkPort, vtepctl } from '#lab/tor.ts'
import { ping } from '#lab/tour/inside.ts'
import { addVm } from '#lab/vm-add.ts'
import { unplugVm } from '#lab/vm.ts'

const able = process.getuid?.() === 0 && existsSync('/usr/share/openvswitch/scripts/ovs-vtep')
const skip = able ? false : 'needs root and openvswitch-vtep'
const NAME = 'thpbapi'
const HOSTS = ['h1', 'h2', 'h3'] as const
const TORS = ['tor1', 'tor2'] as const

let root = ''
let lab: Lab
let api: Api
let network = ''
const vms = new Map<string, VmState>()
/** The VM on a host. */
const vm = (host: string): VmState => vms.get(host) as VmState
const ip = (host: string): string => vm(host).addresses[0]?.split('/')[0] ?? ''

const create = async (collection: string, kind: string, body: object): Promise<PortFacts> =>
  (await api.call('POST', collection, { [kind]: body }))[kind] as PortFacts
const makePort = (host: string): Promise<PortFacts & Bound> =>
  create('ports', 'port', { network_id: network, 'binding:host_id': host }) as Promise<PortFacts & Bound>
interface Bound {
  readonly 'binding:vif_details': { readonly bound_drivers?: Readonly<Record<string, string>> }
}

const startVm = async (host: string): Promise<void> => {
  const { id } = await makePort(host)
  vms.set(host, await addVm(lab, api, { name: `on-${host}`, port: id, host: null, dhcp: true }))
  assert.equal(await waitForStatus(api, id, 'ACTIVE', 10_000), 'ACTIVE', host)
}

interface TorAgent {
  readonly alive: boolean
  readonly configurations: {
    readonly unreachable: string | null
    readonly problems: readonly { readonly reason: string; readonly facts: unknown }[]
    readonly tunnel_ip: string
    readonly reconciled_at: string | null
    readonly last_error: unknown
    readonly foreign_vlans: readonly (readonly [number, number])[]
  }
}
const torAgent = async (tor: string): Promise<TorAgent> => {
  const { agents } = await api.call('GET', `agents?host=${tor}&agent_type=Hardware%20VTEP%20agent`)
  return (agents as TorAgent[])[0] as TorAgent
}

/** VLAN → logical switch on the trunk to a host. */
const bindings = async (tor: string, host: string): Promise<Record<string, string>> => {
  const lines = (await vtepctl(lab, tor, ['list-bindings', tor, trunkPort(host)])).trim().split('\n').filter(Boolean)
  return Object.fromEntries(lines.map((line) => line.split(' ') as [string, string]))
}
const flows = (tor: string): Promise<string> =>
  run(['ovs-ofctl', '--timeout=10', 'dump-flows', tor], { env: ovsEnv(lab.paths.host(tor)) })
const madeSegments = async (): Promise<string[]> => {
  const { segments } = await api.call('GET', `segments?network_id=${network}&network_type=vlan`)
  return (segments as { physical_network: string }[]).map(({ physical_network }) => physical_network).toSorted()
}

const pairs = (hosts: readonly string[]): [string, string][] =>
  hosts.flatMap((from) => hosts.filter((to) => to !== from).map((to): [string, string] => [from, to]))
/** Within 25 s, five packets in a row each way: the emulator may still be at work, and this machine at others' work. */
const everybodyReaches = async (hosts: readonly string[] = HOSTS): Promise<void> => {
  for (const [from, to] of pairs(hosts)) {
    const all = async (): Promise<boolean> => (await ping(lab, vm(from), ip(to), 5)).received === 5
    assert.ok(await waitFor(all, { timeout: 25_000, every: 200 }), `${from} to ${to}`)
  }
}

/** Both ways through ToRs while `action` runs, 20 packets a second: once of three times without a loss. */
const lossless = async (action: () => Promise<void>): Promise<void> => {
  const seen: string[] = []
  for (let attempt = 0; attempt < 3; attempt++) {
    const ended = { yet: false }
    const pinging = [vm('h1'), vm('h2')].map(async (from) => {
      const lost: number[] = []
      while (!ended.yet) {
        const { sent, received } = await ping(lab, from, ip(from === vm('h1') ? 'h3' : 'h1'), 40)
        lost.push(sent - received)
      }
      return lost
    })
    await action().finally(() => (ended.yet = true))
    const lost = (await Promise.all(pinging)).flat()
    assert.ok(lost.length > 0)
    if (lost.every((one) => one === 0)) return
    seen.push(lost.join(' '))
  }
  assert.fail(`lost of 40 each: ${seen.join('; ')}`)
}

interface Attempt {
  readonly driver: string
  readonly reason: string | null
  readonly facts: Readonly<Record<string, unknown>>
}
/** Why the port's binding failed, as the server says it. */
const failureOf = async (id: string): Promise<readonly Attempt[]> => {
  const { binding_explanation } = await api.call('GET', `ports/${id}/binding-explanation`)
  return (binding_explanation as { readonly last: { readonly attempts: readonly Attempt[] } }).last.attempts
}

const killDatabase = async (tor: string): Promise<void> => {
  const { ovsdb } = ovsProcesses(lab.paths.host(tor))
  assert.ok(signal(ovsdb, 'SIGKILL'))
  await waitGone(ovsdb, 5_000)
}

before(async () => {
  if (!able) return
  // Below /var/lib: the server's user must reach its data, the database's socket path must be short.
  root = await mkdtemp(join(existsSync('/var/lib') ? '/var/lib' : tmpdir(), 'dT-'))
  await run(['chmod', '755', root])
  await bringDown(root, NAME)
  const wish = { name: NAME, hosts: HOSTS.length, datapath: 'netdev', server: 'own', topology: 'hpb' } as const
  lab = await bringUp(root, wish, () => undefined)
  api = await labApi(lab)
  network = (await create('networks', 'network', { name: 'spanned' })).id
  await create('subnets', 'subnet', { network_id: network, ip_version: 4, cidr: '10.0.0.0/24' })
})

after(async () => {
  if (!able) return
  await bringDown(root, NAME)
  await rm(root, { recursive: true, force: true })
})

test('ToRs are agents, alive, and say what they are', { skip }, async () => {
  const one = await torAgent('tor1')
  assert.equal(one.alive, true)
  const { reconciled_at, last_error, ...rest } = one.configurations
  assert.ok(Date.now() - Date.parse(reconciled_at ?? '') < 90_000, `compared at ${reconciled_at}`)
  assert.equal(last_error, null)
  assert.deepEqual(rest, {
    physical_network: 'physnet-tor1',
    switch: 'tor1',
    target: `unix:${lab.paths.ovsdb('tor1')}`,
    tunnel_ip: '172.31.0.201',
    ports: { h1: 'to-h1' },
    configured: true,
    foreign_vlans: [],
    unreachable: null,
    problems: [],
    vlan_bindings: 0,
    remote_macs: 0,
  })
})

test('below a ToR a port is bound in two levels, by another VLAN at each; beside them in one', { skip }, async () => {
  const drivers = []
  for (const host of HOSTS) {
    const port = await makePort(host)
    drivers.push(port['binding:vif_details'].bound_drivers)
    await api.call('DELETE', `ports/${port.id}`)
  }
  const below = { '0': 'vtep', '1': 'openvswitch' }
  assert.deepEqual(drivers, [below, below, { '0': 'openvswitch' }])
  assert.deepEqual(await madeSegments(), [], 'no port, no VLAN')
})

test('VLAN, another VLAN and VXLAN are one network', { skip, timeout: 120_000 }, async () => {
  for (const host of HOSTS) await startVm(host)
  await everybodyReaches()
  const [one, two] = [await bindings('tor1', 'h1'), await bindings('tor2', 'h2')]
  assert.deepEqual([one, two].map(Object.values), [[`deuteron-${network}`], [`deuteron-${network}`]])
  assert.notDeepEqual(Object.keys(one), Object.keys(two), 'each ToR has a VLAN of its own')
  assert.deepEqual(await madeSegments(), ['physnet-tor1', 'physnet-tor2'])
})

test('a server killed loses no packet, and the next goes on with the ToRs', { skip, timeout: 120_000 }, async () => {
  const uuid = () => vtepctl(lab, 'tor1', ['get', 'Logical_Switch', `deuteron-${network}`, '_uuid'])
  const had = await uuid()
  await lossless(async () => {
    await stopServer(lab.paths, 'SIGKILL')
    await startServer(lab)
  })
  const { id } = await makePort('h1')
  const { mac_address } = await getPort(api, id)
  const known = await waitFor(
    async () => (await vtepctl(lab, 'tor2', ['list-remote-macs', `deuteron-${network}`])).includes(mac_address),
    { timeout: 20_000, every: 200 },
  )
  assert.ok(known, 'a port made after it is in the other ToR')
  await api.call('DELETE', `ports/${id}`)
  assert.equal(await uuid(), had, 'adopted, not made anew')
  await everybodyReaches()
})

test('a VLAN that somebody else takes is left to them: network, ToR and host move to another', {
  skip,
  timeout: 90_000,
}, async () => {
  const [vlan = ''] = Object.keys(await bindings('tor1', 'h1'))
  const taken = Number(vlan)
  await vtepctl(lab, 'tor1', words(`unbind-ls tor1 to-h1 ${taken} -- add-ls own -- bind-ls tor1 to-h1 ${taken} own`))
  const moved = await waitFor(async () => Object.entries(await bindings('tor1', 'h1')).length === 2, {
    timeout: 10_000,
    every: 100,
  })
  const now = await bindings('tor1', 'h1')
  assert.ok(moved, JSON.stringify(now))
  assert.equal(now[vlan], 'own', 'theirs is left alone')
  assert.deepEqual(Object.values(now).toSorted(), [`deuteron-${network}`, 'own'])
  await everybodyReaches()
  const at = async () => (await torAgent('tor1')).configurations
  await waitFor(async () => (await at()).problems.length === 0, { timeout: 5_000 })
  assert.deepEqual([(await at()).problems, (await at()).foreign_vlans], [[], [[taken, taken]]])
  await vtepctl(lab, 'tor1', words(`unbind-ls tor1 to-h1 ${taken}`))
  assert.ok(await waitFor(async () => (await at()).foreign_vlans.length === 0, { timeout: 5_000 }), 'free again')
  await everybodyReaches()
})

test('a ToR that cannot be reached binds nothing and says why; back, it is put right and bindings are made', {
  skip,
  timeout: 180_000,
}, async () => {
  await killDatabase('tor1')
  const dead = await waitFor(async () => !(await torAgent('tor1')).alive, { timeout: 30_000, every: 200 })
  assert.ok(dead, 'it is known to be away')
  assert.match((await torAgent('tor1')).configurations.unreachable ?? '', /db\.sock/)
  const failed = await makePort('h1')
  assert.equal(failed['binding:vif_type'], 'binding_failed')
  const attempts = await failureOf(failed.id)
  const own = attempts.find(({ driver }) => driver === 'vtep')
  assert.equal(own?.reason, 'tor_unreachable')
  assert.equal(own?.facts['tor'], 'tor1')
  assert.ok(attempts.some(({ driver, reason }) => driver === 'openvswitch' && reason === 'tunnel_type_unsupported'))
  assert.equal((await makePort('h2'))['binding:vif_type'], 'ovs', 'the other ToR goes on')
  // What it missed: the database it had is gone too.
  await rm(join(lab.paths.host('tor1'), 'vtep.db'))
  await restoreTor(lab, 'tor1')
  const bound = await waitFor(async () => (await getPort(api, failed.id))['binding:vif_type'] === 'ovs', {
    timeout: 20_000,
    every: 200,
  })
  assert.ok(bound, 'the binding that failed is made')
  await everybodyReaches()
})

test('the VLAN goes with the last port below the ToR, and so does all of the network there', {
  skip,
  timeout: 120_000,
}, async () => {
  const [vlan = ''] = Object.keys(await bindings('tor1', 'h1'))
  await unplugVm(lab, vm('h1'))
  const { ports } = await api.call('GET', `ports?network_id=${network}&binding:host_id=h1&fields=id`)
  for (const { id } of ports as { id: string }[]) await api.call('DELETE', `ports/${id}`)
  const gone = await waitFor(async () => Object.keys(await bindings('tor1', 'h1')).length === 0, {
    timeout: 10_000,
    every: 100,
  })
  assert.ok(gone, 'no VLAN is bound')
  assert.doesNotMatch(await vtepctl(lab, 'tor1', ['list-ls']), /deuteron/)
  for (const table of ['Ucast_Macs_Remote', 'Mcast_Macs_Remote'])
    assert.equal((await vtepctl(lab, 'tor1', words(`--columns=_uuid list ${table}`))).trim(), '')
  assert.deepEqual(await madeSegments(), ['physnet-tor2'])
  const closed = await waitFor(async () => !(await flows('tor1')).includes(`dl_vlan=${Number(vlan)}`), {
    timeout: 20_000,
    every: 300,
  })
  assert.ok(closed, 'the emulator lets nothing of it through')
  assert.doesNotMatch(await vtepctl(lab, 'tor2', ['list-remote-macs', `deuteron-${network}`]), /172\.31\.0\.201/)
  await everybodyReaches(['h2', 'h3'])
  for (const tor of TORS) assert.deepEqual((await torAgent(tor)).configurations.problems, [])
})
