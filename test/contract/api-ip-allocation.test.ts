/** Which addresses ports get: automatic ones, by owner, by host; and the names that go with them. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { recordAgent } from '#core/hosts/agents.ts'
import { answered, refused } from '../lib/refused.ts'
import { type Client, type TestServer, testServer } from '../lib/server.ts'
import { verify } from '../lib/verify.ts'

type Item = Record<string, any>

let server: TestServer
let owner: Client
let admin: Client

before(async () => {
  server = await testServer({
    settings: {
      dnsDomain: 'cloud.example',
      networkVlanRanges: ['rack1', 'rack2'].map((physical_network) => ({
        physical_network,
        range: { first: 100, last: 199 },
      })),
    },
  })
  owner = server.as('p1')
  admin = server.admin
})
after(async () => {
  assert.deepEqual(await verify(server.core), [])
  await server.close()
})

const show = async (kind: string, id: string): Promise<Item> =>
  Object.values(answered(await admin.get(`${kind}/${id}`), 200))[0] as Item
const addresses = (port: Item): string[] => port['fixed_ips'].map((one: Item) => one['ip_address']).sort()
const slaac = { ip_version: 6, ipv6_ra_mode: 'slaac', ipv6_address_mode: 'slaac' }

describe('automatic addresses', () => {
  const MAC = 'fa:16:3e:12:34:56'
  const SUFFIX = 'f816:3eff:fe12:3456'

  test('come to the ports that are there with their subnet, and go with it; a router’s does not', async () => {
    const { id: network_id } = await owner.make('network', {})
    await owner.make('subnet', { network_id, cidr: '10.0.0.0/24', ip_version: 4 })
    const port = await owner.make('port', { network_id, mac_address: MAC })
    const bare = await owner.make('port', { network_id, fixed_ips: [] })
    const six = await owner.make('subnet', { network_id, cidr: 'fd00:1::/64', ...slaac })
    assert.deepEqual(addresses(await show('ports', port['id'])), [...addresses(port), `fd00:1::${SUFFIX}`])
    assert.equal((await show('ports', bare['id']))['fixed_ips'].length, 1)
    const router = await owner.make('router', {})
    answered(await owner.put(`routers/${router['id']}/add_router_interface`, { subnet_id: six['id'] }), 200)
    refused(await owner.delete(`subnets/${six['id']}`), 'SubnetInUse')
    answered(await owner.put(`routers/${router['id']}/remove_router_interface`, { subnet_id: six['id'] }), 200)
    answered(await owner.delete(`subnets/${six['id']}`), 204)
    assert.deepEqual(addresses(await show('ports', port['id'])), addresses(port))
    assert.deepEqual((await show('ports', bare['id']))['fixed_ips'], [])
  })
  test('stay when others are changed, until their subnet is given up', async () => {
    const { id: network_id } = await owner.make('network', {})
    const four = await owner.make('subnet', { network_id, cidr: '10.0.0.0/24', ip_version: 4 })
    const six = await owner.make('subnet', { network_id, cidr: 'fd00:1::/64', ...slaac })
    const port = await owner.make('port', { network_id, mac_address: MAC })
    const put = async (fixed_ips: object[]): Promise<string[]> =>
      addresses(answered(await owner.put(`ports/${port['id']}`, { port: { fixed_ips } }), 200).port)
    assert.deepEqual(await put([{ ip_address: '10.0.0.77' }]), ['10.0.0.77', `fd00:1::${SUFFIX}`])
    // By its subnet alone an address is kept.
    assert.deepEqual(await put([{ subnet_id: four['id'] }]), ['10.0.0.77', `fd00:1::${SUFFIX}`])
    assert.deepEqual(await put([{ subnet_id: four['id'] }, { subnet_id: four['id'] }]).then((all) => all.length), 3)
    assert.deepEqual(await put([{ subnet_id: six['id'], ip_address: `fd00:1::${SUFFIX}` }]), [`fd00:1::${SUFFIX}`])
    assert.deepEqual(await put([]), [`fd00:1::${SUFFIX}`])
  })
  test('are had in every such subnet, of either mode attribute', async () => {
    const { id: network_id } = await owner.make('network', {})
    await owner.make('subnet', { network_id, cidr: 'fd00:1::/64', ip_version: 6, ipv6_ra_mode: 'slaac' })
    const stateless = { ip_version: 6, ipv6_address_mode: 'dhcpv6-stateless' }
    const two = await owner.make('subnet', { network_id, cidr: 'fd00:2::/64', ...stateless })
    const port = await owner.make('port', { network_id, mac_address: MAC, fixed_ips: [{ subnet_id: two['id'] }] })
    assert.deepEqual(addresses(port), [`fd00:1::${SUFFIX}`, `fd00:2::${SUFFIX}`])
  })
})

describe('subnets for certain owners', () => {
  test('are taken first by those, and by nobody else', async () => {
    const { id: network_id } = await admin.make('network', {})
    const quiet = { network_id, ip_version: 4, enable_dhcp: false }
    const own = await admin.make('subnet', { ...quiet, cidr: '10.0.0.0/24', service_types: ['compute:nova'] })
    refused(await admin.post('ports', { port: { network_id } }), 'IpAddressGenerationFailureNoMatchingSubnet')
    const open = await admin.make('subnet', { ...quiet, cidr: '10.0.1.0/24' })
    const subnetFor = async (device_owner: string): Promise<string> =>
      (await admin.make('port', { network_id, device_owner }))['fixed_ips'][0].subnet_id
    assert.equal(await subnetFor('compute:nova'), own['id'])
    assert.equal(await subnetFor(''), open['id'])
    assert.equal(await subnetFor('network:floatingip'), open['id'])
    const put = (service_types: unknown) => admin.put(`subnets/${open['id']}`, { subnet: { service_types } })
    answered(await put(['network:floatingip', 'network:router_gateway']), 200)
    refused(await admin.post('ports', { port: { network_id } }), 'IpAddressGenerationFailureNoMatchingSubnet')
    refused(await put(['nova']), 'InvalidSubnetServiceType', /nova does not correspond/)
    refused(await put(['compute:a', 'compute:a']), 'HTTPBadRequest')
    refused(await put('compute:a'), 'HTTPBadRequest')
  })
})

describe('a routed network', () => {
  const plugged = (host: string, ...racks: string[]) =>
    recordAgent(server.core, {
      host,
      started_at: '2026-01-01T00:00:00Z',
      configurations: { bridge_mappings: Object.fromEntries(racks.map((rack) => [rack, `br-${rack}`])) },
    })
  const vlan = (physical_network: string) => ({
    'provider:network_type': 'vlan',
    'provider:physical_network': physical_network,
  })
  const routed = async (): Promise<{ network_id: string; one: Item; two: Item }> => {
    const { id: network_id } = await admin.make('network', { segments: [vlan('rack1'), vlan('rack2')] })
    const { segments } = answered(await admin.get(`segments?network_id=${network_id}`), 200)
    const make = (rack: string, cidr: string) =>
      admin.make('subnet', {
        network_id,
        cidr,
        ip_version: 4,
        segment_id: segments.find((one: Item) => one['physical_network'] === rack).id,
      })
    return { network_id, one: await make('rack1', '10.7.1.0/24'), two: await make('rack2', '10.7.2.0/24') }
  }
  before(() => Promise.all([plugged('h1', 'rack1'), plugged('h2', 'rack2'), plugged('h3')]))

  const post = (values: Item) => admin.post('ports', { port: values })
  const put = (port: Item, values: Item) => admin.put(`ports/${port['id']}`, { port: values })

  test('gives addresses of the host’s segment', async () => {
    const { network_id, one, two } = await routed()
    for (const [host, subnet] of [
      ['h1', one],
      ['h2', two],
    ] as const) {
      const port = answered(await post({ network_id, 'binding:host_id': host }), 201).port
      assert.deepEqual([port.fixed_ips[0].subnet_id, port.ip_allocation], [subnet['id'], 'immediate'])
    }
    refused(await post({ network_id, 'binding:host_id': 'h3' }), 'HostNotConnectedToAnySegment')
    const both = [{ subnet_id: one['id'] }, { subnet_id: two['id'] }]
    refused(await post({ network_id, fixed_ips: both }), 'FixedIpsSubnetsNotOnSameSegment')
  })
  test('waits for the host, then stays within its reach', async () => {
    const { network_id, one, two } = await routed()
    const port = answered(await post({ network_id }), 201).port
    assert.deepEqual([port.fixed_ips, port.ip_allocation], [[], 'deferred'])
    const bound = answered(await put(port, { 'binding:host_id': 'h2' }), 200).port
    assert.deepEqual([bound.fixed_ips[0].subnet_id, bound.ip_allocation], [two['id'], 'immediate'])
    assert.equal(bound.dns_assignment[0].ip_address, bound.fixed_ips[0].ip_address)
    refused(await put(port, { 'binding:host_id': 'h1' }), 'HostNotCompatibleWithFixedIps')
    const moved = { 'binding:host_id': 'h1', fixed_ips: [{ subnet_id: one['id'] }] }
    assert.equal(answered(await put(port, moved), 200).port.fixed_ips[0].subnet_id, one['id'])
  })
  test('has one DHCP port on all its segments', async () => {
    const { network_id } = await routed()
    const { ports } = answered(await admin.get(`ports?network_id=${network_id}&device_owner=network:dhcp`), 200)
    assert.deepEqual(addresses(ports[0]), ['10.7.1.2', '10.7.2.2'])
  })
  test('tells ports without addresses by wish apart', async () => {
    const { network_id } = await routed()
    assert.equal(answered(await post({ network_id, fixed_ips: [] }), 201).port.ip_allocation, 'none')
    const { ports } = answered(await admin.get(`ports?network_id=${network_id}&ip_allocation=none`), 200)
    assert.equal(ports.length, 1)
  })
})

describe('names', () => {
  test('of a port follow from its own and its addresses, below the configured domain', async () => {
    const { id: network_id } = await owner.make('network', { dns_domain: 'Net.Example.' })
    assert.equal((await show('networks', network_id))['dns_domain'], 'net.example.')
    await owner.make('subnet', { network_id, cidr: '10.0.0.0/24', ip_version: 4 })
    const port = await owner.make('port', { network_id, fixed_ips: [{ ip_address: '10.0.0.9' }], dns_name: 'Web' })
    const assigned = (hostname: string) => [
      { ip_address: '10.0.0.9', hostname, fqdn: hostname.endsWith('.') ? hostname : `${hostname}.cloud.example.` },
    ]
    assert.deepEqual([port['dns_name'], port['dns_assignment']], ['web', assigned('web')])
    const put = (values: Item) => owner.put(`ports/${port['id']}`, { port: values })
    const renamed = answered(await put({ dns_name: '', dns_domain: 'port.example.' }), 200).port
    assert.deepEqual(renamed.dns_assignment, assigned('host-10-0-0-9'))
    assert.equal(renamed.dns_domain, 'port.example.')
    assert.deepEqual(
      answered(await put({ dns_name: 'web.cloud.example.' }), 200).port.dns_assignment,
      assigned('web.cloud.example.'),
    )
    refused(await put({ dns_name: 'web.other.example.' }), 'HTTPBadRequest', /must be equal to the dns_domain option/)
    refused(await put({ dns_name: 'a'.repeat(64) }), 'HTTPBadRequest', /1-63 characters/)
    refused(await put({ dns_name: '-a' }), 'HTTPBadRequest', /not start or end with a hyphen/)
    refused(await put({ dns_domain: 'port.example' }), 'HTTPBadRequest', /is not a FQDN/)
  })
  test('of a subnet are published or not', async () => {
    const { id: network_id } = await owner.make('network', {})
    const subnet = await owner.make('subnet', { network_id, cidr: '10.0.0.0/24', ip_version: 4 })
    assert.equal(subnet['dns_publish_fixed_ip'], false)
    const put = await owner.put(`subnets/${subnet['id']}`, { subnet: { dns_publish_fixed_ip: true } })
    assert.equal(answered(put, 200).subnet.dns_publish_fixed_ip, true)
  })
})
