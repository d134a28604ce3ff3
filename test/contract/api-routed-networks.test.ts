/** Routed networks: addresses follow from hosts, hosts from agents or from an operator, bindings from addresses. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { hostReports } from '../lib/agents.ts'
import { answered, refused } from '../lib/refused.ts'
import { type Client, type Reply, type TestServer, testServer } from '../lib/server.ts'
import { verify } from '../lib/verify.ts'

type Item = Record<string, any>

let server: TestServer
let admin: Client
before(async () => {
  server = await testServer({
    settings: {
      networkVlanRanges: ['rack1', 'rack2', 'rack3'].map((physical_network) => ({ physical_network, range: null })),
      quotaNetwork: -1,
      quotaSubnet: -1,
    },
  })
  admin = server.admin
  await Promise.all([
    plugged('h1', 'rack1'),
    plugged('h2', 'rack2'),
    plugged('h3', 'rack3'),
    plugged('h12', 'rack2', 'rack1'),
    plugged('nowhere'),
  ])
})
after(async () => {
  assert.deepEqual(await verify(server.core), [])
  await server.close()
})

const plugged = (host: string, ...racks: string[]): Promise<boolean> =>
  hostReports(server, host, { bridge_mappings: Object.fromEntries(racks.map((rack) => [rack, `br-${rack}`])) })

let tag = 100
interface Routed {
  readonly network_id: string
  /** Segment and subnet of rack 1, 2, … */
  readonly racks: readonly { readonly segment: string; readonly subnet: string }[]
}
/** A network on racks 1 to `count`, each with four addresses. */
async function routed(count = 2, more: Item = {}): Promise<Routed> {
  tag++
  const { id: network_id } = await admin.make('network', {
    segments: Array.from({ length: count }, (_, index) => ({
      'provider:network_type': 'vlan',
      'provider:physical_network': `rack${index + 1}`,
      'provider:segmentation_id': tag,
    })),
  })
  const { segments } = answered(await admin.get(`segments?network_id=${network_id}&sort_key=physical_network`), 200)
  const racks = []
  for (const [index, segment] of segments.entries()) {
    const subnet = await admin.make('subnet', {
      network_id,
      segment_id: segment.id,
      ip_version: 4,
      cidr: `10.8.${index + 1}.0/24`,
      enable_dhcp: false,
      allocation_pools: [{ start: `10.8.${index + 1}.10`, end: `10.8.${index + 1}.13` }],
      ...more,
    })
    racks.push({ segment: segment.id, subnet: String(subnet['id']) })
  }
  return { network_id, racks }
}

const post = (values: Item) => admin.post('ports', { port: values })
const put = ({ id }: Item, values: Item) => admin.put(`ports/${id}`, { port: values })
const made = async (values: Item): Promise<Item> => answered(await post(values), 201).port
const on = (network_id: string, host: string): Promise<Item> => made({ network_id, 'binding:host_id': host })
const subnetsOf = (port: Item): string[] => port['fixed_ips'].map((one: Item) => one['subnet_id'])
const levelsOf = async ({ id }: Item): Promise<unknown[]> => {
  const [row] = await server.database.query<{ levels: Item[] }>(
    'select binding_levels as levels from ports where id = $1',
    [id],
  )
  return (row?.levels ?? []).map((one) => one['segment_id'])
}

describe('the hosts of a segment', () => {
  test('are those whose agents say so, and those an operator names', async () => {
    const { network_id, racks } = await routed(1)
    const at = `segments/${racks[0]?.segment}/hosts`
    assert.deepEqual(answered(await admin.get(at), 200), { hosts: [], reported: ['h1', 'h12'] })
    refused(await post({ network_id, 'binding:host_id': 'metal-1' }), 'HostNotConnectedToAnySegment')
    const named = answered(await admin.put(at, { hosts: ['metal-2', 'metal-1', 'h1'] }), 200)
    assert.deepEqual(named, { hosts: ['h1', 'metal-1', 'metal-2'], reported: ['h1', 'h12'] })
    assert.deepEqual(answered(await admin.get(at), 200), named)
    assert.deepEqual(subnetsOf(await on(network_id, 'metal-1')), [racks[0]?.subnet])
    answered(await admin.put(at, { hosts: [] }), 200)
    refused(await post({ network_id, 'binding:host_id': 'metal-1' }), 'HostNotConnectedToAnySegment')
    assert.deepEqual(subnetsOf(await on(network_id, 'h1')), [racks[0]?.subnet])
  })

  test('are in the change log with their segment, once for each change', async () => {
    const { racks } = await routed(1)
    const segment = racks[0]?.segment
    const show = async (): Promise<Item> => answered(await admin.get(`segments/${segment}`), 200).segment
    const revision = (await show())['revision_number']
    for (const hosts of [['a', 'b'], ['b', 'a'], ['a']])
      answered(await admin.put(`segments/${segment}/hosts`, { hosts }), 200)
    assert.equal((await show())['revision_number'], revision + 2)
    assert.ok(!('hosts' in (await show())))
    const log = await server.database.query<{ hosts: string[] }>(
      "select after -> 'hosts' as hosts from change where kind = 'segment' and id = $1 order by seq",
      [segment],
    )
    assert.deepEqual(
      log.map((one) => one.hosts),
      [[], ['a', 'b'], ['a']],
    )
  })

  test('are administrators’ to see and to name, and have names', async () => {
    const { racks } = await routed(1)
    const at = `segments/${racks[0]?.segment}/hosts`
    const somebody = server.as('somebody')
    refused(await somebody.get(at), 'SegmentNotFound')
    refused(await somebody.put(at, { hosts: [] }), 'SegmentNotFound')
    refused(await admin.get('segments/11111111-1111-4111-8111-111111111111/hosts'), 'SegmentNotFound')
    for (const body of [
      {},
      { hosts: 'h1' },
      { hosts: ['a', 'a'] },
      { hosts: [''] },
      { hosts: ['a b'] },
      { hosts: [1] },
    ])
      refused(await admin.put(at, body), 'HTTPBadRequest')
  })
})

describe('a host that reaches several segments of a network', () => {
  test('takes addresses of the first that has some, all of one, and is bound there', async () => {
    const { network_id, racks } = await routed()
    const taken = new Map<string, number>()
    for (let count = 0; count < 8; count++) {
      const port = await on(network_id, 'h12')
      const [subnet = ''] = subnetsOf(port)
      taken.set(subnet, (taken.get(subnet) ?? 0) + 1)
      assert.deepEqual(await levelsOf(port), [racks.find((one) => one.subnet === subnet)?.segment])
    }
    assert.deepEqual(
      [...taken],
      [
        [racks[0]?.subnet, 4],
        [racks[1]?.subnet, 4],
      ],
    )
    refused(await post({ network_id, 'binding:host_id': 'h12' }), 'IpAddressGenerationFailure')
  })

  test('gives back what it took of a segment that then lacks the other version', async () => {
    const { network_id, racks } = await routed()
    const six = { network_id, ip_version: 6, enable_dhcp: false }
    const [one, two] = racks.map((each) => each.segment)
    const pool = [{ start: 'fd00:8:1::10', end: 'fd00:8:1::10' }]
    await admin.make('subnet', { ...six, cidr: 'fd00:8:1::/64', segment_id: one, allocation_pools: pool })
    await admin.make('subnet', { ...six, cidr: 'fd00:8:2::/64', segment_id: two })
    const addresses = async (): Promise<string[]> =>
      (await on(network_id, 'h12'))['fixed_ips'].map((each: Item) => each['ip_address'].slice(0, 8))
    assert.deepEqual((await addresses()).sort(), ['10.8.1.1', 'fd00:8:1'])
    assert.deepEqual((await addresses()).sort(), ['10.8.2.1', 'fd00:8:2'])
    // Three of rack 1 are left: none was lost on the way.
    for (let left = 3; left > 0; left--) await made({ network_id, fixed_ips: [{ subnet_id: racks[0]?.subnet }] })
    refused(await post({ network_id, fixed_ips: [{ subnet_id: racks[0]?.subnet }] }), 'IpAddressGenerationFailure')
  })

  test('keeps to the segment of what is asked for, or of what it has', async () => {
    const { network_id, racks } = await routed()
    const second = { subnet_id: racks[1]?.subnet }
    const port = await made({ network_id, 'binding:host_id': 'h12', fixed_ips: [second] })
    assert.deepEqual(await levelsOf(port), [racks[1]?.segment])
    const both = [second, { subnet_id: racks[0]?.subnet }]
    refused(await put(port, { fixed_ips: both }), 'FixedIpsSubnetsNotOnSameSegment')
    assert.equal(answered(await put(port, { fixed_ips: [second, second] }), 200).port.fixed_ips.length, 2)
  })

  test('of twenty at once each has an address and the segment it belongs to', async () => {
    const { network_id, racks } = await routed(3)
    await plugged('h123', 'rack1', 'rack2', 'rack3')
    const replies = await Promise.all(Array.from({ length: 20 }, () => post({ network_id, 'binding:host_id': 'h123' })))
    const ports = replies.filter(({ status }) => status === 201).map(({ body }) => body.port)
    assert.equal(ports.length, 12)
    for (const port of ports)
      assert.deepEqual(await levelsOf(port), [racks.find((one) => one.subnet === subnetsOf(port)[0])?.segment])
    for (const reply of replies.filter(({ status }) => status !== 201)) refused(reply, 'IpAddressGenerationFailure')
  })
})

describe('a port that waits for its host', () => {
  test('has its addresses before it is bound, so that it is bound where they are', async () => {
    const { network_id, racks } = await routed(3)
    const port = await made({ network_id })
    assert.deepEqual([port['ip_allocation'], port['fixed_ips']], ['deferred', []])
    const { port: there } = answered(await put(port, { 'binding:host_id': 'h3' }), 200)
    assert.deepEqual([there.ip_allocation, subnetsOf(there)], ['immediate', [racks[2]?.subnet]])
    assert.deepEqual([there['binding:vif_type'], await levelsOf(there)], ['ovs', [racks[2]?.segment]])
  })

  test('is refused by a host without a segment, or without addresses, and waits on', async () => {
    const { network_id } = await routed(1)
    const port = await made({ network_id })
    refused(await put(port, { 'binding:host_id': 'nowhere' }), 'HostNotConnectedToAnySegment')
    for (let count = 0; count < 4; count++) await on(network_id, 'h1')
    refused(await put(port, { 'binding:host_id': 'h1' }), 'IpAddressGenerationFailure')
    const { port: waiting } = answered(await admin.get(`ports/${port['id']}`), 200)
    assert.deepEqual([waiting.ip_allocation, waiting['binding:host_id']], ['deferred', ''])
  })

  test('does not where the client has a say in its addresses', async () => {
    const { network_id, racks } = await routed(1)
    const port = await made({ network_id })
    const none = answered(await put(port, { 'binding:host_id': 'h1', fixed_ips: [] }), 200).port
    assert.deepEqual(none.fixed_ips, [])
    const other = await made({ network_id })
    const given = answered(await put(other, { fixed_ips: [{ subnet_id: racks[0]?.subnet }] }), 200).port
    assert.deepEqual([given.ip_allocation, given.fixed_ips.length], ['immediate', 1])
  })
})

describe('a port that moves', () => {
  test('stays on the segments of its addresses; who reaches none of the network hears that', async () => {
    const { network_id, racks } = await routed()
    const port = await on(network_id, 'h1')
    refused(await put(port, { 'binding:host_id': 'h2' }), 'HostNotCompatibleWithFixedIps')
    refused(await put(port, { 'binding:host_id': 'nowhere' }), 'HostNotConnectedToAnySegment')
    const [address] = port['fixed_ips']
    refused(await put(port, { 'binding:host_id': 'h2', fixed_ips: [address] }), 'HostNotCompatibleWithFixedIps')
    const { port: moved } = answered(await put(port, { 'binding:host_id': 'h12' }), 200)
    assert.deepEqual(await levelsOf(moved), [racks[0]?.segment])
    const away = { 'binding:host_id': 'h2', fixed_ips: [{ subnet_id: racks[1]?.subnet }] }
    assert.deepEqual(subnetsOf(answered(await put(port, away), 200).port), [racks[1]?.subnet])
    const { port: home } = answered(await put(port, { 'binding:host_id': '' }), 200)
    assert.equal(home.fixed_ips.length, 1)
  })

  test('keeps its last address while the subnet it is of would go', async () => {
    const { network_id, racks } = await routed(1)
    const slaac = { network_id, ip_version: 6, ipv6_ra_mode: 'slaac', ipv6_address_mode: 'slaac', enable_dhcp: true }
    const make = (n: number) =>
      admin.make('subnet', { ...slaac, cidr: `fd00:9:${n}::/64`, segment_id: racks[0]?.segment })
    const [first, second] = [await make(1), await make(2)]
    await made({ network_id, fixed_ips: [{ subnet_id: first['id'] }], device_owner: 'compute:nova' })
    answered(await admin.delete(`subnets/${second['id']}`), 204)
    refused(await admin.delete(`subnets/${first['id']}`), 'SubnetInUse')
  })
})

describe('whatever is asked', () => {
  const HOSTS = ['h1', 'h2', 'h3', 'h12', 'metal', 'nowhere', '']
  const step = fc.oneof(
    fc.record({ op: fc.constant('make' as const), host: fc.constantFrom(...HOSTS), rack: fc.option(fc.nat(2)) }),
    fc.record({ op: fc.constant('move' as const), host: fc.constantFrom(...HOSTS), port: fc.nat(9) }),
    fc.record({
      op: fc.constant('name' as const),
      rack: fc.nat(2),
      hosts: fc.uniqueArray(fc.constantFrom('metal', 'h3')),
    }),
    fc.record({ op: fc.constant('drop' as const), port: fc.nat(9) }),
  )

  test('a port’s addresses are of one segment that its host reached when it came, and it is bound there', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 14 }), async (steps) => {
        const { network_id, racks } = await routed(3)
        const rackOf = new Map(racks.map((one, index) => [one.subnet, index]))
        const named: string[][] = [[], [], []]
        const plugs: Record<string, readonly number[]> = { h1: [0], h2: [1], h3: [2], h12: [0, 1] }
        const reach = (host: string): number[] =>
          [0, 1, 2].filter((rack) => plugs[host]?.includes(rack) || named[rack]?.includes(host))
        const ports = new Map<string, Item>()
        const racksOf = (port: Item): number[] => [...new Set(subnetsOf(port).map((one) => rackOf.get(one) as number))]
        /** The answer is as it has to be, and the port is what it has to be. */
        const holds = async (reply: Reply, host: string, had: readonly number[]): Promise<void> => {
          const reached = reach(host)
          const fits = host === '' || (had.length > 0 ? had.every((one) => reached.includes(one)) : reached.length > 0)
          if (reply.status >= 400) {
            const exhausted = reply.body.NeutronError.type === 'IpAddressGenerationFailure'
            return assert.ok(!fits || exhausted, `${reply.text} for ${host}, which reaches ${reached}`)
          }
          assert.ok(fits, `${host} reaches ${reached}, and took a port of ${had}`)
          const { port } = reply.body
          ports.set(port.id, port)
          const [rack, ...more] = racksOf(port)
          assert.deepEqual(more, [])
          if (host === '') return
          assert.ok(rack !== undefined && reached.includes(rack))
          const bound = plugs[host]?.includes(rack) ?? false
          assert.deepEqual(await levelsOf(port), bound ? [racks[rack]?.segment] : [], host)
        }
        for (const one of steps) {
          const port = 'port' in one ? [...ports.values()][one.port % Math.max(1, ports.size)] : undefined
          if (one.op === 'make') {
            const wish = one.rack === null ? {} : { fixed_ips: [{ subnet_id: racks[one.rack]?.subnet }] }
            const reply = await post({ network_id, 'binding:host_id': one.host, ...wish })
            await holds(reply, one.host, one.rack === null ? [] : [one.rack])
          } else if (one.op === 'name') {
            named[one.rack] = one.hosts
            answered(await admin.put(`segments/${racks[one.rack]?.segment}/hosts`, { hosts: one.hosts }), 200)
          } else if (port && one.op === 'move') {
            const stays = one.host === port['binding:host_id']
            if (!stays) await holds(await put(port, { 'binding:host_id': one.host }), one.host, racksOf(port))
          } else if (port) {
            answered(await admin.delete(`ports/${port['id']}`), 204)
            ports.delete(port['id'])
          }
        }
        for (const id of ports.keys()) answered(await admin.delete(`ports/${id}`), 204)
        answered(await admin.delete(`networks/${network_id}`), 204)
      }),
      { numRuns: 25 },
    )
  })
})

test('a segment that ports are bound on stays, and says which ports', async () => {
  const { id: network_id } = await admin.make('network', {
    segments: ['rack1', 'rack2'].map((rack) => ({
      'provider:network_type': 'vlan',
      'provider:physical_network': rack,
      'provider:segmentation_id': 900,
    })),
  })
  const { segments } = answered(await admin.get(`segments?network_id=${network_id}&sort_key=physical_network`), 200)
  const port = await on(network_id, 'h2')
  answered(await admin.delete(`segments/${segments[0].id}`), 204)
  const { id } = await admin.make('segment', {
    network_id,
    network_type: 'vlan',
    physical_network: 'rack3',
    segmentation_id: 900,
  })
  const facts = refused(
    await admin.delete(`segments/${segments[1].id}`),
    'SegmentInUse',
    /still bound with 1 port\(s\)/,
  )
  assert.deepEqual(facts, { reason: 'ports_on_segment', ports: [port['id']] })
  answered(await admin.delete(`segments/${id}`), 204)
})
