/** NDP proxies: whose addresses a router's gateway answers for, and what they hold in place. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { connect, disconnect, type Item } from '../lib/l3.ts'
import { answered, refused } from '../lib/refused.ts'
import { type Client, type Reply, type TestServer, testServer } from '../lib/server.ts'
import { verify } from '../lib/verify.ts'

let server: TestServer
let admin: Client
let owner: Client
let pool: Item
let external: Item
let internal: Item

const network = async (by: Client, from: Item | null, values: Item = {}, cidr?: string): Promise<Item> => {
  const made = await by.make('network', values)
  const prefix = from ? { subnetpool_id: from['id'] } : { cidr }
  const subnet = await by.make('subnet', { network_id: made['id'], ip_version: 6, ...prefix })
  return { ...made, subnet }
}
const scopedPool = async (prefix: string): Promise<Item> => {
  const scope = await admin.make('address_scope', { name: 's', ip_version: 6, shared: true })
  const values = { name: 'p', prefixes: [prefix], default_prefixlen: 64, shared: true, address_scope_id: scope['id'] }
  return admin.make('subnetpool', values)
}
const outside = (values: Item = {}) => ({ external_gateway_info: { network_id: external['id'], ...values } })
const proxying = async (): Promise<Item> => {
  const router = await owner.make('router', { ...outside(), enable_ndp_proxy: true })
  assert.equal(router['enable_ndp_proxy'], true)
  return router
}
const proxy = (router: Item, port: Item, values: Item = {}, by: Client = owner): Promise<Reply> =>
  by.post('ndp_proxies', { ndp_proxy: { router_id: router['id'], port_id: port['id'], ...values } })
const change = (router: Item, values: Item): Promise<Reply> => owner.put(`routers/${router['id']}`, { router: values })

before(async () => {
  server = await testServer({ settings: { quotaNetwork: -1, quotaSubnet: -1, quotaPort: -1, quotaRouter: -1 } })
  admin = server.admin
  owner = server.as('p1')
  pool = await scopedPool('2001:db8::/48')
  external = await network(admin, pool, { 'router:external': true })
  internal = await network(owner, pool)
})
after(async () => {
  assert.deepEqual(await verify(server.core), [])
  await server.close()
})

describe('enable_ndp_proxy', () => {
  test('needs a gateway with IPv6 in an address scope', async () => {
    const reason = { router: { enable_ndp_proxy: true } }
    refused(await owner.post('routers', reason), 'RouterGatewayNotValid', /not contain external gateway information/)
    const plain = await network(admin, null, { 'router:external': true }, '2001:db8:9::/64')
    const unscoped = { external_gateway_info: { network_id: plain['id'] }, enable_ndp_proxy: true }
    refused(await owner.post('routers', { router: unscoped }), 'RouterGatewayNotValid', /no IPv6 address scope/)
    const router = await owner.make('router', {})
    assert.equal(router['enable_ndp_proxy'], false)
    refused(await change(router, { enable_ndp_proxy: true }), 'RouterGatewayNotValid')
    refused(await change(router, unscoped), 'RouterGatewayNotValid')
    assert.equal(answered(await change(router, outside()), 200).router.enable_ndp_proxy, false)
    assert.equal(answered(await change(router, { enable_ndp_proxy: true }), 200).router.enable_ndp_proxy, true)
    assert.equal(answered(await change(router, { name: 'n' }), 200).router.enable_ndp_proxy, true)
    const both = { external_gateway_info: null, enable_ndp_proxy: true }
    refused(await change(router, both), 'RouterGatewayNotValid')
    const unset = answered(await change(router, { external_gateway_info: {} }), 200).router
    assert.equal(unset.enable_ndp_proxy, false)
    const found = answered(await owner.get(`routers?enable_ndp_proxy=true&id=${router['id']}`), 200).routers
    assert.deepEqual(found, [])
  })

  test('keeps an IPv6 address on the gateway', async () => {
    const four = await admin.make('subnet', { network_id: external['id'], ip_version: 4, cidr: '203.0.113.0/24' })
    const router = await admin.make('router', { ...outside(), enable_ndp_proxy: true })
    const only = { ...outside({ external_fixed_ips: [{ subnet_id: four['id'] }] }) }
    refused(await admin.put(`routers/${router['id']}`, { router: only }), 'RouterIPv6GatewayInUse')
    answered(await admin.put(`routers/${router['id']}`, { router: { enable_ndp_proxy: false } }), 200)
    answered(await admin.put(`routers/${router['id']}`, { router: only }), 200)
    answered(await admin.delete(`routers/${router['id']}`), 204)
    answered(await admin.delete(`subnets/${four['id']}`), 204)
  })
})

describe('an NDP proxy', () => {
  test('is for an address of a port behind the router', async () => {
    const router = await proxying()
    await connect(owner, router['id'], { subnet_id: internal['subnet'].id })
    const port = await owner.make('port', { network_id: internal['id'] })
    const made = answered(await proxy(router, port, { name: 'a', description: 'd' }), 201).ndp_proxy
    assert.deepEqual(
      [made.router_id, made.port_id, made.ip_address, made.name, made.description, made.project_id],
      [router['id'], port['id'], port['fixed_ips'][0].ip_address, 'a', 'd', 'p1'],
    )
    assert.ok(!('interface_port_id' in made) && !('subnet_id' in made))
    refused(await proxy(router, port), 'NeutronDbObjectDuplicateEntry')
    const put = await owner.put(`ndp_proxies/${made.id}`, { ndp_proxy: { name: 'b' } })
    assert.deepEqual(answered(put, 200).ndp_proxy.name, 'b')
    refused(await owner.put(`ndp_proxies/${made.id}`, { ndp_proxy: { ip_address: null } }), 'HTTPBadRequest')
    refused(await server.as('p2').get(`ndp_proxies/${made.id}`), 'NDPProxyNotFound')
    assert.deepEqual(answered(await owner.get('ndp_proxies?name=b'), 200).ndp_proxies.length, 1)

    refused(await change(router, { external_gateway_info: null }), 'RouterGatewayInUseByNDPProxy')
    const subnet_id = internal['subnet'].id
    const off = await owner.put(`routers/${router['id']}/remove_router_interface`, { subnet_id })
    refused(off, 'RouterInterfaceInUseByNDPProxy', /Unable to remove subnet/)
    answered(await owner.delete(`ndp_proxies/${made.id}`), 204)
    await disconnect(owner, router['id'], { subnet_id })
    assert.equal(answered(await change(router, { external_gateway_info: null }), 200).router.enable_ndp_proxy, false)
  })

  test('goes with its address', async () => {
    const router = await proxying()
    const subnet_id = internal['subnet'].id
    await connect(owner, router['id'], { subnet_id })
    const port = await owner.make('port', { network_id: internal['id'], fixed_ips: [{ subnet_id }, { subnet_id }] })
    const [first, second] = port['fixed_ips']
    const ids = []
    for (const { ip_address } of [first, second])
      ids.push(answered(await proxy(router, port, { ip_address }), 201).ndp_proxy.id)
    answered(await owner.put(`ports/${port['id']}`, { port: { fixed_ips: [second] } }), 200)
    refused(await owner.get(`ndp_proxies/${ids[0]}`), 'NDPProxyNotFound')
    answered(await owner.get(`ndp_proxies/${ids[1]}`), 200)
    answered(await owner.delete(`ports/${port['id']}`), 204)
    refused(await owner.get(`ndp_proxies/${ids[1]}`), 'NDPProxyNotFound')
    await disconnect(owner, router['id'], { subnet_id })
    answered(await owner.delete(`routers/${router['id']}`), 204)
  })

  test('is refused where the router would not answer, or the packets not pass', async () => {
    const router = await proxying()
    const subnet_id = internal['subnet'].id
    const port = await owner.make('port', { network_id: internal['id'] })
    refused(await proxy(router, port), 'PortUnreachableRouter')
    await connect(owner, router['id'], { subnet_id })
    refused(await proxy(router, port, { ip_address: '2001:db8::ffff' }), 'InvalidAddress', /not belong to the port/)
    answered(await change(router, { enable_ndp_proxy: false }), 200)
    refused(await proxy(router, port), 'RouterNDPProxyNotEnable')
    answered(await change(router, { enable_ndp_proxy: true }), 200)
    const none = await owner.make('port', { network_id: internal['id'], fixed_ips: [] })
    refused(await proxy(router, none), 'BadRequest', /must allocate one IPv6 address/)

    const second = await owner.make('subnet', { network_id: internal['id'], ip_version: 6, subnetpool_id: pool['id'] })
    const aside = await owner.make('port', { network_id: internal['id'], fixed_ips: [{ subnet_id: second['id'] }] })
    refused(await proxy(router, aside), 'PortUnreachableRouter')
    const ip_address = aside['fixed_ips'][0].ip_address
    refused(await proxy(router, aside, { ip_address }), 'InvalidAddress', /cannot reach the router/)

    const strange = await network(owner, await scopedPool('2001:db8:77::/48'))
    await connect(owner, router['id'], { subnet_id: strange['subnet'].id })
    const beyond = await owner.make('port', { network_id: strange['id'] })
    refused(await proxy(router, beyond), 'AddressScopeConflict')
  })

  test('and its gateway do not miss each other', async () => {
    const far = await network(owner, pool)
    for (let round = 0; round < 5; round++) {
      const router = await proxying()
      await connect(owner, router['id'], { subnet_id: far['subnet'].id })
      const port = await owner.make('port', { network_id: far['id'] })
      const [made, unset] = await Promise.all([proxy(router, port), change(router, { external_gateway_info: null })])
      assert.deepEqual([made.status, unset.status].sort(), made.status === 201 ? [201, 409] : [200, 409])
      answered(await owner.delete(`ports/${port['id']}`), 204)
      await disconnect(owner, router['id'], { subnet_id: far['subnet'].id })
    }
  })
})
