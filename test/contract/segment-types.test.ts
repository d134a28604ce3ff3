/**
 * Which segments may be asked for by their physical network and id, and the MTU each type leaves: as a real Neutron's
 * type drivers say. The fixture is made by make-segment-fixture.py.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { maxMtu, type SegmentSettings } from '#core/allocation/segments.ts'
import { typeDrivers } from '#drivers/index.ts'
import { loadSettings } from '#launch/settings.ts'

interface Fixture {
  readonly network_vlan_ranges: readonly string[]
  readonly checks: readonly {
    readonly flat_networks: readonly string[]
    readonly segment: {
      readonly network_type: string
      readonly physical_network: string | null
      readonly segmentation_id: number | null
    }
    readonly says: string | null
  }[]
  readonly mtus: readonly {
    readonly global_physnet_mtu: number
    readonly path_mtu: number
    readonly overlay_ip_version: 4 | 6
    readonly physical_network_mtus: readonly string[]
    readonly mtus: readonly (readonly [string, string | null, number | null])[]
  }[]
}
const fixture = JSON.parse(readFileSync(new URL('fixture-segments.json', import.meta.url), 'utf8')) as Fixture

/** The same options by the same names, as an operator gives them. */
const settingsOf = (options: Readonly<Record<string, unknown>>) => {
  const flags = Object.entries(options).flatMap(([name, value]) => [`--${name.replaceAll('_', '-')}`, String(value)])
  return loadSettings('server', flags, {}).settings
}

test('a segment is accepted or refused in the same words', () => {
  const { network_vlan_ranges } = fixture
  for (const { flat_networks, segment, says } of fixture.checks) {
    const drivers = typeDrivers(settingsOf({ network_vlan_ranges, flat_networks }))
    const [issue] = drivers.get(segment.network_type)?.check(segment, []) ?? []
    assert.equal(issue?.message ?? null, says, JSON.stringify({ flat_networks, segment }))
  }
  assert.ok(fixture.checks.some(({ says }) => says === null) && fixture.checks.length > 80)
})

test('each type leaves the same MTU', () => {
  for (const { mtus, ...options } of fixture.mtus) {
    const all = settingsOf(options)
    const settings: SegmentSettings = {
      drivers: typeDrivers(all),
      tenantTypes: [],
      physicalMtu: all.globalPhysnetMtu,
      pathMtu: all.pathMtu,
      physicalNetworkMtus: Object.fromEntries(all.physicalNetworkMtus.map((one) => [one.physical_network, one.mtu])),
      overlayIpVersion: options.overlay_ip_version,
    }
    for (const [network_type, physical_network, mtu] of mtus)
      assert.equal(
        maxMtu(settings, [{ network_type, physical_network }]),
        // Networks that never leave a host may have what the physical networks have.
        mtu ?? options.global_physnet_mtu,
        JSON.stringify({ ...options, network_type, physical_network }),
      )
  }
})

test('Geneve may have ids of its own, and longer headers', () => {
  const more = { vni_ranges: '1:10', geneve_vni_ranges: '50:60', geneve_max_header_size: 50 }
  const [vxlan, geneve] = ['vxlan', 'geneve'].map((type) => typeDrivers(settingsOf(more)).get(type))
  assert.deepEqual([vxlan?.overhead, geneve?.overhead], [30, 50])
  assert.deepEqual(
    [vxlan, geneve].map((driver) => driver?.ranges.map(({ minimum, maximum }) => [minimum, maximum])),
    [[[1, 10]], [[50, 60]]],
  )
  assert.deepEqual(typeDrivers(settingsOf({ vni_ranges: '1:10' })).get('geneve')?.ranges, vxlan?.ranges)
})
