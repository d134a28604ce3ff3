/** What the matrix of ports and segments does not show: PCI devices, resource providers, eBPF hosts, the logger's eye. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BindingChange, BindingFacts } from '#core/contracts.ts'
import { vlanDevice } from '#kernel/vlan-device.ts'
import { bpfDriver } from './bpf.ts'
import { bindingIn } from './listening.ts'
import { macvtapDriver } from './macvtap.ts'
import { openvswitchDriver } from './openvswitch.ts'
import { sriovnicswitchDriver } from './sriovnicswitch.ts'

type Port = BindingFacts['port']
const vlan = { id: 's', network_type: 'vlan', physical_network: 'physnet2', segmentation_id: 12 }
const agent = (agent_type: string, configurations: Readonly<Record<string, unknown>>) => ({
  id: 'a',
  host: 'h1',
  agent_type,
  alive: true,
  heartbeat_timestamp: '',
  configurations,
})
const facts = (port: Partial<Port>, agents: BindingFacts['agents'], segment = vlan): BindingFacts => ({
  port: {
    id: 'p',
    network_id: 'n',
    vnic_type: 'normal',
    device_owner: '',
    profile: {},
    addressed: true,
    ...port,
  },
  host: 'h1',
  level: 0,
  segment,
  agents,
  tors: [],
})

test('a card that says what it has is asked for the device of the profile', () => {
  const devices = [
    { pci_slot: '0000:3b:02.1', physical_network: 'physnet2', pci_vendor_info: '15b3:1018' },
    { pci_slot: '0000:3b:02.2', physical_network: 'physnet1' },
    { pci_slot: '0000:3b:02.3', physical_network: 'physnet2' },
  ]
  const mappings = { device_mappings: { physnet2: ['enp3s0f0'] } }
  const answerTo = (profile: Port['profile'], pci_devices?: unknown) =>
    sriovnicswitchDriver.bind(
      facts({ vnic_type: 'direct', profile }, [agent('NIC Switch agent', { ...mappings, pci_devices })]),
      undefined,
    )
  const outcome = (...given: Parameters<typeof answerTo>) => {
    const answer = answerTo(...given)
    return 'refused' in answer ? answer.refused : 'bound'
  }
  const slot = (last: number, pci_vendor_info?: string) => ({ pci_slot: `0000:3b:02.${last}`, pci_vendor_info })
  assert.equal(outcome(slot(1), devices), 'bound')
  assert.equal(outcome(slot(1, '15b3:1018'), devices), 'bound')
  assert.equal(outcome(slot(1, '8086:154c'), devices), 'device_not_found')
  assert.equal(outcome(slot(2), devices), 'device_not_found', 'a card of another physical network')
  assert.equal(outcome(slot(3, '8086:154c'), devices), 'bound', 'nobody says whose it is')
  assert.equal(outcome(slot(7), devices), 'device_not_found')
  assert.equal(outcome({}, devices), 'bound', 'Nova names it later')
  assert.equal(outcome(slot(7)), 'bound', 'nobody says what there is')
  assert.equal(outcome(slot(7), 'devices'), 'bound')
  assert.deepEqual(answerTo(slot(1), devices), {
    vif_type: 'hw_veb',
    vif_details: { port_filter: false, connectivity: 'l2', vlan: '12' },
  })
})

test('what was claimed of Placement is the one driver’s whose agent has all of it', () => {
  const bandwidths = { resource_provider_bandwidths: { 'br-ex': { egress: 1000 } } }
  const packets = { resource_provider_packet_processing_without_direction: { '': { any: 1000 } } }
  // As neutron_lib.placement.utils makes them for h1.
  const [bridge, rate] = ['e55a8749-24b7-564d-90d3-59fc77e997a9', '37db8e4c-80cb-5aac-a5ae-d6d528e5c4a0']
  const claims = (
    allocation: unknown,
    configurations: Readonly<Record<string, unknown>>,
    type = 'Open vSwitch agent',
  ) => openvswitchDriver.responsible?.(facts({ profile: { allocation } }, [agent(type, configurations)]))
  assert.equal(claims({ g1: bridge }, bandwidths), true)
  assert.equal(claims({ g1: bridge.toUpperCase(), g2: rate }, { ...bandwidths, ...packets }), true)
  assert.equal(claims({ g1: bridge, g2: rate }, bandwidths), false)
  assert.equal(claims({ g1: bridge }, bandwidths, 'NIC Switch agent'), false)
  assert.equal(claims({ g1: bridge }, {}), false)
  assert.equal(claims(bridge, bandwidths), true, 'as ports of releases before groups have it')
  for (const nothing of [{}, undefined, null, rate, [5], { g1: 5 }])
    assert.equal(claims(nothing, bandwidths), false, JSON.stringify(nothing))
  const cards = facts({ profile: { allocation: { g1: bridge } } }, [agent('NIC Switch agent', bandwidths)])
  assert.equal(sriovnicswitchDriver.responsible?.(cards), false, 'another driver’s ids')
  assert.equal(macvtapDriver.responsible, undefined)
})

test('a host with an eBPF agent plugs taps into what it reaches', () => {
  const says = { tunnel_types: ['vxlan'], interface_mappings: { physnet2: 'eth1' }, port_filter: true }
  const bind = (port: Partial<Port>, segment: BindingFacts['segment'], type = 'eBPF agent') =>
    bpfDriver.bind({ ...facts(port, [agent(type, says)]), segment }, undefined)
  const vif_details = { port_filter: true, connectivity: 'l2', datapath_type: 'bpf' }
  const tunnel = (network_type: string) => ({ ...vlan, network_type, physical_network: null })
  assert.deepEqual(bind({}, vlan), { vif_type: 'tap', vif_details })
  assert.deepEqual(bind({}, tunnel('vxlan')), { vif_type: 'tap', vif_details })
  for (const [answer, reason] of [
    [bind({}, tunnel('geneve')), 'tunnel_type_unsupported'],
    [bind({}, { ...vlan, physical_network: 'physnet1' }), 'physnet_not_mapped'],
    [bind({ vnic_type: 'direct' }, vlan), 'vnic_unsupported'],
    [bind({}, vlan, 'Open vSwitch agent'), 'agent_absent'],
  ] as const)
    assert.equal('refused' in answer && answer.refused, reason)
})

test('names of VLAN devices fit into what Linux allows, and long ones stay apart', () => {
  assert.equal(vlanDevice('eth1', 7), 'eth1.7')
  assert.equal(vlanDevice('averylongnm', 4094), 'aver691ff0.4094')
  assert.notEqual(vlanDevice('enp3s0f0np0x', 1), vlanDevice('enp3s0f0np0y', 1))
  assert.ok(vlanDevice('averylongnames12', 4094).length <= 15)
})

test('the logger sees what became of a binding and nothing else', () => {
  const port = { 'binding:host_id': 'h1', 'binding:vif_type': 'ovs', 'binding:vnic_type': 'normal', name: 'a' }
  const change = (before: BindingChange['before'], after: BindingChange['after'], kind = 'port'): BindingChange => ({
    kind,
    id: 'p',
    op: before ? (after ? 'update' : 'delete') : 'create',
    generation: 3,
    before,
    after,
  })
  assert.equal(bindingIn(change(port, { ...port, name: 'b' })), null)
  assert.equal(bindingIn(change(port, { ...port, 'binding:host_id': 'h2' }, 'network')), null)
  const moved = bindingIn(change(port, { ...port, 'binding:host_id': 'h2' }))
  assert.deepEqual(moved?.['before'], { 'binding:host_id': 'h1' })
  assert.deepEqual(moved?.['after'], { 'binding:host_id': 'h2' })
  assert.equal(bindingIn(change(port, null))?.['after'], null)
  const waiting = { host: 'h2', status: 'INACTIVE', vif_type: 'ovs' }
  assert.deepEqual(bindingIn(change(waiting, { ...waiting, status: 'ACTIVE' }, 'port_binding'))?.['after'], {
    status: 'ACTIVE',
  })
})
