/** Floating IPs: where their addresses come from, what they lead to, and what they hold in place. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { connect, disconnect, inside, type Item, outside, portsOf, routerOutside } from '../lib/l3.ts'
import { answered, refused } from '../lib/refused.ts'
import { type Client, type Reply, type TestServer, testServer } from '../lib/server.ts'
import { verify } from '../lib/verify.ts'

let server: TestServer
let admin: Client
let owner: Client
let other: Client
let external: Item
let internal: Item
let between: Item

before(async () => {
  server = await testServer({ settings: { quotaNetwork: -1, quotaSubnet: -1, quotaPort: -1, quotaFloatingip: -1 } })
  admin = server.admin
  owner = server.as('p1')
  other = server.as('p2')
  external = await outside(admin)
  internal = await inside(owner, '10.0.0.0/24')
  between = await routerOutside(owner, external)
  await connect(owner, between['id'], { subnet_id: internal['subnet'].id })
})
after(async () => {
  assert.deepEqual(await verify(server.core), [])
  await server.close()
})

const floating = (values: Item = {}, by: Client = owner): Promise<Reply> =>
  by.post('floatingips', { floatingip: { floating_network_id: external['id'], ...values } })
const made = async (values: Item = {}, by: Client = owner): Promise<Item> =>
  answered(await floating(values, by), 201).floatingip
const change = (id: string, values: Item, by: Client = owner): Promise<Reply> =>
  by.put(`floatingips/${id}`, { floatingip: values })
const shown = async (id: string): Promise<Item> => answered(await owner.get(`floatingips/${id}`), 200).floatingip
const portInside = (values: Item = {}): Promise<Item> => owner.make('port', { network_id: internal['id'], ...values })
const where = ({ port_id, fixed_ip_address, router_id }: Item) => [port_id, fixed_ip_address, router_id]
const NOWHERE = [null, null, null]

describe('the address', () => {
  test('is held by a port of nobody’s, which goes with the floating IP', async () => {
    const { id, floating_ip_address, status } = await made()
    assert.equal(status, 'DOWN')
    const [port] = await portsOf(admin, id)
    assert.deepEqual(
      [port?.['device_owner'], port?.['project_id'], port?.['status'], port?.['fixed_ips'][0].ip_address],
      ['network:floatingip', '', 'N/A', floating_ip_address],
    )
    refused(await admin.delete(`ports/${port?.['id']}`), 'ServicePortInUse')
    refused(await other.get(`floatingips/${id}`), 'FloatingIPNotFound')
    answered(await owner.delete(`floatingips/${id}`), 204)
    assert.deepEqual(await portsOf(admin, id), [])
  })

  test('is an administrator’s to choose, a subnet is anybody’s', async () => {
    refused(await floating({ floating_ip_address: '203.0.113.50' }), 'PolicyNotAuthorized')
    const chosen = await made({ floating_ip_address: '203.0.113.50' }, admin)
    assert.equal(chosen['floating_ip_address'], '203.0.113.50')
    refused(await floating({ floating_ip_address: '203.0.113.50' }, admin), 'IpAddressAlreadyAllocated')
    const second = { network_id: external['id'], ip_version: 4, cidr: '198.51.100.0/24', enable_dhcp: false }
    const { id: subnet_id } = await admin.make('subnet', second)
    const there = await made({ subnet_id })
    assert.match(there['floating_ip_address'], /^198\.51\.100\./)
    assert.ok(!('subnet_id' in there))
    refused(await floating({ subnet_id, floating_ip_address: '203.0.113.51' }, admin), 'InvalidIpForSubnet')
    const pools = answered(await owner.get('floatingip-pools'), 200).floatingip_pools
    const all = pools.filter((one: Item) => one['network_id'] === external['id'])
    assert.deepEqual(all.map((one: Item) => one['subnet_id']).sort(), [external['subnet'].id, subnet_id].sort())
  })

  test('comes from an external network with IPv4', async () => {
    refused(await floating({ floating_network_id: internal['id'] }), 'BadRequest', /is not a valid external network/)
    const six = await admin.make('network', { 'router:external': true })
    await admin.make('subnet', { network_id: six['id'], ip_version: 6, cidr: '2001:db8::/64' })
    refused(await floating({ floating_network_id: six['id'] }), 'BadRequest', /does not contain any IPv4 subnet/)
    refused(await floating({ floating_network_id: between['id'] }), 'NetworkNotFound')
    const tiny = await outside(admin, '192.0.2.0/30')
    await made({ floating_network_id: tiny['id'] })
    refused(await floating({ floating_network_id: tiny['id'] }), 'IpAddressGenerationFailure')
  })
})

describe('an association', () => {
  test('is made, moved and ended', async () => {
    const [a, b] = [await portInside({ name: 'a' }), await portInside()]
    const first = await made({ port_id: a['id'], description: 'd' })
    assert.deepEqual(where(first), [a['id'], a['fixed_ips'][0].ip_address, between['id']])
    assert.deepEqual(first['port_details'], {
      name: 'a',
      network_id: internal['id'],
      mac_address: a['mac_address'],
      admin_state_up: true,
      status: 'DOWN',
      device_id: '',
      device_owner: '',
    })
    const described = answered(await change(first['id'], { description: 'e' }), 200).floatingip
    assert.deepEqual([...where(described), described.description], [...where(first), 'e'])
    refused(
      await change(first['id'], { fixed_ip_address: first['fixed_ip_address'] }),
      'BadRequest',
      /without a port_id/,
    )
    const kept = answered(await change(first['id'], { fixed_ip_address: null }), 200).floatingip
    assert.deepEqual(where(kept), where(first))
    const moved = answered(await change(first['id'], { port_id: b['id'] }), 200).floatingip
    assert.deepEqual(where(moved), [b['id'], b['fixed_ips'][0].ip_address, between['id']])
    const ended = answered(await change(first['id'], { port_id: null }), 200).floatingip
    assert.deepEqual([...where(ended), ended.port_details], [...NOWHERE, null])
    const again = answered(await change(first['id'], { port_id: a['id'] }), 200).floatingip
    assert.equal(again.port_id, a['id'])
    // An empty body meant this when floating IPs had nothing else to change, and still does.
    assert.deepEqual(where(answered(await change(first['id'], {}), 200).floatingip), NOWHERE)
  })

  test('says which of several addresses, or is refused', async () => {
    const subnet_id = internal['subnet'].id
    const fixed_ips = ['10.0.0.100', '10.0.0.101'].map((ip_address) => ({ subnet_id, ip_address }))
    const many = await portInside({ fixed_ips })
    const none = await portInside({ fixed_ips: [] })
    refused(await floating({ port_id: many['id'] }), 'BadRequest', /has multiple fixed IPv4 addresses/)
    refused(await floating({ port_id: none['id'] }), 'BadRequest', /no fixed IPv4 addresses/)
    refused(await floating({ fixed_ip_address: '10.0.0.100' }), 'BadRequest', /without a port_id/)
    const ask = (fixed_ip_address: string) => floating({ port_id: many['id'], fixed_ip_address })
    refused(await ask('10.0.0.102'), 'BadRequest', /does not have fixed ip/)
    refused(await ask('2001:db8::1'), 'BadRequest', /not an IPv4 address/)
    const [first, second] = [answered(await ask('10.0.0.100'), 201), answered(await ask('10.0.0.101'), 201)]
    assert.equal(second.floatingip.fixed_ip_address, '10.0.0.101')
    refused(await ask('10.0.0.100'), 'FloatingIPPortAlreadyAssociated', /already has a floating IP on external network/)
    answered(await change(first.floatingip.id, { port_id: null }), 200)
    const moved = await change(second.floatingip.id, { port_id: many['id'], fixed_ip_address: '10.0.0.100' })
    assert.equal(answered(moved, 200).floatingip.fixed_ip_address, '10.0.0.100')
  })

  test('is between one’s own port and floating IP', async () => {
    const foreign = await admin.make('port', { network_id: internal['id'], project_id: 'p3' })
    refused(await floating({ port_id: foreign['id'] }), 'BadRequest', /owned by a different tenant/)
    const own = await portInside()
    refused(await floating({ port_id: own['id'] }, other), 'PortNotFound')
    const dhcp = (await portsOf(owner, `dhcp-distributed-${internal['id']}`))[0]
    refused(await floating({ port_id: dhcp?.['id'] }), 'BadRequest', /unable to be assigned a floating IP/)
  })

  test('needs a router between both networks: the subnet’s gateway before any other', async () => {
    const far = await inside(owner, '10.1.0.0/24')
    const port = await owner.make('port', { network_id: far['id'] })
    const missing = await floating({ port_id: port['id'] })
    refused(missing, 'ExternalGatewayForFloatingIPNotFound', /is not reachable from subnet/)
    const [aside, gateway] = [await routerOutside(owner, external), await routerOutside(owner, external)]
    const door = await owner.make('port', { network_id: far['id'] })
    await connect(owner, aside['id'], { port_id: door['id'] })
    const first = await made({ port_id: port['id'] })
    assert.equal(first['router_id'], aside['id'])
    await connect(owner, gateway['id'], { subnet_id: far['subnet'].id })
    const again = answered(await change(first['id'], { port_id: port['id'] }), 200).floatingip
    assert.equal(again.router_id, gateway['id'])
  })

  test('holds the router’s interface and gateway in place', async () => {
    const far = await inside(owner, '10.2.0.0/24')
    const { id } = await routerOutside(owner, external)
    await connect(owner, id, { subnet_id: far['subnet'].id })
    const port = await owner.make('port', { network_id: far['id'] })
    const floatingIp = await made({ port_id: port['id'] })
    const leave = { subnet_id: far['subnet'].id }
    refused(await owner.put(`routers/${id}/remove_router_interface`, leave), 'RouterInterfaceInUseByFloatingIP')
    const clear = { router: { external_gateway_info: null } }
    refused(await owner.put(`routers/${id}`, clear), 'RouterExternalGatewayInUseByFloatingIp')
    answered(await owner.delete(`floatingips/${floatingIp['id']}`), 204)
    await disconnect(owner, id, leave)
    answered(await owner.put(`routers/${id}`, clear), 200)
  })

  test('ends with its port, and with the fixed IP it leads to', async () => {
    const subnet_id = internal['subnet'].id
    const address = (last: number) => ({ subnet_id, ip_address: `10.0.0.${last}` })
    const port = await portInside({ fixed_ips: [address(110), address(111)] })
    const [a, b] = [
      await made({ port_id: port['id'], fixed_ip_address: '10.0.0.110' }),
      await made({ port_id: port['id'], fixed_ip_address: '10.0.0.111' }),
    ]
    answered(await owner.put(`ports/${port['id']}`, { port: { fixed_ips: [address(111), address(112)] } }), 200)
    assert.deepEqual(where(await shown(a['id'])), NOWHERE)
    assert.deepEqual(where(await shown(b['id'])), where(b))
    answered(await owner.delete(`ports/${port['id']}`), 204)
    assert.deepEqual(where(await shown(b['id'])), NOWHERE)
  })
})

test('an external network goes with the floating IPs that lead nowhere', async () => {
  const network = await outside(admin, '198.18.0.0/24')
  const { id } = await made({ floating_network_id: network['id'] })
  answered(await admin.delete(`networks/${network['id']}`), 204)
  refused(await owner.get(`floatingips/${id}`), 'FloatingIPNotFound')
})

test('names are whole or absent, in lower case', async () => {
  refused(await floating({ dns_name: 'www' }), 'BadRequest', /dns_name cannot be specified without a dns_domain/)
  refused(await floating({ dns_domain: 'example.org.' }), 'BadRequest', /without a dns_name/)
  refused(await floating({ dns_name: 'www', dns_domain: 'example.org' }), 'HTTPBadRequest', /is not a FQDN/)
  const { dns_name, dns_domain } = await made({ dns_name: 'WWW', dns_domain: 'Example.org.' })
  assert.deepEqual([dns_name, dns_domain], ['www', 'example.org.'])
})

test('a project has as many floating IPs as its quota says', async () => {
  answered(await admin.put('quotas/few', { quota: { floatingip: 1 } }), 200)
  const few = server.as('few')
  await made({}, few)
  refused(await floating({}, few), 'OverQuota')
  assert.equal(
    answered(await admin.get('ports?device_owner=network:floatingip&project_id='), 200).ports.length > 0,
    true,
  )
})
