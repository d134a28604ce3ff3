/**
 * ToRs and hosts whose tunnels run over IPv6: VLAN, VLAN and VXLAN are one network as over IPv4, and an endpoint of the
 * other version is named. vtep(5) knows no encapsulation over IPv6 yet; the emulator, over Open vSwitch's user space, takes
 * such addresses all the same. Needs root and Open vSwitch with its VTEP emulator.
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
import { inNamespace, ipBatch, run, waitFor, words } from '#lab/exec.ts'
import { bringDown, bringUp } from '#lab/lifecycle.ts'
import { hostNamespace, tunnelIp, underlayIndex, underlayMac } from '#lab/names.ts'
import { signal, waitGone } from '#lab/processes.ts'
import type { Lab } from '#lab/state.ts'
import { startEmulator, torProcess, TRUNK_BRIDGE, trunkPort, vtepctl } from '#lab/tor.ts'
import { a, all, b, c, everybodyReaches, plug, tunnelTo, VNI } from './tor-lab.ts'

const able = process.getuid?.() === 0 && existsSync('/usr/share/openvswitch/scripts/ovs-vtep')
const skip = able ? false : 'needs root and openvswitch-vtep'
const NAME = 'thpb6'
const TORS = ['tor1', 'tor2'] as const
const PLACES = ['h1', 'h2', 'h3', ...TORS]
const six = (place: string): string => `fd31::${underlayIndex(place)}`

const network = (native: string): SpannedNetwork => ({
  id: 'n1',
  vni: VNI,
  vlans: { tor1: 101, tor2: 202 },
  ports: [
    { mac: a.mac, at: { tor: 'tor1', port: trunkPort('h1') } },
    { mac: b.mac, at: { tor: 'tor2', port: trunkPort('h2') } },
    { mac: c.mac, at: { tunnelIp: native } },
  ],
})
const tunnelIps = Object.fromEntries(TORS.map((tor) => [tor, six(tor)]))

let root = ''
let lab: Lab
const tors = new Map<string, Tor>()

/** A second address in the underlay, and the peers' MACs: the user-space switch drops while it resolves them. */
async function joinSix(place: string): Promise<void> {
  const ns = hostNamespace(NAME, place)
  await run(inNamespace(ns, ['sysctl', '-qw', 'net.ipv6.conf.br-phy.disable_ipv6=0']))
  await ipBatch(ns, [`addr replace ${six(place)}/64 dev br-phy nodad`])
  const control = join(lab.paths.host(place), 'vswitchd.ctl')
  for (const peer of PLACES.filter((one) => one !== place)) {
    const entry = `tnl/neigh/set br-phy ${six(peer)} ${underlayMac(underlayIndex(peer))}`
    await run(['ovs-appctl', '--timeout=5', '-t', control, ...words(entry)])
  }
}

before(async () => {
  if (!able) return
  root = await mkdtemp(join(tmpdir(), 'T-'))
  await bringDown(root, NAME)
  const wish = { name: NAME, hosts: 3, datapath: 'netdev', server: 'none', topology: 'hpb' } as const
  lab = await bringUp(root, wish, () => undefined)
  for (const place of PLACES) await joinSix(place)
  await plug(lab, a, TRUNK_BRIDGE)
  await plug(lab, b, TRUNK_BRIDGE)
  await plug(lab, c, 'br-int')
  for (const tor of TORS) {
    await vtepctl(lab, tor, ['set', 'Physical_Switch', tor, `tunnel_ips="${six(tor)}"`])
    // The emulator reads its address when it starts.
    const emulator = torProcess(lab, tor)
    signal(emulator, 'SIGKILL')
    await waitGone(emulator, 5_000)
    await startEmulator(lab, tor)
    await tunnelTo(lab, tor, six(tor))
    const connection = { target: `unix:${lab.paths.ovsdb(tor)}` }
    tors.set(tor, createTor({ connection, log: silentLogger }))
  }
})

after(async () => {
  if (!able) return
  for (const tor of tors.values()) await tor.close()
  await bringDown(root, NAME)
  await rm(root, { recursive: true, force: true })
})

const settled = async (tor: string): Promise<void> => {
  const done = await waitFor(() => tors.get(tor)?.status().state === 'in_sync', { timeout: 20_000 })
  assert.ok(done, JSON.stringify(tors.get(tor)?.status()))
}

test('VLAN 101, VLAN 202 and VXLAN are one network over IPv6', { skip, timeout: 120_000 }, async () => {
  for (const tor of TORS) tors.get(tor)?.want(wantOf(tor, tunnelIps, [network('FD31:0::3')]))
  for (const tor of TORS) await settled(tor)
  assert.deepEqual(tors.get('tor1')?.status().switch?.tunnelIps, [six('tor1')])
  assert.match(await vtepctl(lab, 'tor1', ['list-remote-macs', 'deuteron-n1']), /02:00:00:00:09:03 -> \S+\/fd31::3\n/)
  await everybodyReaches(lab, all)
})

test('a host with an IPv4 tunnel address alone is named, and the others go on', {
  skip,
  timeout: 120_000,
}, async () => {
  const mixed = { tunnel_ips: six('tor1'), endpoints: tunnelIp(3) }
  for (const tor of TORS) tors.get(tor)?.want(wantOf(tor, tunnelIps, [network(tunnelIp(3))]))
  for (const tor of TORS) await settled(tor)
  assert.deepEqual(tors.get('tor1')?.status().problems, [
    { network: 'n1', reason: 'endpoint_unreachable', facts: mixed },
  ])
  await everybodyReaches(lab, [a, b])
})
