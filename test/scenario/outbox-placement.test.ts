/** Placement knows what the segments of routed networks have, at every step, whoever else writes there. */
import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, describe, test } from 'node:test'
import type { Deliverer } from '#outbox/deliver.ts'
import { createPlacement } from '#outbox/placement.ts'
import { hostReports } from '../lib/agents.ts'
import { type NovaStub, novaStub } from '../lib/nova-stub.ts'
import { eventsOf, outboxRig, type Rig, serviceAt } from '../lib/outbox.ts'
import { type PlacementStub, placementStub } from '../lib/placement-stub.ts'
import { answered } from '../lib/refused.ts'
import { type TestServer, testServer } from '../lib/server.ts'

let server: TestServer
let placement: PlacementStub
let nova: NovaStub
let rig: Rig
let deliverer: Deliverer
let rack = 0

before(async () => {
  const physical_networks = Array.from({ length: 19 }, (_, index) => `rack${index + 1}`)
  server = await testServer({
    settings: { networkVlanRanges: physical_networks.map((physical_network) => ({ physical_network, range: null })) },
  })
  rig = await outboxRig(server, { placement: true, nova: { status: false, data: false } })
})
after(() => server.close())
beforeEach(async () => {
  placement = await placementStub()
  nova = await novaStub()
  await rig.derive()
  await server.database.query('delete from outbox_events')
  const destination = createPlacement({
    database: server.database,
    placement: serviceAt(placement.url),
    nova: serviceAt(nova.url),
  })
  deliverer = rig.deliverer(destination)
})
afterEach(async () => {
  await placement[Symbol.asyncDispose]()
  await nova[Symbol.asyncDispose]()
})

const tell = async (ms?: number): Promise<void> => {
  await rig.derive()
  await rig.settle(deliverer, ms)
}

interface Rack {
  readonly network: string
  readonly segment: string
  readonly subnet: string
  readonly physnet: string
}

/** A network whose one segment has a subnet with 10 addresses, its gateway and DHCP. */
async function routed(): Promise<Rack> {
  rack++
  const physnet = `rack${rack}`
  const network = await server.admin.make('network', {
    'provider:network_type': 'vlan',
    'provider:physical_network': physnet,
    'provider:segmentation_id': 100,
  })
  const [segment] = answered(await server.admin.get(`segments?network_id=${network['id']}`), 200).segments
  const subnet = await server.admin.make('subnet', {
    network_id: network['id'],
    segment_id: segment.id,
    ip_version: 4,
    cidr: `10.${rack}.0.0/24`,
    allocation_pools: [{ start: `10.${rack}.0.10`, end: `10.${rack}.0.19` }],
  })
  return { network: String(network['id']), segment: segment.id, subnet: String(subnet['id']), physnet }
}

/** A port with an address of it. */
const taken = ({ network, subnet }: Rack, device_owner = 'network:f5') =>
  server.admin.make('port', { network_id: network, device_owner, fixed_ips: [{ subnet_id: subnet }] })

const amounts = ({ segment }: Rack, of = 'IPV4_ADDRESS'): (number | undefined)[] => {
  const inventory = placement.providers.get(segment)?.inventories[of]
  return [inventory?.['total'], inventory?.['reserved']]
}

describe('the inventory of a segment', () => {
  test('is its pools and its gateway; reserved is what servers cannot have', async () => {
    const one = await routed()
    await tell()
    assert.deepEqual(amounts(one), [11, 2])
    assert.equal(placement.providers.get(one.segment)?.name, `Neutron segment id ${one.segment}`)
    const port = await taken(one)
    await tell()
    assert.deepEqual(amounts(one), [11, 3])
    await taken(one, 'compute:nova')
    await tell()
    assert.deepEqual(amounts(one), [11, 3], 'Nova counts the addresses of its servers itself')
    answered(await server.admin.put(`ports/${port['id']}`, { port: { device_owner: 'compute:nova' } }), 200)
    await tell()
    assert.deepEqual(amounts(one), [11, 2])
    const pools = [{ start: `10.${rack}.0.10`, end: `10.${rack}.0.29` }]
    answered(
      await server.admin.put(`subnets/${one.subnet}`, { subnet: { allocation_pools: pools, gateway_ip: null } }),
      200,
    )
    await tell()
    assert.deepEqual(amounts(one), [20, 1])
  })

  test('has IPv6 too, as many as Placement can count', async () => {
    const one = await routed()
    await server.admin.make('subnet', {
      network_id: one.network,
      segment_id: one.segment,
      ip_version: 6,
      cidr: `fd00:${rack}::/64`,
      enable_dhcp: false,
    })
    await tell()
    assert.deepEqual(amounts(one, 'CUSTOM_IPV6_ADDRESS'), [2_147_483_647, 1])
    assert.deepEqual(amounts(one), [11, 2])
  })

  test('goes with the last subnet, the aggregate too; not while servers have addresses', async () => {
    const one = await routed()
    await hostReports(server, 'p1', { bridge_mappings: { [one.physnet]: 'br-ex' } })
    await tell()
    assert.deepEqual(
      [...nova.aggregates.values()].map(({ hosts }) => hosts),
      [['p1']],
    )
    placement.providers.get(one.segment)?.allocated.add('IPV4_ADDRESS')
    answered(await server.admin.delete(`subnets/${one.subnet}`), 204)
    await tell(20_000)
    assert.ok(placement.providers.has(one.segment))
    assert.match((await eventsOf(server, one.segment)).at(-1)?.answer ?? '', /has allocations/)
    placement.providers.get(one.segment)?.allocated.clear()
    await tell()
    assert.ok(!placement.providers.has(one.segment))
    assert.equal(nova.aggregates.size, 0)
  })

  test('is right after forced conflicts of generations, and others’ inventories and aggregates stay', async () => {
    const one = await routed()
    await tell()
    const provider = placement.providers.get(one.segment)
    assert.ok(provider)
    let conflicts = 6
    placement.meanwhile = ({ method, path }) => {
      if (method !== 'PUT' || !path.includes('/inventories') || conflicts-- <= 0) return
      provider.generation++
      provider.inventories = { ...provider.inventories, VCPU: { total: conflicts + 1, reserved: 0 } }
      provider.aggregates = [...provider.aggregates, `00000000-0000-0000-0000-00000000000${conflicts}`]
    }
    await taken(one)
    await tell()
    assert.deepEqual(amounts(one), [11, 3])
    assert.equal(provider.inventories['VCPU']?.['total'], 1)
    assert.equal(provider.aggregates.length, 7)
    assert.equal(placement.log.filter(({ status }) => status === 409).length, 6)
  })

  test('hosts that reach the segment are in its aggregate, those Nova does not know are left out', async () => {
    const one = await routed()
    nova.hosts = new Set(['c1', 'c2'])
    for (const host of ['c1', 'network-node'])
      await hostReports(server, host, { bridge_mappings: { [one.physnet]: 'br-ex' } })
    await tell()
    const [aggregate] = nova.aggregates.values()
    assert.deepEqual([aggregate?.name, aggregate?.hosts], [`Neutron segment id ${one.segment}`, ['c1']])
    assert.deepEqual(placement.providers.get(one.segment)?.aggregates, [aggregate?.uuid])
    assert.match((await eventsOf(server, one.segment)).at(-1)?.answer ?? '', /no compute host network-node/)
    await hostReports(server, 'c1', { bridge_mappings: {} })
    await hostReports(server, 'c2', { bridge_mappings: { [one.physnet]: 'br-ex' } })
    await tell()
    assert.deepEqual([...nova.aggregates.values()][0]?.hosts, ['c2'])
  })

  test('hosts that an operator names are in the aggregate too, until neither he nor an agent says so', async () => {
    const one = await routed()
    await hostReports(server, 'both', { device_mappings: { [one.physnet]: ['eth1'] } })
    const name = async (...hosts: string[]): Promise<void> =>
      void answered(await server.admin.put(`segments/${one.segment}/hosts`, { hosts }), 200)
    const known = async (): Promise<string[]> => {
      await tell()
      return [...([...nova.aggregates.values()][0]?.hosts ?? [])].sort()
    }
    assert.deepEqual(await known(), ['both'])
    await name('metal', 'both')
    assert.deepEqual(await known(), ['both', 'metal'])
    await hostReports(server, 'both', { device_mappings: {} })
    assert.deepEqual(await known(), ['both', 'metal'])
    await name('metal')
    assert.deepEqual(await known(), ['metal'])
    await name()
    assert.deepEqual(await known(), [])
    assert.equal(nova.aggregates.size, 1, 'the segment has addresses still')
  })

  test('a host named while others change the provider is in the aggregate, whose id they leave in', async () => {
    const one = await routed()
    await tell()
    const provider = placement.providers.get(one.segment)
    assert.ok(provider)
    provider.aggregates = []
    provider.generation++
    let conflicts = 3
    placement.meanwhile = ({ method, path }) => {
      if (method === 'PUT' && path.includes('/aggregates') && conflicts-- > 0) provider.generation++
    }
    answered(await server.admin.put(`segments/${one.segment}/hosts`, { hosts: ['named'] }), 200)
    await tell()
    const [aggregate] = nova.aggregates.values()
    assert.deepEqual([aggregate?.hosts, provider.aggregates], [['named'], [aggregate?.uuid]])
    assert.equal(placement.log.filter(({ status }) => status === 409).length, 3)
  })

  test('an address is counted when the port that waited for its host has it, of the segment the host is on', async () => {
    const one = await routed()
    await hostReports(server, `on-${one.physnet}`, { bridge_mappings: { [one.physnet]: 'br-ex' } })
    const waiting = await server.admin.make('port', { network_id: one.network, device_owner: 'network:f5' })
    assert.equal(waiting['ip_allocation'], 'deferred')
    await tell()
    assert.deepEqual(amounts(one), [11, 2])
    const bind = { port: { 'binding:host_id': `on-${one.physnet}` } }
    answered(await server.admin.put(`ports/${waiting['id']}`, bind), 200)
    await tell()
    assert.deepEqual(amounts(one), [11, 3])
    answered(await server.admin.delete(`ports/${waiting['id']}`), 204)
    await tell()
    assert.deepEqual(amounts(one), [11, 2])
  })

  test('an address of IPv6 is reserved among those of IPv6', async () => {
    const one = await routed()
    const six = await server.admin.make('subnet', {
      network_id: one.network,
      segment_id: one.segment,
      ip_version: 6,
      cidr: `fd00:${rack}::/64`,
      enable_dhcp: false,
      allocation_pools: [{ start: `fd00:${rack}::10`, end: `fd00:${rack}::1f` }],
    })
    await tell()
    assert.deepEqual(amounts(one, 'CUSTOM_IPV6_ADDRESS'), [17, 1])
    const port = { network_id: one.network, device_owner: 'network:f5', fixed_ips: [{ subnet_id: six['id'] }] }
    await server.admin.make('port', port)
    await tell()
    assert.deepEqual(
      [amounts(one), amounts(one, 'CUSTOM_IPV6_ADDRESS')],
      [
        [11, 2],
        [17, 2],
      ],
    )
  })

  test('Placement that is gone for an hour hears what is true then, once a segment', async () => {
    const one = await routed()
    await tell()
    await placement[Symbol.asyncDispose]()
    for (let count = 0; count < 3; count++) {
      await taken(one)
      await tell(1_200_000)
    }
    assert.equal((await eventsOf(server, one.segment)).filter(({ state }) => state === 'pending').length, 1)
    placement = Object.assign(await placementStub(), { old: placement })
    const fresh = createPlacement({ database: server.database, placement: serviceAt(placement.url), nova: null })
    await rig.settle(rig.deliverer(fresh))
    assert.deepEqual(amounts(one), [11, 5])
  })
})
