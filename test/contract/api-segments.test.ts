/** Segments of networks: objects of their own, subnets on them, routes between them, and networks of several. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { answered, refused } from '../lib/refused.ts'
import { type Client, type TestServer, testServer } from '../lib/server.ts'
import { verify } from '../lib/verify.ts'

let server: TestServer
let admin: Client
before(async () => {
  server = await testServer({
    settings: {
      networkVlanRanges: [
        { physical_network: 'rack1', range: { first: 100, last: 199 } },
        { physical_network: 'rack2', range: { first: 100, last: 199 } },
        { physical_network: 'rack3', range: null },
      ],
      quotaNetwork: -1,
      quotaSubnet: -1,
      // What a client may give: routes between segments do not count.
      maxSubnetHostRoutes: 1,
    },
  })
  admin = server.admin
})
after(async () => {
  assert.deepEqual(await verify(server.core), [])
  await server.close()
})

const vlan = (physical_network: string, segmentation_id?: number) => ({
  'provider:network_type': 'vlan',
  'provider:physical_network': physical_network,
  ...(segmentation_id !== undefined && { 'provider:segmentation_id': segmentation_id }),
})
const segmentsOf = async (network_id: string): Promise<Record<string, any>[]> =>
  answered(await admin.get(`segments?network_id=${network_id}&sort_key=physical_network&sort_dir=asc`), 200).segments
const show = async (kind: string, id: string): Promise<Record<string, any>> =>
  Object.values(answered(await admin.get(`${kind}/${id}`), 200))[0] as Record<string, any>
const put = (kind: string, id: string, values: object, name = kind.slice(0, -1)) =>
  admin.put(`${kind}/${id}`, { [name]: values })

describe('a segment', () => {
  test('is there with its network, has standard attributes, and goes with it', async () => {
    const { id } = await admin.make('network', {})
    const [segment, ...rest] = await segmentsOf(id)
    assert.deepEqual(rest, [])
    assert.ok(segment)
    const { network_type, physical_network, name, description, revision_number } = segment
    assert.deepEqual(
      { network_type, physical_network, name, description, revision_number },
      { network_type: 'vxlan', physical_network: null, name: null, description: '', revision_number: 1 },
    )
    assert.ok(segment['segmentation_id'] >= 1 && segment['created_at'] && segment['updated_at'])
    const { revision_number: before } = await show('networks', id)
    const { segment: named } = answered(await put('segments', segment['id'], { name: 's', description: 'd' }), 200)
    assert.deepEqual([named.name, named.description, named.revision_number], ['s', 'd', 2])
    assert.equal((await show('networks', id))['revision_number'], before + 1)
    answered(await admin.delete(`networks/${id}`), 204)
    refused(await admin.get(`segments/${segment['id']}`), 'SegmentNotFound')
    const log = await server.database.query("select op from change where kind = 'segment' and id = $1 order by seq", [
      segment['id'],
    ])
    assert.deepEqual(
      log.map((one) => one['op']),
      ['create', 'update', 'delete'],
    )
  })

  test('is added to a network and removed, and the network and its agents hear of it', async () => {
    const network = await admin.make('network', vlan('rack1'))
    const made = await admin.make('segment', {
      network_id: network['id'],
      network_type: 'vlan',
      physical_network: 'rack2',
      segmentation_id: 4000,
      name: 'second',
    })
    const several = await show('networks', network['id'])
    assert.equal(several['revision_number'], network['revision_number'] + 1)
    assert.deepEqual(several['provider:network_type'], null)
    assert.deepEqual(several['segments'], [vlan('rack1', network['provider:segmentation_id']), vlan('rack2', 4000)])
    for (const [filter, found] of [
      ['provider:physical_network=rack2', true],
      ['provider:physical_network=rack1&provider:segmentation_id=4000', true],
      ['provider:segmentation_id=3999', false],
    ] as const) {
      const { networks } = answered(await admin.get(`networks?id=${network['id']}&${filter}`), 200)
      assert.equal(networks.length === 1, found, filter)
    }
    answered(await admin.delete(`segments/${made['id']}`), 204)
    const single = await show('networks', network['id'])
    assert.equal(single['segments'], null)
    assert.equal(single['provider:physical_network'], 'rack1')
    const [last] = await segmentsOf(network['id'])
    refused(await admin.delete(`segments/${last?.['id']}`), 'SegmentInUse', /last segment/)
  })

  test('of two that go at once, one stays', async () => {
    const network = await admin.make('network', { segments: [vlan('rack1'), vlan('rack2')] })
    const ids = (await segmentsOf(network['id'])).map((one) => one['id'])
    const replies = await Promise.all(ids.map((id) => admin.delete(`segments/${id}`)))
    assert.deepEqual(replies.map((one) => one.status).sort(), [204, 409])
    assert.equal((await segmentsOf(network['id'])).length, 1)
  })

  test('needs a network, a known type, and an id nobody has', async () => {
    const network_id = (await admin.make('network', {}))['id']
    const post = (values: object) => admin.post('segments', { segment: { network_id, ...values } })
    refused(await post({ network_type: 'token-ring' }), 'InvalidInput', /'token-ring' not supported/)
    refused(await post({ network_type: 'vlan', physical_network: 'rack9' }), 'InvalidInput', /unknown for VLAN/)
    refused(await post({ network_type: 'vlan', segmentation_id: 5 }), 'InvalidInput', /requires physical_network/)
    refused(
      await post({ network_type: 'vxlan', physical_network: 'rack1' }),
      'InvalidInput',
      /provider:physical_network/,
    )
    refused(await post({ network_type: 'local', physical_network: 'rack1' }), 'InvalidInput', /prohibited for local/)
    refused(
      await post({ network_id: '11111111-1111-4111-8111-111111111111', network_type: 'vxlan' }),
      'NetworkNotFound',
    )
    const taken = (await admin.make('network', {}))['provider:segmentation_id']
    refused(await post({ network_type: 'vxlan', segmentation_id: taken }), 'TunnelIdInUse')
    refused(await server.as('somebody').get('segments/11111111-1111-4111-8111-111111111111'), 'SegmentNotFound')
    assert.deepEqual(answered(await server.as('somebody').get('segments'), 200).segments, [])
  })

  test('must carry the MTU of the network it is added to', async () => {
    const network = await admin.make('network', { ...vlan('rack1'), mtu: 1500 })
    const body = { segment: { network_id: network['id'], network_type: 'vxlan' } }
    refused(await admin.post('segments', body), 'InvalidInput', /Requested MTU is too big, maximum is 1450/)
    answered(await put('networks', network['id'], { mtu: 1400 }), 200)
    answered(await admin.post('segments', body), 201)
    refused(await put('networks', network['id'], { mtu: 1451 }), 'InvalidInput', /maximum is 1450/)
  })
})

describe('networks of several segments', () => {
  test('are created with them, in their order', async () => {
    const segments = [vlan('rack1', 300), vlan('rack2'), { 'provider:network_type': 'vxlan' }]
    const made = await admin.make('network', { segments })
    assert.equal(made['mtu'], 1450)
    assert.equal(made['segments'].length, 3)
    assert.deepEqual(made['segments'][0], vlan('rack1', 300))
    assert.ok(made['segments'][1]['provider:segmentation_id'] >= 100)
    assert.deepEqual(await show('networks', made['id']), made)
    answered(await admin.delete(`networks/${made['id']}`), 204)
  })

  test('are refused with provider attributes, with duplicates, with nonsense', async () => {
    const post = (network: object) => admin.post('networks', { network })
    const two = [vlan('rack1', 301), vlan('rack1', 301)]
    refused(await post({ segments: two }), 'SegmentsContainDuplicateEntry')
    refused(await post({ segments: [], 'provider:network_type': 'vlan' }), 'SegmentsSetInConjunctionWithProviders')
    refused(
      await post({ segments: [{ 'provider:physical_network': 'rack1' }] }),
      'InvalidInput',
      /network_type required/,
    )
    refused(await post({ segments: [{ 'provider:network_type': 'vxlan', colour: 'red' }] }), 'HTTPBadRequest')
    refused(await post({ segments: 'all' }), 'HTTPBadRequest')
    const reply = await server.as('somebody').post('networks', { network: { segments: two } })
    refused(reply, 'PolicyNotAuthorized')
    // Two that are only partly specified draw two ids.
    const made = await admin.make('network', { segments: [vlan('rack1'), vlan('rack1')] })
    assert.notDeepEqual(made['segments'][0], made['segments'][1])
  })
})

describe('the provider attributes of a network', () => {
  test('stay, but for the tag of a VLAN to which nothing is bound', async () => {
    const network = await admin.make('network', vlan('rack1', 310))
    const { id } = network
    refused(
      await put('networks', id, { 'provider:network_type': 'vxlan' }),
      'InvalidInput',
      /does not support updating/,
    )
    refused(await put('networks', id, { segments: [vlan('rack2')] }), 'InvalidInput', /does not support updating/)
    answered(await put('networks', id, { 'provider:physical_network': 'rack1' }), 200)
    const [segment] = await segmentsOf(id)
    const { network: moved } = answered(await put('networks', id, { 'provider:segmentation_id': 150 }), 200)
    assert.equal(moved['provider:segmentation_id'], 150)
    assert.equal((await show('segments', segment?.['id']))['segmentation_id'], 150)
    // The old tag is free, the new one is not.
    refused(await admin.post('networks', { network: vlan('rack1', 150) }), 'VlanIdInUse')
    answered(await admin.post('networks', { network: vlan('rack1', 310) }), 201)
    refused(await put('networks', id, { 'provider:segmentation_id': 310 }), 'VlanIdInUse')
    refused(await put('networks', id, { 'provider:segmentation_id': 5000 }), 'InvalidInput', /1 through 4094/)
    const overlay = (await admin.make('network', {}))['id']
    refused(await put('networks', overlay, { 'provider:segmentation_id': 77777 }), 'InvalidInput', /Only VLAN/)
    const two = (await admin.make('network', { segments: [vlan('rack1'), vlan('rack2')] }))['id']
    refused(await put('networks', two, { 'provider:segmentation_id': 155 }), 'InvalidInput', /single segment/)
    await admin.make('port', { network_id: id })
    answered(await put('networks', id, { 'provider:segmentation_id': 151 }), 200)
    await server.database.query("update ports set binding_vif_type = 'ovs' where network_id = $1", [id])
    refused(await put('networks', id, { 'provider:segmentation_id': 152 }), 'InvalidInput', /unbound, binding_failed/)
    await server.database.query("update ports set binding_vif_type = 'unbound' where network_id = $1", [id])
  })
})

describe('subnets on segments', () => {
  const routed = async (): Promise<{ id: string; segments: string[] }> => {
    const { id } = await admin.make('network', { segments: [vlan('rack1'), vlan('rack2')] })
    return { id, segments: (await segmentsOf(id)).map((one) => one['id']) }
  }
  const subnet = (network_id: string, cidr: string, segment_id: string | null, more: object = {}) =>
    admin.post('subnets', { subnet: { network_id, cidr, ip_version: 4, segment_id, ...more } })

  test('all stand on segments of their network, or none does', async () => {
    const network = await routed()
    const [first = '', second = ''] = network.segments
    const other = await routed()
    assert.equal((await show('networks', network.id))['l2_adjacency'], true)
    refused(await subnet(network.id, '10.1.0.0/24', other.segments[0] ?? ''), 'NetworkIdsDontMatch')
    const { subnet: one } = answered(await subnet(network.id, '10.1.0.0/24', first), 201)
    assert.equal(one.segment_id, first)
    assert.equal((await show('networks', network.id))['l2_adjacency'], false)
    refused(await subnet(network.id, '10.1.1.0/24', null), 'SubnetsNotAllAssociatedWithSegments')
    answered(await subnet(network.id, '10.1.1.0/24', second), 201)
    refused(await put('subnets', one.id, { segment_id: second }), 'SubnetsNotAllAssociatedWithSegments')
    refused(await admin.delete(`segments/${first}`), 'SegmentInUse', /still associated with subnet\(s\) /)
    const { subnets } = answered(await admin.get(`subnets?segment_id=${second}`), 200)
    assert.deepEqual(
      subnets.map((each: { cidr: string }) => each.cidr),
      ['10.1.1.0/24'],
    )
    answered(await admin.delete(`networks/${network.id}`), 204)
    refused(await subnet(other.id, '10.2.0.0/24', '11111111-1111-4111-8111-111111111111'), 'SegmentNotFound')
  })

  test('are put on the segment of a network that has one, once', async () => {
    const { id } = await admin.make('network', {})
    const [segment] = await segmentsOf(id)
    const { subnet: lone } = answered(await subnet(id, '10.3.0.0/24', null), 201)
    answered(await put('subnets', lone.id, { segment_id: segment?.['id'] }), 200)
    refused(await put('subnets', lone.id, { segment_id: null }), 'SubnetSegmentAssociationChangeNotAllowed')
    answered(await put('subnets', lone.id, { segment_id: segment?.['id'], name: 'same' }), 200)
    const two = await routed()
    const { subnet: free } = answered(await subnet(two.id, '10.4.0.0/24', null), 201)
    refused(
      await put('subnets', free.id, { segment_id: two.segments[0] }),
      'NoUpdateSubnetWhenMultipleSegmentsOnNetwork',
    )
  })

  test('are for administrators, who alone see them', async () => {
    const owner = server.as('tenant')
    const network = await owner.make('network', {})
    const [segment] = await segmentsOf(network['id'])
    const body = { network_id: network['id'], cidr: '10.5.0.0/24', ip_version: 4 }
    refused(await owner.post('subnets', { subnet: { ...body, segment_id: segment?.['id'] } }), 'PolicyNotAuthorized')
    const made = await owner.make('subnet', body)
    assert.ok(!('segment_id' in made))
    assert.ok('segment_id' in (await show('subnets', made['id'])))
  })

  test('tell their hosts the way to the other segments', async () => {
    const { id, segments } = await routed()
    const routes = async (of: string): Promise<string[]> =>
      (await show('subnets', of))['host_routes'].map(
        (one: { destination: string; nexthop: string }) => `${one.destination} ${one.nexthop}`,
      )
    const own = [{ destination: '192.0.2.0/24', nexthop: '10.6.0.9' }]
    const { subnet: a } = answered(await subnet(id, '10.6.0.0/24', segments[0] ?? '', { host_routes: own }), 201)
    const { subnet: b } = answered(await subnet(id, '10.6.1.0/24', segments[1] ?? ''), 201)
    assert.deepEqual(await routes(a.id), ['192.0.2.0/24 10.6.0.9', '10.6.1.0/24 10.6.0.1'])
    assert.deepEqual(await routes(b.id), ['10.6.0.0/24 10.6.1.1'])
    // Another on the first segment: only the second's hosts need a way to it.
    const { subnet: c } = answered(await subnet(id, '10.6.2.0/24', segments[0] ?? ''), 201)
    assert.deepEqual(await routes(c.id), ['10.6.1.0/24 10.6.2.1'])
    assert.deepEqual(await routes(b.id), ['10.6.0.0/24 10.6.1.1', '10.6.2.0/24 10.6.1.1'])
    answered(await put('subnets', b.id, { name: 'b' }), 200)
    const many = [...own, { destination: '198.51.100.0/24', nexthop: '10.6.0.9' }]
    refused(await put('subnets', a.id, { host_routes: many }), 'HostRoutesExhausted')
    answered(
      await put('subnets', b.id, {
        gateway_ip: '10.6.1.254',
        allocation_pools: [{ start: '10.6.1.2', end: '10.6.1.99' }],
      }),
      200,
    )
    assert.deepEqual(await routes(b.id), ['10.6.0.0/24 10.6.1.254', '10.6.2.0/24 10.6.1.254'])
    // One route over both is enough.
    answered(await put('subnets', b.id, { host_routes: [{ destination: '10.6.0.0/16', nexthop: '10.6.1.254' }] }), 200)
    assert.deepEqual(await routes(b.id), ['10.6.0.0/16 10.6.1.254'])
    answered(await admin.delete(`subnets/${b.id}`), 204)
    assert.deepEqual(await routes(a.id), ['192.0.2.0/24 10.6.0.9'])
    assert.deepEqual(await routes(c.id), [])
  })
})

test('hosts reach the segments of the physical networks their agents are plugged into', async () => {
  const network = await admin.make('network', { segments: [vlan('rack1'), vlan('rack2')] })
  const [first] = await segmentsOf(network['id'])
  const { recordAgent } = await import('#core/hosts/agents.ts')
  const report = { host: 'h1', started_at: '2026-01-01T00:00:00Z' }
  const hosts = () =>
    server.database.query('select segment_id, host from segment_hosts where network_id = $1', [network['id']])
  await recordAgent(server.core, { ...report, configurations: { bridge_mappings: { rack1: 'br-1', other: 'br-2' } } })
  assert.deepEqual(await hosts(), [{ segment_id: first?.['id'], host: 'h1' }])
  await recordAgent(server.core, { ...report, configurations: { bridge_mappings: {} } })
  assert.deepEqual(await hosts(), [])
})
