/** Shapes do not change without a new version; converters lose only what the older version cannot carry. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { fingerprint } from '#kernel/fingerprint.ts'
import type { NetworkObject, PortObject } from './objects.ts'
import {
  convertDown,
  convertUp,
  currentVersion,
  negotiate,
  readableVersions,
  shapeOf,
  travelsFrom,
  wireTypes,
} from './versions.ts'

const fixture = JSON.parse(readFileSync(new URL('versions.fixture.json', import.meta.url), 'utf8')) as unknown

const shapes = (): unknown =>
  Object.fromEntries(
    wireTypes.map((type) => [
      type,
      Object.fromEntries(
        readableVersions()[type].map((version) => [version, fingerprint(shapeOf(type, version)?.text)]),
      ),
    ]),
  )

test('every version of every wire object has the shape it was published with', () => {
  assert.deepEqual(
    shapes(),
    fixture,
    'a shape changed: add a version with converters to versions.ts, then its fingerprint to versions.fixture.json',
  )
})

const mac = fc.stringMatching(/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/)
const address = fc.oneof(fc.ipV4(), fc.ipV6(), fc.constant('10.0.0.0/24'))
const arbitraryPort: fc.Arbitrary<PortObject> = fc.record(
  {
    id: fc.uuid(),
    network_id: fc.uuid(),
    generation: fc.nat(),
    mac_address: mac,
    admin_state_up: fc.boolean(),
    device_owner: fc.string(),
    vnic_type: fc.constantFrom('normal', 'direct'),
    fixed_ips: fc.array(fc.record({ subnet_id: fc.uuid(), ip_address: address }, { noNullPrototype: true }), {
      maxLength: 3,
    }),
    port_security_enabled: fc.boolean(),
    security_groups: fc.array(fc.uuid(), { maxLength: 3 }),
    allowed_address_pairs: fc.array(fc.record({ ip_address: address, mac_address: mac }, { noNullPrototype: true }), {
      maxLength: 3,
    }),
    dns_name: fc.string(),
    extra_dhcp_opts: fc.array(
      fc.record(
        { opt_name: fc.string(), opt_value: fc.string(), ip_version: fc.constantFrom(4 as const, 6 as const) },
        { noNullPrototype: true },
      ),
      { maxLength: 3 },
    ),
    active: fc.boolean(),
    device: fc.option(
      fc.record(
        {
          kind: fc.constantFrom('vf' as const, 'card' as const, 'macvtap' as const),
          pci_slot: fc.option(fc.string()),
          source: fc.option(fc.string()),
          vlan: fc.nat(4094),
          follows_uplink: fc.boolean(),
        },
        { noNullPrototype: true },
      ),
    ),
    segment_ids: fc.array(fc.uuid(), { maxLength: 2 }),
  },
  { noNullPrototype: true },
)

/** What no version before it knew. */
const NEW_IN_6 = { segment_ids: [] }
const NEW_IN_5 = { ...NEW_IN_6, device: null }

test('a port sent in version 1 arrives whole but for its DNS name and DHCP options', () => {
  fc.assert(
    fc.property(arbitraryPort, (port) => {
      const older = convertDown('port', port, 1)
      assert.equal(shapeOf('port', 1)?.fault(older, ''), null)
      assert.ok(!('dns_name' in older))
      const back = convertUp('port', older, 1)
      assert.equal(shapeOf('port', 6)?.fault(back, ''), null)
      assert.deepEqual(back, { ...port, ...NEW_IN_5, dns_name: '', extra_dhcp_opts: [], active: true })
    }),
  )
})

test('a port sent in version 2 arrives whole but for its DHCP options', () => {
  fc.assert(
    fc.property(arbitraryPort, (port) => {
      const older = convertDown('port', port, 2)
      assert.equal(shapeOf('port', 2)?.fault(older, ''), null)
      assert.ok(!('extra_dhcp_opts' in older))
      assert.deepEqual(convertUp('port', older, 2), { ...port, ...NEW_IN_5, extra_dhcp_opts: [], active: true })
    }),
  )
})

test('a port sent in version 4 arrives whole but for its device', () => {
  fc.assert(
    fc.property(arbitraryPort, (port) => {
      const older = convertDown('port', port, 4)
      assert.equal(shapeOf('port', 4)?.fault(older, ''), null)
      assert.deepEqual(convertUp('port', older, 4), { ...port, ...NEW_IN_5 })
    }),
  )
})

test('a port sent in version 5 arrives whole but for its segments, and a neighbour sent in version 1', () => {
  fc.assert(
    fc.property(arbitraryPort, (port) => {
      const older = convertDown('port', port, 5)
      assert.equal(shapeOf('port', 5)?.fault(older, ''), null)
      assert.ok(!('segment_ids' in older))
      assert.deepEqual(convertUp('port', older, 5), { ...port, ...NEW_IN_6 })
      const { id, network_id, mac_address, segment_ids } = port
      const neighbor = { id, network_id, mac_address, segment_ids, ip_addresses: ['10.0.0.4'], host: 'h' }
      assert.equal(convertDown('neighbor', neighbor, 2), neighbor)
      const oldNeighbor = convertDown('neighbor', neighbor, 1)
      assert.equal(shapeOf('neighbor', 1)?.fault(oldNeighbor, ''), null)
      assert.deepEqual(convertUp('neighbor', oldNeighbor, 1), { ...neighbor, ...NEW_IN_6 })
    }),
  )
})

test('a port that is only expected travels in no version that knows active ones alone', () => {
  fc.assert(
    fc.property(arbitraryPort, (port) => {
      assert.equal(travelsFrom('port', port), port.active ? 1 : 4)
      const older = convertDown('port', { ...port, active: true }, 3)
      assert.equal(shapeOf('port', 3)?.fault(older, ''), null)
      assert.deepEqual(convertUp('port', older, 3), { ...port, ...NEW_IN_5, active: true })
    }),
  )
})

test('a network sent in version 1 arrives with the domain that every network had then', () => {
  const network: NetworkObject = {
    id: 'n',
    generation: 1,
    project_id: 'p',
    admin_state_up: true,
    mtu: 1450,
    segments: [],
    subnets: [],
    dhcp: null,
    dns_domain: 'example.org',
  }
  const older = convertDown('network', network, 1)
  assert.equal(shapeOf('network', 1)?.fault(older, ''), null)
  assert.ok(!('dns_domain' in older))
  assert.deepEqual(convertUp('network', older, 1), { ...network, dns_domain: 'openstacklocal' })
})

test('an object in its newest version travels unchanged', () => {
  fc.assert(
    fc.property(arbitraryPort, (port) => {
      assert.equal(convertDown('port', port, currentVersion('port')), port)
      assert.equal(convertUp('port', port, currentVersion('port')), port)
    }),
  )
})

test('negotiation takes the highest common version', () => {
  const all = readableVersions()
  assert.deepEqual(negotiate({ ...all, port: [1, 2, 3, 4, 5, 6, 7] }), {
    ok: true,
    versions: {
      port: 6,
      network: 2,
      neighbor: 2,
      chassis: 1,
      security_group: 1,
      group_member: 1,
      router: 1,
      dhcp_client: 1,
    },
  })
  const old = negotiate({ ...all, port: [1] })
  assert.equal(old.ok && old.versions.port, 1)
  const unaware = negotiate({ port: [2], network: [1], wormhole: [7] })
  assert.deepEqual(unaware, { ok: true, versions: { port: 2, network: 1 } })
})

test('negotiation without a common version says which type and what to do', () => {
  const future = negotiate({ ...readableVersions(), port: [9] })
  assert.equal(future.ok, false)
  assert.match(future.ok ? '' : future.message, /port: the agent reads 9, this server sends 1 to 6; upgrade/)
  assert.equal(negotiate({}).ok, false)
  assert.equal(negotiate({ ...readableVersions(), network: [] }).ok, false)
})
