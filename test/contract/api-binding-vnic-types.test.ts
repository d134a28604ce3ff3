/**
 * The eleven types of ports through the API, on hosts of every kind, the drivers in both orders: bound as a real
 * Neutron's drivers bind them one after another (fixture-bindings.json), or failed where all of them refuse.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { VNIC_TYPES } from '#resources/port.ts'
import { hostReports, silence } from '../lib/agents.ts'
import { type Seen, stored } from '../lib/binding.ts'
import { answered, refused } from '../lib/refused.ts'
import { type TestServer, testServer } from '../lib/server.ts'

type Dictionary = Readonly<Record<string, unknown>>
type Named<T> = Readonly<Record<string, T>>
interface Bound {
  readonly vif_type: string
  readonly vif_details: Dictionary
}
interface Fixture {
  readonly agents: Named<Named<Dictionary>>
  readonly profiles: Named<Dictionary>
  readonly segments: Named<{ network_type: string; physical_network: string | null; segmentation_id: number | null }>
  readonly bound: readonly (Bound & { readonly cases: readonly string[] })[]
}
const fixture = JSON.parse(readFileSync(new URL('fixture-bindings.json', import.meta.url), 'utf8')) as Fixture
const alone = new Map(fixture.bound.flatMap(({ cases, ...bound }) => cases.map((one): [string, Bound] => [one, bound])))

/** Which agents a host has, by names of the fixture. Every host has one of Open vSwitch. */
interface Host {
  readonly openvswitch: string
  readonly sriovnicswitch: string
  readonly macvtap: string
}
const host = (openvswitch: string, sriovnicswitch = 'absent', macvtap = 'absent'): Host => ({
  openvswitch,
  sriovnicswitch,
  macvtap,
})
const HOSTS: Named<Host> = {
  switch: host('plain'),
  hybrid: host('hybrid', 'plain'),
  metal: host('smart', 'plain', 'plain'),
  'no-tunnels': host('no_tunnels', 'empty', 'long'),
  netdev: host('netdev', 'absent', 'plain'),
  'dpdk-client': host('dpdk_client', 'plain'),
  'dpdk-server': host('dpdk_server'),
  dead: host('dead', 'dead', 'dead'),
}
const SEGMENTS = ['flat', 'vlan', 'vlan_elsewhere', 'vxlan', 'gre', 'local']
const PROFILES = ['none', 'switchdev']
const ORDER = ['openvswitch', 'sriovnicswitch', 'macvtap'] as const

/** What the first driver makes of it that binds. */
function wantedOf(order: readonly (keyof Host)[], name: string, segment: string, profile: string, vnic_type: string) {
  for (const driver of order) {
    const bound = alone.get([driver, HOSTS[name]?.[driver], profile, segment, vnic_type].join(' '))
    // Clients of ports on vhost-user sockets are told too how far the network reaches.
    if (bound) return { driver, ...bound, vif_details: { connectivity: 'l2', ...bound.vif_details } }
  }
  return null
}

const served = (mechanismDrivers: readonly string[]): Promise<TestServer> =>
  testServer({
    settings: {
      mechanismDrivers,
      quotaPort: -1,
      networkVlanRanges: ['physnet1', 'physnet2'].map((physical_network) => ({ physical_network, range: null })),
    },
  })

async function reportAll(server: TestServer): Promise<void> {
  const said = (driver: string, name: string) => fixture.agents[driver]?.[name === 'dead' ? 'plain' : name]
  for (const [name, { openvswitch, sriovnicswitch, macvtap }] of Object.entries(HOSTS)) {
    const services = { nic_switch: said('sriovnicswitch', sriovnicswitch), macvtap: said('macvtap', macvtap) }
    await hostReports(server, name, { ...said('openvswitch', openvswitch), services })
  }
  await silence(server, 'dead')
}

async function networkOn({ admin }: TestServer, name: string): Promise<string> {
  const { network_type, physical_network, segmentation_id } = fixture.segments[name] ?? assert.fail(name)
  const network = await admin.make('network', {
    'provider:network_type': network_type,
    ...(physical_network !== null && { 'provider:physical_network': physical_network }),
    ...(segmentation_id !== null && { 'provider:segmentation_id': segmentation_id }),
  })
  return String(network['id'])
}

const asShown = (port: Seen) => ({
  vif_type: port['binding:vif_type'],
  vif_details: port['binding:vif_details'],
  status: port['status'],
})

/** Of a card that no agent looks after nobody will say that it works: it does when it is bound. */
const asWanted = (wanted: ReturnType<typeof wantedOf>, id: string) => {
  if (wanted === null) return { vif_type: 'binding_failed', vif_details: {}, status: 'DOWN' }
  const { driver, vif_type, vif_details } = wanted
  const { vhostuser_socket: socket } = vif_details as Dictionary
  const own = typeof socket === 'string' && { vhostuser_socket: join(dirname(socket), `vhu${id}`.slice(0, 14)) }
  return {
    vif_type,
    vif_details: { ...vif_details, ...own, bound_drivers: { 0: driver } },
    status: vif_type === 'hostdev_physical' ? 'ACTIVE' : 'DOWN',
  }
}

/** Keys of vif_details that were met. */
const shown = new Set<string>()

for (const order of [ORDER, ORDER.toReversed()])
  test(`all types on all hosts, asked in the order ${order.join(', ')}`, async () => {
    await using server = await served(order)
    await reportAll(server)
    const bound = new Set<string>()
    for (const segment of SEGMENTS) {
      const network_id = await networkOn(server, segment)
      for (const name of Object.keys(HOSTS)) {
        const asked = PROFILES.flatMap((profile) => VNIC_TYPES.map((vnic_type) => ({ profile, vnic_type })))
        const ports = asked.map(({ profile, vnic_type }) => ({
          network_id,
          'binding:host_id': name,
          'binding:vnic_type': vnic_type,
          'binding:profile': fixture.profiles[profile],
        }))
        const { ports: made } = answered(await server.admin.post('ports', { ports }), 201)
        for (const [index, port] of (made as Seen[]).entries()) {
          const { profile = '', vnic_type = '' } = asked[index] ?? {}
          const wanted = wantedOf(order, name, segment, profile, vnic_type)
          assert.equal(port['binding:vnic_type'], vnic_type)
          assert.deepEqual(
            asShown(port),
            asWanted(wanted, String(port['id'])),
            [name, segment, profile, vnic_type].join(' '),
          )
          if (wanted) bound.add(vnic_type)
          for (const key of Object.keys(port['binding:vif_details'])) shown.add(key)
        }
      }
    }
    // The others are for drivers of other makers, as with Neutron.
    const BOUND = ['accelerator-direct', 'direct', 'direct-physical', 'macvtap', 'normal', 'smart-nic', 'vdpa']
    assert.deepEqual([...bound].sort(), BOUND)
  })

/** All that Neutron 21 has; `ovs_create_tap` came with a later release. */
const KEYS = [
  'bound_drivers',
  'bridge_name',
  'connectivity',
  'datapath_type',
  'macvtap_mode',
  'macvtap_source',
  'ovs_hybrid_plug',
  'physical_interface',
  'port_filter',
  'vhostuser_mode',
  'vhostuser_ovs_plug',
  'vhostuser_socket',
  'vlan',
]

test('every key of vif_details was met, each where Neutron has it', () => {
  assert.deepEqual([...shown].sort(), KEYS)
})

/** A host on which every type can be tried: what binds it there on a VLAN, with nothing in the profile. */
const ON_METAL: Readonly<Record<(typeof VNIC_TYPES)[number], string | null>> = {
  normal: 'ovs',
  direct: 'hw_veb',
  macvtap: 'hw_veb',
  baremetal: null,
  'direct-physical': 'hostdev_physical',
  'virtio-forwarder': null,
  'smart-nic': 'ovs',
  'accelerator-direct': 'hw_veb',
  'accelerator-direct-physical': null,
  'remote-managed': null,
  vdpa: 'ovs',
}

test('a port takes every type in turn, by update and in waiting, and says who refused it', async () => {
  await using server = await served(ORDER)
  await reportAll(server)
  const network_id = await networkOn(server, 'vlan')
  const port = await server.admin.make('port', {
    network_id,
    device_owner: 'compute:nova',
    device_id: 'a server',
    'binding:host_id': 'switch',
  })
  const path = `ports/${port['id']}`
  for (const [vnic_type, vif_type] of Object.entries(ON_METAL)) {
    const waiting = await server.admin.post(`${path}/bindings`, { binding: { host: 'metal', vnic_type } })
    if (vif_type === null) refused(waiting, 'PortBindingError')
    else {
      const { binding } = answered(waiting, 201)
      assert.deepEqual([binding.vnic_type, binding.vif_type, binding.status], [vnic_type, vif_type, 'INACTIVE'])
      answered(await server.admin.delete(`${path}/bindings/metal`), 204)
    }
  }
  for (const [vnic_type, vif_type] of Object.entries(ON_METAL)) {
    const wish = { 'binding:host_id': 'metal', 'binding:vnic_type': vnic_type }
    const { port: seen } = answered(await server.admin.put(path, { port: wish }), 200)
    assert.equal(seen['binding:vif_type'], vif_type ?? 'binding_failed', vnic_type)
    const levels = (await stored(server, port['id']))['binding_levels'] as readonly unknown[]
    assert.equal(levels.length, vif_type === null ? 0 : 1)
    if (vif_type !== null) continue
    const { binding_explanation: why } = answered(await server.admin.get(`${path}/binding-explanation`), 200)
    for (const { driver, reason, facts } of why.fresh.attempts) {
      assert.equal(reason, 'vnic_unsupported', `${driver} ${vnic_type}`)
      assert.equal(facts.vnic_type, vnic_type)
      assert.ok(!facts.supported.includes(vnic_type))
    }
    assert.deepEqual(
      why.fresh.attempts.map(({ driver }: { driver: string }) => driver),
      ORDER,
    )
  }
})

test('where eBPF switches, ports are taps', async () => {
  await using server = await served(['bpf', ...ORDER])
  const bpf = { interface_mappings: { physnet1: 'eth1' }, tunnel_types: ['vxlan'], port_filter: true }
  await hostReports(server, 'ebpf', { services: { bpf } })
  for (const segment of ['flat', 'vlan', 'vxlan', 'local']) {
    const network_id = await networkOn(server, segment)
    for (const vnic_type of VNIC_TYPES) {
      const wish = { network_id, 'binding:host_id': 'ebpf', 'binding:vnic_type': vnic_type }
      const port = await server.admin.make('port', wish)
      const { vif_type, vif_details } = asShown(port)
      if (vnic_type === 'normal') {
        assert.equal(vif_type, 'tap')
        const details = { port_filter: true, connectivity: 'l2', datapath_type: 'bpf', bound_drivers: { 0: 'bpf' } }
        assert.deepEqual(vif_details, details)
      } else assert.notEqual(vif_type, 'tap')
    }
  }
})

test('a type that is none is refused, with those there are', async () => {
  await using server = await testServer()
  const network_id = await networkOn(server, 'local')
  const answer = await server.admin.post('ports', { port: { network_id, 'binding:vnic_type': 'quantum' } })
  refused(answer, 'HTTPBadRequest', /binding:vnic_type/)
  for (const vnic_type of VNIC_TYPES) assert.ok(answer.text.includes(vnic_type), vnic_type)
})
