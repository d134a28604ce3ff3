/**
 * A network across two ToRs, each with a VLAN of its own for it, and a host on native VXLAN: packets between all three,
 * after each part was killed, and none once the last port is gone. What the ToRs should hold is written here; the
 * driver's planner and executor put it there. Needs root and Open vSwitch with its VTEP emulator.
 */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { createTor, type Tor } from '#drivers/mechanism/vtep/tor.ts'
import { type SpannedNetwork, wantOf } from '#drivers/mechanism/vtep/want.ts'
import { silentLogger } from '#kernel/log.ts'
import { inNamespace, ipBatch, run, tryRun, waitFor, words } from '#lab/exec.ts'
import { restoreTor } from '#lab/hosts.ts'
import { bringDown, bringUp, readStatus } from '#lab/lifecycle.ts'
import { hostNamespace, tunnelIp, underlayIndex, vmNamespace } from '#lab/names.ts'
import { guardDevice, ovsEnv, ovsProcesses, vsctl } from '#lab/ovs.ts'
import { isAlive, signal, waitGone } from '#lab/processes.ts'
import type { Lab } from '#lab/state.ts'
import { startEmulator, torProcess, TRUNK_BRIDGE, trunkPort, vtepctl } from '#lab/tor.ts'

const able = process.getuid?.() === 0 && existsSync('/usr/share/openvswitch/scripts/ovs-vtep')
const skip = able ? false : 'needs root and openvswitch-vtep'
const NAME = 'thpb'
const VNI = 5001
const TORS = ['tor1', 'tor2'] as const

interface Endpoint {
  readonly name: string
  readonly host: string
  /** Null: not tagged. */
  readonly vlan: number | null
  readonly ip: string
  readonly mac: string
}
const a: Endpoint = { name: 'a', host: 'h1', vlan: 101, ip: '10.9.0.1', mac: '02:00:00:00:09:01' }
const b: Endpoint = { name: 'b', host: 'h2', vlan: 202, ip: '10.9.0.2', mac: '02:00:00:00:09:02' }
const c: Endpoint = { name: 'c', host: 'h3', vlan: null, ip: '10.9.0.3', mac: '02:00:00:00:09:03' }
const all = [a, b, c]

const network: SpannedNetwork = {
  id: 'n1',
  vni: VNI,
  vlans: { tor1: 101, tor2: 202 },
  ports: [
    { mac: a.mac, at: { tor: 'tor1', port: trunkPort('h1') } },
    { mac: b.mac, at: { tor: 'tor2', port: trunkPort('h2') } },
    { mac: c.mac, at: { tunnelIp: tunnelIp(3) } },
  ],
}
const tunnelIps = Object.fromEntries(TORS.map((tor) => [tor, tunnelIp(underlayIndex(tor))]))

let root = ''
let lab: Lab
const tors = new Map<string, Tor>()

const drive = (name: string, spanned: readonly SpannedNetwork[] = [network]): Tor => {
  const tor = createTor({ connection: { target: `unix:${lab.paths.ovsdb(name)}` }, log: silentLogger })
  tor.want(wantOf(name, tunnelIps, spanned))
  tors.set(name, tor)
  return tor
}
const statusOf = (name: string) => tors.get(name)?.status()
const inSync = async (name: string): Promise<void> => {
  const done = await waitFor(() => statusOf(name)?.state === 'in_sync' && statusOf(name)?.problems.length === 0, {
    timeout: 20_000,
  })
  assert.ok(done, `${name}: ${JSON.stringify(statusOf(name))}`)
}

/** A namespace on a bridge of a host; where it has a VLAN, that bridge tags its frames. */
const plug = async ({ name, host, vlan, ip, mac }: Endpoint, bridge: string): Promise<void> => {
  const [ns, hostNs] = [vmNamespace(NAME, name), hostNamespace(NAME, host)]
  await run(['ip', 'netns', 'add', ns])
  await ipBatch(null, [`link add eth0 netns ${ns} address ${mac} type veth peer name ep-${name} netns ${hostNs}`])
  await ipBatch(hostNs, [`link set ep-${name} addrgenmode none up`])
  await ipBatch(ns, ['link set eth0 addrgenmode none up', `addr add ${ip}/24 dev eth0`])
  await run(inNamespace(ns, ['ethtool', '-K', 'eth0', 'tx', 'off']))
  await vsctl(lab, host, ['--may-exist', 'add-br', bridge, '--', 'set', 'Bridge', bridge, 'datapath_type=netdev'])
  await vsctl(lab, host, ['add-port', bridge, `ep-${name}`, ...(vlan === null ? [] : [`tag=${vlan}`])])
  await guardDevice(lab, host, `ep-${name}`)
}

/** The native host's tunnels; protected ports do not speak to each other, so that no copy goes round. */
const tunnelTo = (tor: string): Promise<string> => {
  const options = `type=vxlan options:key=${VNI} options:remote_ip=${tunnelIps[tor]}`
  return vsctl(
    lab,
    'h3',
    words(`add-port br-int vx-${tor} -- set Interface vx-${tor} ${options} -- set Port vx-${tor} protected=true`),
  )
}

const reaches = async (from: Endpoint, to: Endpoint, count: number): Promise<number> => {
  const argv = ['ping', '-c', String(count), '-i', '0.1', '-W', '1', to.ip]
  const { stdout } = await tryRun(inNamespace(vmNamespace(NAME, from.name), argv))
  return Number(/(\d+) received/.exec(stdout)?.[1] ?? 0)
}
/** Waits until everybody reaches everybody, then wants no packet lost. */
const everybodyReaches = async (endpoints: readonly Endpoint[]): Promise<void> => {
  for (const from of endpoints)
    for (const to of endpoints.filter((one) => one !== from)) {
      const began = await waitFor(async () => (await reaches(from, to, 1)) === 1, { timeout: 25_000, every: 200 })
      assert.ok(began, `${from.name} does not reach ${to.name}`)
    }
  for (const from of endpoints)
    for (const to of endpoints.filter((one) => one !== from))
      assert.equal(await reaches(from, to, 5), 5, `${from.name} to ${to.name}`)
}

const logicalUuid = async (tor: string): Promise<string> =>
  (await vtepctl(lab, tor, ['get', 'Logical_Switch', 'deuteron-n1', '_uuid'])).trim()
const bindings = (tor: string, host: string): Promise<string> =>
  vtepctl(lab, tor, ['list-bindings', tor, trunkPort(host)])
const flows = (tor: string): Promise<string> =>
  run(['ovs-ofctl', '--timeout=10', 'dump-flows', tor], { env: ovsEnv(lab.paths.host(tor)) })

before(async () => {
  if (!able) return
  root = await mkdtemp(join(tmpdir(), 'T-'))
  await bringDown(root, NAME)
  lab = await bringUp(
    root,
    { name: NAME, hosts: 3, datapath: 'netdev', server: 'none', topology: 'hpb' },
    () => undefined,
  )
  await plug(a, TRUNK_BRIDGE)
  await plug(b, TRUNK_BRIDGE)
  await plug(c, 'br-int')
  for (const tor of TORS) await tunnelTo(tor)
})

after(async () => {
  if (!able) return
  for (const tor of tors.values()) await tor.close()
  await bringDown(root, NAME)
  await rm(root, { recursive: true, force: true })
})

test('nothing passes a ToR that nobody told anything', { skip }, async () => {
  assert.equal(await reaches(a, b, 2), 0)
  assert.equal(await reaches(a, c, 2), 0)
})

test('VLAN 101, VLAN 202 and VXLAN are one network', { skip, timeout: 120_000 }, async () => {
  for (const tor of TORS) drive(tor)
  for (const tor of TORS) await inSync(tor)
  assert.deepEqual(statusOf('tor1')?.switch, { tunnelIps: [tunnelIps['tor1']], ports: ['to-h1'], faults: [] })
  assert.match(await bindings('tor1', 'h1'), /^0101 deuteron-n1\n$/)
  assert.match(await bindings('tor2', 'h2'), /^0202 deuteron-n1\n$/)
  await everybodyReaches(all)
})

test('while the emulator is dead packets pass, and after it came back', { skip, timeout: 120_000 }, async () => {
  const emulator = torProcess(lab, 'tor1')
  assert.ok(signal(emulator, 'SIGKILL'))
  await waitGone(emulator, 5_000)
  assert.equal((await readStatus(lab)).tors.find(({ tor }) => tor === 'tor1')?.emulator, false)
  await everybodyReaches(all)
  await startEmulator(lab, 'tor1')
  await everybodyReaches(all)
})

test('a ToR without database is unreachable, says why, and is right again after it', {
  skip,
  timeout: 120_000,
}, async () => {
  const { ovsdb } = ovsProcesses(lab.paths.host('tor1'))
  assert.ok(signal(ovsdb, 'SIGKILL'))
  await waitGone(ovsdb, 5_000)
  assert.ok(await waitFor(() => statusOf('tor1')?.state === 'unreachable', { timeout: 5_000 }))
  assert.match(statusOf('tor1')?.reason ?? '', /closed the connection|cannot connect|failed/)
  assert.equal(statusOf('tor2')?.state, 'in_sync')
  await restoreTor(lab, 'tor1')
  await inSync('tor1')
  await everybodyReaches(all)
})

test('a ToR that lost its database gets everything again', { skip, timeout: 120_000 }, async () => {
  const had = await logicalUuid('tor2')
  const { ovsdb } = ovsProcesses(lab.paths.host('tor2'))
  signal(ovsdb, 'SIGKILL')
  await waitGone(ovsdb, 5_000)
  await rm(join(lab.paths.host('tor2'), 'vtep.db'))
  await restoreTor(lab, 'tor2')
  await inSync('tor2')
  assert.notEqual(await logicalUuid('tor2'), had)
  await everybodyReaches(all)
})

test('our next process adopts what stands', { skip, timeout: 60_000 }, async () => {
  const had = await logicalUuid('tor1')
  await tors.get('tor1')?.close()
  await everybodyReaches(all)
  drive('tor1')
  await inSync('tor1')
  assert.equal(await logicalUuid('tor1'), had)
  assert.equal(statusOf('tor1')?.repaired, 0)
})

test('what others take away comes back within seconds; what is theirs stays', { skip, timeout: 60_000 }, async () => {
  await vtepctl(lab, 'tor1', words('add-ls operator -- bind-ls tor1 to-h1 7 operator'))
  await vtepctl(lab, 'tor1', words('unbind-ls tor1 to-h1 101 -- clear-remote-macs deuteron-n1'))
  assert.ok(await waitFor(() => (statusOf('tor1')?.repaired ?? 0) > 0, { timeout: 3_000 }), 'not repaired')
  await inSync('tor1')
  assert.match(await bindings('tor1', 'h1'), /^0007 operator\n0101 deuteron-n1\n$/)
  await everybodyReaches(all)
})

test('the VLAN goes with the last port behind the ToR', { skip, timeout: 120_000 }, async () => {
  const without = { ...network, ports: network.ports.filter(({ mac }) => mac !== a.mac) }
  for (const tor of TORS) tors.get(tor)?.want(wantOf(tor, tunnelIps, [without]))
  for (const tor of TORS) await inSync(tor)
  assert.match(await bindings('tor1', 'h1'), /^0007 operator\n$/)
  assert.doesNotMatch(await vtepctl(lab, 'tor1', ['list-ls']), /deuteron/)
  assert.equal((await vtepctl(lab, 'tor1', words('--columns=_uuid list Ucast_Macs_Remote'))).trim(), '')
  assert.doesNotMatch(await vtepctl(lab, 'tor2', ['list-remote-macs', 'deuteron-n1']), new RegExp(a.mac))
  assert.ok(await waitFor(async () => !(await flows('tor1')).includes('dl_vlan=101'), { timeout: 20_000, every: 300 }))
  assert.equal(await reaches(a, b, 3), 0)
  assert.equal(await reaches(c, a, 3), 0)
  await everybodyReaches([b, c])
  assert.ok(isAlive(torProcess(lab, 'tor1')))
})
