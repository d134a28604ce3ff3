/** Routers: gateways, interfaces by subnet and by port, routes of their own, and what holds them. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { connect, disconnect, inside, type Item, outside, portsOf, router, routerOutside } from '../lib/l3.ts'
import { answered, refused } from '../lib/refused.ts'
import { type Client, type TestServer, testServer } from '../lib/server.ts'
import { verify } from '../lib/verify.ts'

let server: TestServer
let admin: Client
let owner: Client
let other: Client
let external: Item

before(async () => {
  const unlimited = { quotaNetwork: -1, quotaSubnet: -1, quotaPort: -1, quotaRouter: -1 }
  server = await testServer({ settings: unlimited })
  admin = server.admin
  owner = server.as('p1')
  other = server.as('p2')
  external = await outside(admin)
})
after(async () => {
  assert.deepEqual(await verify(server.core), [])
  await server.close()
})

const show = async (id: string, by: Client = owner): Promise<Item> =>
  answered(await by.get(`routers/${id}`), 200).router
const set = (id: string, values: Item, by: Client = owner) => by.put(`routers/${id}`, { router: values })

describe('a router', () => {
  test('is its project’s; only administrators see how it is realized', async () => {
    const made = await router(owner, { name: 'r' })
    assert.equal(made['status'], 'ACTIVE')
    assert.equal(made['external_gateway_info'], null)
    assert.deepEqual(made['routes'], [])
    assert.ok(!('distributed' in made) && !('ha' in made) && !('enable_snat' in made))
    const seen = await show(made['id'], admin)
    assert.deepEqual([seen['distributed'], seen['ha']], [false, false])
    refused(await other.get(`routers/${made['id']}`), 'RouterNotFound')
    refused(await owner.post('routers', { router: { distributed: true } }), 'PolicyNotAuthorized')
    answered(await owner.delete(`routers/${made['id']}`), 204)
    refused(await owner.get(`routers/${made['id']}`), 'RouterNotFound')
  })

  test('changes how it is realized only while it is down, and its interfaces say so', async () => {
    const { subnet } = await inside(owner, '10.1.0.0/24')
    const { id } = await router(owner)
    const { port_id } = await connect(owner, id, { subnet_id: subnet.id })
    refused(await set(id, { distributed: true }, admin), 'BadRequest', /Cannot change the 'distributed' attribute/)
    refused(await set(id, { distributed: true, admin_state_up: false }, admin), 'BadRequest')
    refused(await set(id, { ha: true }, admin), 'BadRequest', /Cannot change HA attribute/)
    const ownerOf = async (): Promise<string> => answered(await owner.get(`ports/${port_id}`), 200).port.device_owner
    const steps: [Item, string][] = [
      [{ admin_state_up: false }, 'network:router_interface'],
      [{ distributed: true }, 'network:router_interface_distributed'],
      [{ distributed: false, ha: true }, 'network:ha_router_replicated_interface'],
      [{ ha: false }, 'network:router_interface'],
    ]
    for (const [values, expected] of steps) {
      answered(await set(id, values, admin), 200)
      assert.equal(await ownerOf(), expected, JSON.stringify(values))
    }
    await disconnect(owner, id, { port_id })
  })
})

describe('a gateway', () => {
  test('is a port of nobody’s on an external network, with an address of its own', async () => {
    const { id, external_gateway_info: info } = await routerOutside(owner, external)
    assert.equal(info.network_id, external['id'])
    assert.equal(info.enable_snat, true)
    const [port, ...more] = await portsOf(admin, id)
    assert.deepEqual(more, [])
    assert.deepEqual(port?.['fixed_ips'], info.external_fixed_ips)
    assert.deepEqual([port?.['device_owner'], port?.['project_id']], ['network:router_gateway', ''])
    refused(await owner.delete(`ports/${port?.['id']}`), 'PortNotFound')
    refused(await admin.delete(`ports/${port?.['id']}`), 'ServicePortInUse', /has device owner network:router_gateway/)
    const cleared = answered(await set(id, { external_gateway_info: {} }), 200).router
    assert.equal(cleared.external_gateway_info, null)
    assert.deepEqual(await portsOf(admin, id), [])
  })

  test('takes the addresses an administrator chooses, and keeps what is asked for again', async () => {
    const fixed = (ip_address: string) => ({ subnet_id: external['subnet'].id, ip_address })
    const gateway = (ips: Item[], rest: Item = {}) => ({
      external_gateway_info: { network_id: external['id'], external_fixed_ips: ips, ...rest },
    })
    const { id } = await router(owner)
    refused(await set(id, gateway([fixed('203.0.113.77')])), 'PolicyNotAuthorized')
    const first = answered(await set(id, gateway([fixed('203.0.113.77')]), admin), 200).router
    assert.deepEqual(first.external_gateway_info.external_fixed_ips, [fixed('203.0.113.77')])
    const same = answered(await set(id, { external_gateway_info: { network_id: external['id'] } }), 200).router
    assert.deepEqual(same.external_gateway_info.external_fixed_ips, [fixed('203.0.113.77')])
    const moved = answered(await set(id, gateway([fixed('203.0.113.78')], { enable_snat: false }), admin), 200).router
    assert.deepEqual(moved.external_gateway_info, {
      network_id: external['id'],
      external_fixed_ips: [fixed('203.0.113.78')],
      enable_snat: false,
    })
    const second = await router(owner)
    refused(await set(second['id'], gateway([fixed('203.0.113.78')]), admin), 'IpAddressAlreadyAllocated')
    assert.deepEqual(await portsOf(admin, second['id']), [])
    refused(await set(second['id'], gateway([fixed('203.0.113.1')]), admin), 'BadRequest', /same as the gateway IP/)
    answered(await owner.delete(`routers/${id}`), 204)
    assert.deepEqual(await portsOf(admin, id), [])
  })

  test('needs a network that is external, and that the caller sees', async () => {
    const hidden = await other.make('network', {})
    const own = await owner.make('network', {})
    const at = (network_id: string) => ({ external_gateway_info: { network_id } })
    refused(await owner.post('routers', { router: at(hidden['id']) }), 'NetworkNotFound')
    refused(await owner.post('routers', { router: at(own['id']) }), 'BadRequest', /is not an external network/)
    const missing = await owner.post('routers', { router: { external_gateway_info: { enable_snat: true } } })
    refused(missing, 'HTTPBadRequest', /network_id/)
  })

  test('gets an address of a subnet that comes later', async () => {
    const network = await admin.make('network', { 'router:external': true })
    const { id, external_gateway_info: empty } = await routerOutside(owner, network)
    assert.deepEqual(empty.external_fixed_ips, [])
    const of = (ip_version: number, cidr: string) =>
      admin.make('subnet', { network_id: network['id'], ip_version, cidr, enable_dhcp: false })
    const first = await of(4, '198.51.100.0/24')
    await of(4, '192.0.2.0/24')
    const third = await of(6, '2001:db8:aa::/64')
    const { external_gateway_info: info } = await show(id)
    assert.deepEqual(
      info.external_fixed_ips.map((one: Item) => one['subnet_id']),
      [first['id'], third['id']],
    )
  })

  test('keeps its network external', async () => {
    const network = await outside(admin, '198.18.0.0/24')
    const { id } = await routerOutside(owner, network)
    const close = { network: { 'router:external': false } }
    refused(await admin.put(`networks/${network['id']}`, close), 'ExternalNetworkInUse')
    refused(await admin.delete(`networks/${network['id']}`), 'NetworkInUse')
    answered(await owner.delete(`routers/${id}`), 204)
    answered(await owner.get(`networks/${network['id']}`), 200)
    answered(await admin.put(`networks/${network['id']}`, close), 200)
    refused(await owner.get(`networks/${network['id']}`), 'NetworkNotFound')
  })
})

describe('an interface', () => {
  test('by subnet has the subnet’s gateway address, and goes with its port', async () => {
    const { id: network_id, subnet } = await inside(owner, '10.2.0.0/24', {
      allocation_pools: [{ start: '10.2.0.100', end: '10.2.0.200' }],
    })
    const { id } = await router(owner)
    const made = await connect(owner, id, { subnet_id: subnet.id })
    const { port_id, ...rest } = made
    const project = { project_id: 'p1', tenant_id: 'p1' }
    assert.deepEqual(rest, { id, ...project, network_id, subnet_id: subnet.id, subnet_ids: [subnet.id] })
    const [port] = await portsOf(owner, id)
    assert.equal(port?.['id'], port_id)
    assert.deepEqual(port?.['fixed_ips'], [{ subnet_id: subnet.id, ip_address: '10.2.0.1' }])
    assert.deepEqual(port?.['security_groups'], [])
    const detail = refused(await owner.delete(`routers/${id}`), 'RouterInUse', /has ports still attached/)
    assert.deepEqual(detail['ports'], [port_id])
    refused(await owner.delete(`ports/${port_id}`), 'ServicePortInUse')
    refused(await owner.delete(`subnets/${subnet.id}`), 'SubnetInUse')
    refused(await owner.put(`subnets/${subnet.id}`, { subnet: { gateway_ip: '10.2.0.9' } }), 'GatewayIpInUse')
    assert.deepEqual(await disconnect(owner, id, { subnet_id: subnet.id }), made)
    assert.deepEqual(await portsOf(owner, id), [])
    const again = owner.put(`routers/${id}/remove_router_interface`, { subnet_id: subnet.id })
    refused(await again, 'RouterInterfaceNotFoundForSubnet')
  })

  test('is a change of its router', async () => {
    const { subnet } = await inside(owner, '10.3.0.0/24')
    const { id, revision_number } = await router(owner)
    await connect(owner, id, { subnet_id: subnet.id })
    assert.equal((await show(id))['revision_number'], revision_number + 1)
    await disconnect(owner, id, { subnet_id: subnet.id })
    assert.equal((await show(id))['revision_number'], revision_number + 2)
  })

  test('by port takes the port as it is, and deletes it in the end', async () => {
    const { id: network_id, subnet } = await inside(owner, '10.4.0.0/24')
    const fixed_ips = [{ subnet_id: subnet.id, ip_address: '10.4.0.20' }]
    const port = await owner.make('port', { network_id, fixed_ips })
    const bare = await owner.make('port', { network_id, fixed_ips: [] })
    const [a, b] = [await router(owner), await router(owner)]
    const add = (router: Item, port: Item) =>
      owner.put(`routers/${router['id']}/add_router_interface`, { port_id: port['id'] })
    refused(await add(a, bare), 'BadRequest', /must have at least one fixed IP/)
    const made = answered(await add(a, port), 200)
    assert.deepEqual([made.port_id, made.subnet_ids], [port['id'], [subnet.id]])
    const shown = answered(await owner.get(`ports/${port['id']}`), 200).port
    assert.deepEqual([shown.device_id, shown.device_owner], [a['id'], 'network:router_interface'])
    refused(await add(b, port), 'PortInUse')
    const wrong = { port_id: port['id'], subnet_id: external['subnet'].id }
    refused(await owner.put(`routers/${a['id']}/remove_router_interface`, wrong), 'SubnetMismatchForPort')
    refused(
      await owner.put(`routers/${b['id']}/remove_router_interface`, { port_id: port['id'] }),
      'RouterInterfaceNotFound',
    )
    await disconnect(owner, a['id'], { port_id: port['id'] })
    refused(await owner.get(`ports/${port['id']}`), 'PortNotFound')
  })

  test('needs exactly one of subnet and port, and a subnet with a gateway', async () => {
    const { id: network_id, subnet } = await inside(owner, '10.5.0.0/24')
    const bare = await owner.make('subnet', { network_id, ip_version: 4, cidr: '10.5.1.0/24', gateway_ip: null })
    const port = await owner.make('port', { network_id })
    const { id } = await router(owner)
    const add = (body: Item, by: Client = owner) => by.put(`routers/${id}/add_router_interface`, body)
    refused(await add({}), 'BadRequest', 'Bad router request: Either subnet_id or port_id must be specified.')
    refused(await add({ subnet_id: subnet.id, port_id: port['id'] }), 'BadRequest', /Cannot specify both/)
    refused(await add({ subnet_id: 'x' }), 'HTTPBadRequest', /not a valid UUID/)
    refused(await add({ subnet_id: bare['id'] }), 'BadRequest', /must have a gateway IP/)
    refused(await add({ subnet_id: id }), 'SubnetNotFound')
    refused(await add({ port_id: id }), 'PortNotFound')
    refused(await add({ subnet_id: subnet.id }, other), 'RouterNotFound')
  })

  test('overlaps no other, its gateway’s network included', async () => {
    const [a, b] = [await inside(owner, '10.6.0.0/24'), await inside(owner, '10.6.0.0/25')]
    const clash = await inside(owner, '203.0.113.128/25')
    const { id } = await routerOutside(owner, external)
    await connect(owner, id, { subnet_id: a['subnet'].id })
    const add = (network: Item) => owner.put(`routers/${id}/add_router_interface`, { subnet_id: network['subnet'].id })
    refused(await add(a), 'BadRequest', /Router already has a port on subnet/)
    const sentence = `Cidr 10.6.0.0/25 of subnet ${b['subnet'].id} overlaps with cidr 10.6.0.0/24 of subnet ${a['subnet'].id}`
    refused(await add(b), 'BadRequest', `Bad router request: ${sentence}.`)
    refused(await add(clash), 'BadRequest', /overlaps with cidr 203\.0\.113\.0\/24/)
    const second = await router(owner)
    await connect(owner, second['id'], { subnet_id: clash['subnet'].id })
    refused(
      await set(second['id'], { external_gateway_info: { network_id: external['id'] } }),
      'BadRequest',
      /overlaps/,
    )
  })

  test('holds all IPv6 prefixes of a network on one port', async () => {
    const { id: network_id, subnet } = await inside(owner, '2001:db8:1::/64', {
      ipv6_ra_mode: 'slaac',
      ipv6_address_mode: 'slaac',
      gateway_ip: '2001:db8:1::1',
    })
    const second = await owner.make('subnet', {
      network_id,
      ip_version: 6,
      cidr: '2001:db8:2::/64',
      gateway_ip: '2001:db8:2::1',
    })
    const outer = await owner.make('subnet', {
      network_id,
      ip_version: 6,
      cidr: '2001:db8:3::/64',
      ipv6_address_mode: 'slaac',
    })
    const { id } = await router(owner)
    const first = await connect(owner, id, { subnet_id: subnet.id })
    const more = await connect(owner, id, { subnet_id: second['id'] })
    assert.equal(more['port_id'], first['port_id'])
    const addresses = async () =>
      (await portsOf(owner, id)).map((one) => one['fixed_ips'].map((ip: Item) => ip['ip_address']))
    assert.deepEqual(await addresses(), [['2001:db8:1::1', '2001:db8:2::1']])
    refused(
      await owner.put(`routers/${id}/add_router_interface`, { subnet_id: outer['id'] }),
      'BadRequest',
      /receive RAs/,
    )
    await disconnect(owner, id, { subnet_id: subnet.id })
    assert.deepEqual(await addresses(), [['2001:db8:2::1']])
    await disconnect(owner, id, { subnet_id: second['id'] })
    assert.deepEqual(await addresses(), [])
  })

  test('has the gateway address of an IPv6 subnet however the router is realized', async () => {
    for (const [index, values] of [{}, { distributed: true }, { ha: true }].entries()) {
      const { subnet } = await inside(owner, `2001:db8:7${index}::/64`, {
        ipv6_ra_mode: 'slaac',
        ipv6_address_mode: 'slaac',
      })
      const { id } = await router(admin, { project_id: 'p1', ...values })
      const { port_id } = await connect(owner, id, { subnet_id: subnet.id })
      const { fixed_ips } = answered(await owner.get(`ports/${port_id}`), 200).port
      assert.deepEqual(fixed_ips, [{ subnet_id: subnet.id, ip_address: subnet.gateway_ip }])
    }
  })

  test('keeps its IPv4 address, its router and its owner', async () => {
    const { subnet } = await inside(owner, '10.7.0.0/24')
    const { id } = await router(owner)
    const { port_id } = await connect(owner, id, { subnet_id: subnet.id })
    const change = (port: Item) => owner.put(`ports/${port_id}`, { port })
    const fixed_ips = [{ subnet_id: subnet.id, ip_address: '10.7.0.9' }]
    refused(await change({ fixed_ips }), 'IPAddressChangeNotAllowed')
    refused(await change({ device_id: '' }), 'PortInUse')
    answered(await change({ name: 'renamed' }), 200)
  })

  test('of another project’s subnet needs that network shared with this one by name', async () => {
    const network = await inside(admin, '10.8.0.0/24')
    answered(await admin.put(`networks/${network['id']}`, { network: { shared: true } }), 200)
    const { id } = await router(owner)
    const add = () => owner.put(`routers/${id}/add_router_interface`, { subnet_id: network['subnet'].id })
    refused(await add(), 'BadRequest', /is not owned by project making the request/)
    // A port out of the pool is anybody's who may make ports there.
    const port = await owner.make('port', { network_id: network['id'] })
    await connect(owner, id, { port_id: port['id'] })
  })

  test('of one’s own may not pose as another project’s', async () => {
    const { id: network_id } = await inside(other, '10.9.0.0/24')
    const { id } = await router(owner)
    const pose = { network_id, device_owner: 'network:router_interface', device_id: id }
    const made = await other.post('ports', { port: { network_id } })
    refused(await other.post('ports', { port: pose }), 'DeviceIDNotOwnedByTenant')
    const { network_id: _, ...changes } = pose
    refused(await other.put(`ports/${made.body.port.id}`, { port: changes }), 'DeviceIDNotOwnedByTenant')
  })
})

describe('routes', () => {
  test('lead to neighbours, are added and removed one by one, and hold their interface', async () => {
    const { subnet } = await inside(owner, '10.10.0.0/24')
    const { id } = await router(owner)
    await connect(owner, id, { subnet_id: subnet.id })
    const route = (third: number, last: number) => ({
      destination: `192.168.${third}.0/24`,
      nexthop: `10.10.0.${last}`,
    })
    refused(
      await set(id, { routes: [{ destination: '192.168.0.0/24', nexthop: '10.11.0.2' }] }),
      'InvalidRoutes',
      /not connected/,
    )
    refused(await set(id, { routes: [route(1, 1)] }), 'InvalidRoutes', /used by router/)
    refused(await set(id, { routes: [route(1, 2), route(1, 2)] }), 'HTTPBadRequest', /Duplicate/)
    const many = Array.from({ length: 31 }, (_, index) => route(index, 2))
    refused(await set(id, { routes: many }), 'RoutesExhausted')
    assert.deepEqual(answered(await set(id, { routes: [route(1, 2)] }), 200).router.routes, [route(1, 2)])
    const change = async (verb: string, routes: Item[]) =>
      answered(await owner.put(`routers/${id}/${verb}_extraroutes`, { router: { routes } }), 200).router.routes
    assert.deepEqual(await change('add', [route(1, 2), route(2, 3)]), [route(1, 2), route(2, 3)])
    assert.deepEqual(await change('remove', [route(1, 2), route(9, 9)]), [route(2, 3)])
    refused(
      await owner.put(`routers/${id}/remove_router_interface`, { subnet_id: subnet.id }),
      'RouterInterfaceInUseByRoute',
    )
    assert.deepEqual(answered(await set(id, { routes: null }), 200).router.routes, [])
    await disconnect(owner, id, { subnet_id: subnet.id })
  })
})

test('a project has as many routers as its quota says', async () => {
  answered(await admin.put('quotas/few', { quota: { router: 1 } }), 200)
  const few = server.as('few')
  await router(few)
  refused(await few.post('routers', { router: {} }), 'OverQuota')
})

test('the default external network stays everybody’s; another may become one project’s', async () => {
  const network = await admin.make('network', { 'router:external': true, is_default: true })
  const policies = `rbac-policies?object_id=${network['id']}&action=access_as_external`
  const [policy] = answered(await admin.get(policies), 200).rbac_policies
  assert.equal(policy.target_tenant, '*')
  refused(await admin.delete(`rbac-policies/${policy.id}`), 'RbacPolicyInUse', /must be shared to everyone/)
  answered(await admin.put(`networks/${network['id']}`, { network: { is_default: false } }), 200)
  answered(await admin.put(`rbac-policies/${policy.id}`, { rbac_policy: { target_tenant: 'p1' } }), 200)
  answered(await owner.get(`networks/${network['id']}`), 200)
  refused(await other.get(`networks/${network['id']}`), 'NetworkNotFound')
  assert.equal(answered(await admin.get(`networks/${network['id']}`), 200).network['router:external'], true)
  answered(await admin.delete(`rbac-policies/${policy.id}`), 204)
  assert.equal(answered(await admin.get(`networks/${network['id']}`), 200).network['router:external'], false)
})
