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
import { run, waitFor, words } from '#lab/exec.ts'
import { restoreTor } from '#lab/hosts.ts'
import { bringDown, bringUp, readStatus } from '#lab/lifecycle.ts'
import { tunnelIp, underlayIndex } from '#lab/names.ts'
import { ovsEnv, ovsProcesses } from '#lab/ovs.ts'
import { isAlive, signal, waitGone } from '#lab/processes.ts'
import type { Lab } from '#lab/state.ts'
import { startEmulator, torProcess, TRUNK_BRIDGE, trunkPort, vtepctl } from '#lab/tor.ts'
import { a, all, b, c, everybodyReaches, plug, reaches, tunnelTo, VNI } from './tor-lab.ts'

const able = process.getuid?.() === 0 && existsSync('/usr/share/openvswitch/scripts/ovs-vtep')
const skip = able ? false : 'needs root and openvswitch-vtep'
const NAME = 'thpb'
const TORS = ['tor1', 'tor2'] as const

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
  await plug(lab, a, TRUNK_BRIDGE)
  await plug(lab, b, TRUNK_BRIDGE)
  await plug(lab, c, 'br-int')
  for (const tor of TORS) await tunnelTo(lab, tor, tunnelIps[tor] ?? '')
})

after(async () => {
  if (!able) return
  for (const tor of tors.values()) await tor.close()
  await bringDown(root, NAME)
  await rm(root, { recursive: true, force: true })
})

test('nothing passes a ToR that nobody told anything', { skip }, async () => {
  assert.equal(await reaches(lab, a, b, 2), 0)
  assert.equal(await reaches(lab, a, c, 2), 0)
})

test('VLAN 101, VLAN 202 and VXLAN are one network', { skip, timeout: 120_000 }, async () => {
  for (const tor of TORS) drive(tor)
  for (const tor of TORS) await inSync(tor)
  assert.deepEqual(statusOf('tor1')?.switch, {
    tunnelIps: [tunnelIps['tor1']],
    ports: ['to-h1'],
    faults: [],
    foreign: { 'to-h1': [] },
  })
  assert.match(await bindings('tor1', 'h1'), /^0101 deuteron-n1\n$/)
  assert.match(await bindings('tor2', 'h2'), /^0202 deuteron-n1\n$/)
  await everybodyReaches(lab, all)
})

test('while the emulator is dead packets pass, and after it came back', { skip, timeout: 120_000 }, async () => {
  const emulator = torProcess(lab, 'tor1')
  assert.ok(signal(emulator, 'SIGKILL'))
  await waitGone(emulator, 5_000)
  assert.equal((await readStatus(lab)).tors.find(({ tor }) => tor === 'tor1')?.emulator, false)
  await everybodyReaches(lab, all)
  await startEmulator(lab, 'tor1')
  await everybodyReaches(lab, all)
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
  await everybodyReaches(lab, all)
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
  await everybodyReaches(lab, all)
})

test('our next process adopts what stands', { skip, timeout: 60_000 }, async () => {
  const had = await logicalUuid('tor1')
  await tors.get('tor1')?.close()
  await everybodyReaches(lab, all)
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
  await everybodyReaches(lab, all)
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
  assert.equal(await reaches(lab, a, b, 3), 0)
  assert.equal(await reaches(lab, c, a, 3), 0)
  await everybodyReaches(lab, [b, c])
  assert.ok(isAlive(torProcess(lab, 'tor1')))
})
