/** Devices around a switch: what they carry is kept from it, set up, proven, put right when others change it, given back. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { silentLogger } from '#kernel/log.ts'
import { emptyWorld, type NetworkObject, type PortObject, type WireKey, type World } from '#wire/objects.ts'
import { plainPort } from '#wire/objects.testlib.ts'
import type { Realization } from '#wire/realization.ts'
import type { Dataplane } from '../port.ts'
import { createSimDataplane } from '../sim/index.ts'
import { type Cards, keptIn, linuxCards, simulatedCards } from './cards.ts'
import { isSimulated, withDevices } from './index.ts'
import { type MacvtapState, UNUSED, type VfState } from './plan.ts'

const SLOT = '0000:3b:02.1'
const MAC = 'fa:16:3e:00:00:01'
const NETWORK: NetworkObject = {
  id: 'n',
  generation: 1,
  project_id: 'p',
  admin_state_up: true,
  mtu: 1500,
  segments: [{ id: 's', network_type: 'vlan', physical_network: 'physnet2', segmentation_id: 120 }],
  subnets: [],
  dhcp: null,
  dns_domain: '',
}
const port = (id: string, device: PortObject['device'], more: Partial<PortObject> = {}): PortObject =>
  plainPort({
    id,
    network_id: 'n',
    mac_address: MAC,
    vnic_type: 'direct',
    device,
    ...more,
  })
const vf = { kind: 'vf', pci_slot: SLOT, source: null, vlan: 120, follows_uplink: false } as const
const worldOf = (...ports: PortObject[]): World => ({
  ...emptyWorld(),
  network: new Map([['n', NETWORK]]),
  port: new Map(ports.map((one) => [one.id, one])),
})
const keysOf = (...ids: string[]): WireKey[] => ['network/n', ...ids.map((id) => `port/${id}` as const)]
const told = (reports: readonly Realization[]) =>
  Object.fromEntries(reports.map(({ kind, id, state, message }) => [`${kind}/${id}`, [state, message]]))

/** A switch in memory with devices around it, and what it reports by itself. */
async function around(cards: Cards, lookMs = 1e6) {
  const switching = createSimDataplane({ autoPlug: true })
  const marks = keptIn<readonly string[]>(null, [])
  const dataplane: Dataplane = withDevices(switching, { cards, marks, log: silentLogger, lookMs })
  const said: Realization[] = []
  await dataplane.start({ dirty: () => {}, realized: (more) => void said.push(...more), fatal: assert.fail })
  return { dataplane, switching, marks, said, [Symbol.asyncDispose]: () => dataplane.stop() }
}

const simulated = (states: Record<string, VfState>) => {
  const kept = keptIn<Readonly<Record<string, VfState>>>(null, states)
  const none = { interfaces: async () => new Set<string>(), macvtaps: async () => [], setMacvtap: async () => {} }
  return { kept, cards: simulatedCards([SLOT, '0000:3b:02.2'], kept, none) }
}
const MINE: VfState = { mac: MAC, vlan: 120, spoofchk: true, link: 'enable' }
const FOREIGN: VfState = { mac: 'aa:00:00:00:00:02', vlan: 9, spoofchk: false, link: 'auto' }

test('a function is set up, proven, put right, and given back; the switch and foreign functions know nothing', async () => {
  const { kept, cards } = simulated({ '0000:3b:02.2': FOREIGN })
  await using it = await around(cards, 10)
  const states = told(await it.dataplane.reconcile(worldOf(port('1', vf)), keysOf('1'), true))
  assert.deepEqual(states, {
    'port/1': ['done', `simulated: there is no ${SLOT}, it is only noted`],
    'network/n': ['done', null],
  })
  assert.deepEqual(kept.get(), { [SLOT]: MINE, '0000:3b:02.2': FOREIGN })
  assert.deepEqual([[...it.switching.host.standing.keys()], it.marks.get()], [[], [SLOT]])

  kept.set({ ...kept.get(), [SLOT]: { ...MINE, vlan: 5 } })
  while (!it.said.some(({ repaired }) => repaired)) await new Promise((resolve) => setTimeout(resolve, 5))
  assert.deepEqual(kept.get()[SLOT], MINE)

  await it.dataplane.reconcile(worldOf(), keysOf('1').slice(1), false)
  assert.deepEqual(kept.get()[SLOT], MINE, 'nothing is given back before the world is in sync')
  await it.dataplane.reconcile(worldOf(), keysOf('1'), true)
  assert.deepEqual([kept.get()[SLOT], it.marks.get()], [UNUSED, []])
  assert.deepEqual(kept.get()['0000:3b:02.2'], FOREIGN)
})

test("a network whose ports here are on devices is the switch's while somebody is served on its wire", async () => {
  await using it = await around(simulated({}).cards)
  const world = worldOf(port('1', vf))
  const client = { id: '1', network_id: 'n', mac_address: MAC, fixed_ips: [], dns_name: '', extra_dhcp_opts: [] }
  const serving = { ...world, dhcp_client: new Map([['1', { ...client, segment_ids: ['s'] }]]) }
  const standing = () => [...it.switching.host.standing.keys()]
  await it.dataplane.reconcile(world, keysOf('1'), true)
  assert.deepEqual(standing(), [])
  await it.dataplane.reconcile(serving, ['dhcp_client/1'], true)
  assert.deepEqual(standing(), ['network/n'])
  await it.dataplane.reconcile(world, ['dhcp_client/1'], true)
  assert.deepEqual(standing(), [])
})

test('ports say why they are not in place', async () => {
  await using it = await around(simulated({}).cards)
  const other = { ...vf, pci_slot: '0000:99:00.0' }
  const ports = [port('1', vf), port('2', vf), port('3', other), port('4', { ...vf, pci_slot: null }), port('5', null)]
  const states = told(await it.dataplane.reconcile(worldOf(...ports), keysOf('1', '2', '3', '4', '5'), true))
  assert.deepEqual(states['port/2'], ['error', `${SLOT} is given to port 1 already`])
  assert.deepEqual(states['port/3'], ['error', 'the simulated cards have no 0000:99:00.0'])
  assert.deepEqual(states['port/4'], ['pending', 'its profile names no device (pci_slot)'])
  assert.deepEqual(states['port/5'], ['done', null])
  assert.ok(it.switching.host.standing.has('port/5') && it.switching.host.standing.has('network/n'))
  // The port that waited gets the function with the report of the one that left.
  const later = told(await it.dataplane.reconcile(worldOf(...ports.slice(1)), ['port/1'], true))
  assert.equal(later['port/2']?.[0], 'done')
})

test('a macvtap device is proven when it is there, above the right interface, and up as the port says', async () => {
  const devices: MacvtapState[] = []
  const cards: Cards = {
    ...simulated({}).cards,
    macvtaps: async () => devices.map((one) => ({ ...one })),
    setMacvtap: async (name, up) => {
      devices.splice(0, devices.length, ...devices.map((one) => (one.name === name ? { ...one, up } : one)))
    },
  }
  await using it = await around(cards)
  const device = { kind: 'macvtap', pci_slot: null, source: 'eth1.120', vlan: 120, follows_uplink: false } as const
  const state = async (more: Partial<PortObject> = {}) =>
    told(await it.dataplane.reconcile(worldOf(port('1', device, more)), keysOf('1'), true))['port/1']
  assert.deepEqual(await state(), ['pending', `no macvtap device with MAC ${MAC} is above eth1.120 yet`])
  devices.push({ name: 'macvtap0', mac: MAC, source: 'eth2', up: true })
  assert.deepEqual(await state(), ['error', 'macvtap0 is above eth2, wanted: eth1.120'])
  devices.splice(0, 1, { name: 'macvtap0', mac: MAC, source: 'eth1.120', up: false })
  assert.deepEqual(await state(), ['done', null])
  assert.equal(devices[0]?.up, true)
  assert.equal((await state({ admin_state_up: false, generation: 2 }))?.[0], 'done')
  assert.equal(devices[0]?.up, false)
})

test('a host is ready for a port only where the device is that the port would have', async () => {
  const { kept, cards } = simulated({})
  const interfaces = new Set<string>()
  await using it = await around({ ...cards, interfaces: async () => interfaces })
  let generation = 0
  const ready = async (device: PortObject['device'], ...others: PortObject[]) => {
    const expected = port('1', device, { active: false, segment_ids: ['s'], generation: ++generation })
    return told(await it.dataplane.reconcile(worldOf(expected, ...others), keysOf('1'), true))['port/1']
  }
  assert.equal((await ready(vf))?.[0], 'done')
  assert.deepEqual(kept.get(), {}, 'nothing is set up')
  assert.deepEqual(await ready({ ...vf, pci_slot: null }), ['pending', 'its profile names no device (pci_slot)'])
  assert.deepEqual(await ready({ ...vf, pci_slot: '0000:99:00.0' }), [
    'error',
    'the simulated cards have no 0000:99:00.0',
  ])
  const missing = { ...vf, kind: 'card', pci_slot: '0000:99:00.0' } as const
  assert.deepEqual(await ready(missing), ['error', 'this host has no PCI device 0000:99:00.0'])
  assert.equal((await ready({ ...missing, pci_slot: SLOT }))?.[0], 'done')
  assert.deepEqual(await ready(vf, port('9', vf)), ['error', `${SLOT} is given to port 9 already`])

  const macvtap = { kind: 'macvtap', pci_slot: null, source: 'eth1.120', vlan: 120, follows_uplink: false } as const
  assert.equal((await ready(macvtap))?.[0], 'pending')
  interfaces.add('eth1')
  assert.equal((await ready(macvtap))?.[0], 'done')
  assert.equal((await ready({ ...macvtap, source: 'eth2.120' }))?.[0], 'pending')
  const left = port('1', { ...vf, pci_slot: null }, { active: false })
  assert.equal(told(await it.dataplane.reconcile(worldOf(left), keysOf('1'), true))['port/1']?.[0], 'done')
})

test('a real card is found in sysfs, read and set up with ip', async () => {
  const sysfs = mkdtempSync(join(tmpdir(), 'w-sysfs-'))
  const pci = join(sysfs, 'bus/pci/devices')
  try {
    mkdirSync(join(pci, '0000:3b:00.0/net/enp59s0f0'), { recursive: true })
    mkdirSync(join(pci, SLOT))
    symlinkSync('../0000:3b:00.0', join(pci, SLOT, 'physfn'))
    symlinkSync(`../${SLOT}`, join(pci, '0000:3b:00.0/virtfn1'))
    const vfs = [
      { vf: 0, address: FOREIGN.mac, vlan_list: [{ vlan: 9 }], spoofchk: false, link_state: 'auto' },
      { vf: 1, address: UNUSED.mac, vlan_list: [{}], spoofchk: true, link_state: 'auto' },
    ]
    const ran: string[] = []
    const run = async (program: string, args: readonly string[]) => {
      ran.push([program, ...args].join(' '))
      return JSON.stringify([{ ifname: 'enp59s0f0', address: 'aa:00:00:00:00:01', vfinfo_list: vfs }])
    }
    const host = { run, devices: async () => new Set<string>() }
    const cards = linuxCards(host, { cards: ['enp59s0f0'], excluded: [] }, sysfs)
    assert.deepEqual([cards.has(SLOT), cards.has('0000:99:00.0')], [true, false])
    const read = await cards.read([SLOT, '0000:3b:00.0', '0000:99:00.0'])
    assert.deepEqual(Object.fromEntries(read), {
      [SLOT]: UNUSED,
      '0000:3b:00.0': 'PCI device 0000:3b:00.0 is no virtual function',
      '0000:99:00.0': 'this host has no PCI device 0000:99:00.0',
    })
    await cards.set(SLOT, MINE)
    const set = 'ip link set dev enp59s0f0 vf 1'
    assert.deepEqual(ran, [
      'ip -j link show dev enp59s0f0',
      `${set} mac ${MAC}`,
      `${set} vlan 120`,
      `${set} spoofchk on`,
      `${set} state enable`,
    ])
    const refused = async (ours: { cards: string[]; excluded: string[] }) =>
      (await linuxCards(host, ours, sysfs).read([SLOT])).get(SLOT)
    const others = { cards: ['enp60s0f0', 'enp59s0f1'], excluded: [] }
    const foreign = `enp59s0f0, the card of ${SLOT}, is not among those of this host's agent (physical_device_mappings)`
    assert.equal(await refused(others), foreign)
    await assert.rejects(linuxCards(host, others, sysfs).set(SLOT, UNUSED), { message: foreign })
    assert.deepEqual(await refused({ cards: [...others.cards, 'enp59s0f0'], excluded: [] }), UNUSED)
    const excluded = { cards: ['enp59s0f0'], excluded: [SLOT] }
    assert.equal(await refused(excluded), `${SLOT} is not to be used (exclude_devices)`)
    assert.equal(linuxCards(host, excluded, sysfs).has(SLOT), false)
    const there = (slot: string) => slot === SLOT
    assert.deepEqual(
      [isSimulated([]), isSimulated([SLOT], there), isSimulated(['0000:99:00.0'], there)],
      [false, false, true],
    )
  } finally {
    rmSync(sysfs, { recursive: true })
  }
})
