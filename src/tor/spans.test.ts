import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { wantOf } from '#drivers/mechanism/vtep/want.ts'
import { type Change, dirtyNetworks, type Span, type SpanPort, spannedNetworks, type TorSetting } from './spans.ts'

const setting = (name: string, ports: Record<string, string>): TorSetting => ({
  name,
  target: 'unix:/nowhere',
  physicalNetwork: `physnet-${name}`,
  switch: name,
  ports,
})
const tors = [setting('tor1', { h1: 'to-h1', h4: 'to-h4' }), setting('tor2', { h2: 'to-h2' })]
const below = (mac: string, host: string, tor: string, vlan: number): SpanPort => ({
  mac,
  host,
  physical_network: `physnet-${tor}`,
  vlan,
  tunnel_ip: null,
})
const native = (mac: string, host: string, tunnel_ip: string | null): SpanPort => ({
  mac,
  host,
  physical_network: null,
  vlan: null,
  tunnel_ip,
})
const span = (id: string, ...ports: SpanPort[]): Span => ({ id, name: id, vni: 5001, ports })

test('ports are placed: behind a ToR by the port that leads to their host, else at their host', () => {
  const ports = [below('a', 'h1', 'tor1', 101), below('b', 'h2', 'tor2', 202), native('c', 'h3', '192.0.2.3')]
  assert.deepEqual(spannedNetworks(tors, [span('n', ...ports)]), [
    {
      id: 'n',
      vni: 5001,
      vlans: { tor1: 101, tor2: 202 },
      ports: [
        { mac: 'a', at: { tor: 'tor1', port: 'to-h1' } },
        { mac: 'b', at: { tor: 'tor2', port: 'to-h2' } },
        { mac: 'c', at: { tunnelIp: '192.0.2.3' } },
      ],
    },
  ])
})

test('where a port is expected, all is ready but its MAC', () => {
  const expected: SpanPort = { ...below('a', 'h2', 'tor2', 202), mac: null }
  const networks = spannedNetworks(tors, [span('n', below('a', 'h1', 'tor1', 101), expected)])
  const ips = { tor1: 'ip-tor1', tor2: 'ip-tor2' }
  const [one, two] = tors.map(({ name }) => wantOf(name, ips, networks).networks[0])
  assert.deepEqual(one, {
    id: 'n',
    vni: 5001,
    bindings: [{ port: 'to-h1', vlan: 101 }],
    macs: [],
    flood: ['ip-tor2'],
  })
  assert.deepEqual(two, {
    id: 'n',
    vni: 5001,
    bindings: [{ port: 'to-h2', vlan: 202 }],
    macs: [{ mac: 'a', tunnelIp: 'ip-tor1' }],
    flood: ['ip-tor1'],
  })
})

test('a port that is expected somewhere makes its network dirty, whatever else was written', () => {
  const before = port('other', false, { 'binding:inactive_hosts': ['h2'] })
  assert.deepEqual(dirty({ kind: 'port', before, after: { ...before } }), ['other'])
  assert.deepEqual(dirty({ kind: 'port', before, after: port('other', false, { 'binding:inactive_hosts': [] }) }), [
    'other',
  ])
})

test('what nobody can reach is left out: no tunnel address, no such ToR, no port of the ToR to the host', () => {
  const ports = [native('a', 'h3', null), below('b', 'h9', 'tor9', 9), below('c', 'h2', 'tor1', 101)]
  assert.deepEqual(spannedNetworks(tors, [span('n', ...ports)]), [
    { id: 'n', vni: 5001, vlans: { tor1: 101 }, ports: [] },
  ])
})

test('networks come in order of id, however they were read: who is first at a VLAN stays', () => {
  const spans = ['c', 'a', 'b'].map((id) => span(id))
  assert.deepEqual(
    spannedNetworks(tors, spans).map(({ id }) => id),
    ['a', 'b', 'c'],
  )
})

const levels = (deep: boolean) => (deep ? [{ driver: 'vtep' }, { driver: 'openvswitch' }] : [{ driver: 'openvswitch' }])
const port = (network_id: string, deep: boolean, more = {}) => ({
  network_id,
  mac_address: 'a',
  'binding:host_id': 'h1',
  'binding:vif_type': 'ovs',
  'binding:levels': levels(deep),
  ...more,
})
const known = new Map([['known', [span('known', native('c', 'h3', '192.0.2.3'))]]])
const dirty = (...changes: Change[]): string[] => [...dirtyNetworks(changes, known)].toSorted()

test('a port makes its network dirty when the network is spanned, or becomes it', () => {
  assert.deepEqual(dirty({ kind: 'port', before: null, after: port('new', true) }), ['new'])
  assert.deepEqual(dirty({ kind: 'port', before: null, after: port('other', false) }), [])
  assert.deepEqual(dirty({ kind: 'port', before: null, after: port('known', false) }), ['known'])
  assert.deepEqual(dirty({ kind: 'port', before: port('gone', true), after: null }), ['gone'])
  assert.deepEqual(dirty({ kind: 'port', before: port('left', true), after: port('left', false) }), ['left'])
  assert.deepEqual(dirty({ kind: 'port', before: null, after: { network_id: 'unsaid' } }), ['unsaid'])
})

test('a port that turned active, or was renamed, changes nothing', () => {
  const before = port('known', true, { status: 'DOWN', name: 'a' })
  assert.deepEqual(dirty({ kind: 'port', before, after: { ...before, status: 'ACTIVE', name: 'b' } }), [])
})

test('a segment that takes another VLAN makes its network dirty, or that goes; one that comes does by its ports', () => {
  const segment = (network_id: string, segmentation_id: number) => ({ network_id, segmentation_id })
  const change = { kind: 'segment', before: segment('known', 7), after: segment('known', 8) }
  assert.deepEqual(dirty(change), ['known'])
  assert.deepEqual(dirty({ ...change, after: segment('known', 7) }), [])
  assert.deepEqual(dirty({ ...change, before: segment('other', 7), after: segment('other', 8) }), [])
  assert.deepEqual(dirty({ ...change, before: null }), [])
  assert.deepEqual(dirty({ ...change, after: null }), ['known'])
})

test('a host whose tunnel address changed makes dirty what it has a part in', () => {
  const agent = (host: string, tunneling_ip: string | null) => ({ host, configurations: { tunneling_ip } })
  assert.deepEqual(dirty({ kind: 'agent', before: agent('h3', 'x'), after: agent('h3', 'y') }), ['known'])
  assert.deepEqual(dirty({ kind: 'agent', before: agent('h3', 'x'), after: agent('h3', 'x') }), [])
  assert.deepEqual(dirty({ kind: 'agent', before: null, after: agent('h8', 'y') }), [])
  assert.deepEqual(dirty({ kind: 'agent', before: agent('h3', 'x'), after: null }), ['known'])
})

test('every port is in one place of the whole: local to its ToR, remote to all others that have the network', () => {
  const somewhere = fc.oneof(
    fc.constantFrom('h1', 'h4').map((host) => ({ host, tor: 'tor1', vlan: 101 })),
    fc.constant({ host: 'h2', tor: 'tor2', vlan: 202 }),
    fc.constantFrom('h3', 'h5').map((host) => ({ host, tor: null, vlan: null })),
  )
  fc.assert(
    fc.property(fc.array(somewhere, { maxLength: 12 }), (places) => {
      const ports = places.map(({ host, tor, vlan }, i) =>
        tor === null ? native(`mac${i}`, host, `ip-${host}`) : below(`mac${i}`, host, tor, vlan ?? 0),
      )
      const networks = spannedNetworks(tors, [span('n', ...ports)])
      const ips = { tor1: 'ip-tor1', tor2: 'ip-tor2' }
      for (const { name, ports: leads } of tors) {
        const mine = places.filter(({ tor }) => tor === name)
        const want = wantOf(name, ips, networks).networks[0]
        assert.equal(want === undefined, mine.length === 0)
        if (!want) continue
        const hosts = new Set(mine.map(({ host }) => leads[host]))
        assert.deepEqual(new Set(want.bindings.map(({ port: one }) => one)), hosts)
        assert.equal(want.macs.length, places.length - mine.length)
        assert.ok(want.macs.every(({ tunnelIp }) => want.flood.includes(tunnelIp)))
        assert.ok(!want.flood.includes(ips[name as keyof typeof ips]))
      }
    }),
  )
})
