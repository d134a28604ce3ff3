/** Address scopes: addresses once per scope, one scope per network and IP version; and how full networks are. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { answered, refused } from '../lib/refused.ts'
import { type Client, type TestServer, testServer } from '../lib/server.ts'
import { verify } from '../lib/verify.ts'

type Item = Record<string, any>

let server: TestServer
let owner: Client

before(async () => {
  server = await testServer({ settings: { quotaNetwork: -1, quotaSubnet: -1 } })
  owner = server.as('p1')
})
after(async () => {
  assert.deepEqual(await verify(server.core), [])
  await server.close()
})

const makeScope = (values: Item = {}, client = owner): Promise<Item> =>
  client.make('address_scope', { name: 's', ip_version: 4, ...values })
const poolIn = (scope: Item | null, prefix: string, client = owner) =>
  client.post('subnetpools', {
    subnetpool: { name: 'p', prefixes: [prefix], default_prefixlen: 28, address_scope_id: scope?.['id'] ?? null },
  })
const makePool = async (scope: Item | null, prefix: string): Promise<Item> =>
  answered(await poolIn(scope, prefix), 201).subnetpool
const put = (pool: Item, values: Item, client = owner) =>
  client.put(`subnetpools/${pool['id']}`, { subnetpool: values })
const cut = (network: Item, pool: Item | null, values: Item = {}) =>
  owner.post('subnets', {
    subnet: { network_id: network['id'], ip_version: 4, subnetpool_id: pool?.['id'] ?? null, ...values },
  })

describe('a scope', () => {
  test('has Neutron’s attributes and no others', async () => {
    const scope = await makeScope()
    assert.deepEqual(Object.keys(scope).sort(), ['id', 'ip_version', 'name', 'project_id', 'shared', 'tenant_id'])
    refused(await owner.put(`address-scopes/${scope['id']}`, { address_scope: { ip_version: 6 } }), 'HTTPBadRequest')
    const renamed = await owner.put(`address-scopes/${scope['id']}`, { address_scope: { name: 'new' } })
    assert.equal(answered(renamed, 200).address_scope.name, 'new')
    answered(await owner.delete(`address-scopes/${scope['id']}`), 204)
    refused(await owner.get(`address-scopes/${scope['id']}`), 'AddressScopeNotFound')
  })
  test('once shared stays shared; only an administrator shares', async () => {
    refused(
      await owner.post('address-scopes', { address_scope: { ip_version: 4, shared: true } }),
      'PolicyNotAuthorized',
    )
    const scope = await makeScope({ shared: true }, server.admin)
    assert.equal(answered(await owner.get(`address-scopes/${scope['id']}`), 200).address_scope.shared, true)
    const unshared = { address_scope: { shared: false } }
    refused(await server.admin.put(`address-scopes/${scope['id']}`, unshared), 'AddressScopeUpdateError')
  })
  test('has every address once, whoever is first', async () => {
    const scope = await makeScope()
    const replies = await Promise.all(['10.0.0.0/16', '10.0.1.0/24', '10.0.0.0/15'].map((one) => poolIn(scope, one)))
    assert.equal(replies.filter((one) => one.status === 201).length, 1)
    for (const reply of replies.filter((one) => one.status !== 201)) refused(reply, 'AddressScopePrefixConflict')
    const other = await makePool(null, '10.0.0.0/16')
    refused(await put(other, { address_scope_id: scope['id'] }), 'AddressScopePrefixConflict')
    refused(await owner.delete(`address-scopes/${scope['id']}`), 'AddressScopeInUse')
  })
  test('is of one IP version, and must be there for who puts a pool into it', async () => {
    const six = await makeScope({ ip_version: 6 })
    refused(await poolIn(six, '10.0.0.0/16'), 'IllegalSubnetPoolIpVersionAssociationToAddressScope', /is not 6/)
    refused(await poolIn(six, 'fd00::/56', server.as('p2')), 'AddressScopeNotFound')
    const shared = await makeScope({ shared: true }, server.admin)
    const pool = await makePool(shared, '10.0.0.0/16')
    refused(await put(pool, { name: 'other' }), 'IllegalSubnetPoolUpdate', /shared address scope/)
    answered(await put(pool, { name: 'other' }, server.admin), 200)
  })
})

describe('a network', () => {
  const scopeOf = async ({ id }: Item): Promise<string | null> =>
    answered(await owner.get(`networks/${id}`), 200).network.ipv4_address_scope

  test('has the scope of its subnets, and only subnets of it', async () => {
    const [scope, other] = [await makeScope(), await makeScope()]
    const [a, b] = [await makePool(scope, '10.0.0.0/16'), await makePool(scope, '10.1.0.0/16')]
    const [strange, free] = [await makePool(other, '10.2.0.0/16'), await makePool(null, '10.3.0.0/16')]
    const network = await owner.make('network', {})
    assert.equal(await scopeOf(network), null)
    answered(await cut(network, a), 201)
    answered(await cut(network, b), 201)
    assert.equal(await scopeOf(network), scope['id'])
    refused(await cut(network, strange), 'NetworkAddressScopeAffinityError')
    refused(await cut(network, free), 'NetworkAddressScopeAffinityError')
    refused(await cut(network, null, { cidr: '10.9.0.0/24' }), 'NetworkSubnetPoolAffinityError')
    answered(await cut(network, null, { cidr: 'fd00::/64', ip_version: 6 }), 201)
    refused(await put(a, { address_scope_id: other['id'] }), 'NetworkAddressScopeAffinityError')
  })
  test('without a scope has subnets of one pool, or of none', async () => {
    const [a, b] = [await makePool(null, '10.0.0.0/16'), await makePool(null, '10.1.0.0/16')]
    const network = await owner.make('network', {})
    answered(await cut(network, a), 201)
    refused(await cut(network, b), 'NetworkSubnetPoolAffinityError')
    refused(await cut(network, null, { cidr: '10.9.0.0/24' }), 'NetworkSubnetPoolAffinityError')
    const plain = await owner.make('network', {})
    answered(await cut(plain, null, { cidr: '10.9.0.0/24' }), 201)
    refused(await cut(plain, a), 'NetworkSubnetPoolAffinityError')
    const together = [a, b].map((pool) => ({ network_id: plain['id'], ip_version: 4, subnetpool_id: pool['id'] }))
    refused(await owner.post('subnets', { subnets: together }), 'NetworkSubnetPoolAffinityError')
  })
  test('changes scope with the pool of all its subnets, and the change log says so', async () => {
    const [scope, pool] = [await makeScope(), await makePool(null, '10.0.0.0/16')]
    const network = await owner.make('network', {})
    answered(await cut(network, pool), 201)
    answered(await put(pool, { address_scope_id: scope['id'] }), 200)
    assert.equal(await scopeOf(network), scope['id'])
    const [last] = await server.database.query<{ after: Item }>(
      "select after from change where kind = 'network' and id = $1 order by generation desc limit 1",
      [network['id']],
    )
    assert.equal(last?.after['ipv4_address_scope'], scope['id'])
    answered(await put(pool, { address_scope_id: null }), 200)
    assert.equal(await scopeOf(network), null)
  })
})

describe('availability', () => {
  const numbers = async (query: string): Promise<string> => {
    const reply = await server.admin.get(`network-ip-availabilities${query}`)
    // As text: JSON.parse would round them.
    return answered(reply, 200) && reply.text
  }
  test('counts pools and holders, exactly, of all subnets or of one IP version', async () => {
    const network = await owner.make('network', { name: 'counted' })
    const on = { network_id: network['id'], enable_dhcp: false }
    assert.match(
      await numbers(`?network_id=${network['id']}`),
      /"total_ips":0,"used_ips":0,"subnet_ip_availability":\[\]/,
    )
    await owner.make('subnet', { ...on, cidr: '10.0.0.0/24', ip_version: 4 })
    await owner.make('subnet', { ...on, cidr: 'fd00::/64', ip_version: 6 })
    await owner.make('port', { network_id: network['id'] })
    assert.match(await numbers('?network_name=counted'), /"total_ips":18446744073709551868,"used_ips":2/)
    assert.match(await numbers('?network_name=counted&ip_version=4'), /"total_ips":253,"used_ips":1/)
    assert.match(await numbers('?network_name=counted&ip_version=6'), /"total_ips":18446744073709551615,"used_ips":1/)
    const one = answered(await server.admin.get(`network-ip-availabilities/${network['id']}`), 200)
    const { subnet_ip_availability, network_id, tenant_id } = one.network_ip_availability
    assert.deepEqual([subnet_ip_availability.length, network_id, tenant_id], [2, network['id'], 'p1'])
    assert.deepEqual(Object.keys(subnet_ip_availability[0]).sort(), [
      'cidr',
      'ip_version',
      'subnet_id',
      'subnet_name',
      'total_ips',
      'used_ips',
    ])
  })
  test('counts what the pools hold, of any subnet', async () => {
    const network = await owner.make('network', {})
    const [start, end] = ['10.0.0.10', '10.0.0.19']
    const values = { cidr: '10.0.0.0/24', ip_version: 4, allocation_pools: [{ start, end }] }
    await owner.make('subnet', { network_id: network['id'], ...values })
    assert.match(await numbers(`?network_id=${network['id']}`), /"total_ips":10,"used_ips":1/)
  })
  test('is for administrators', async () => {
    const network = await owner.make('network', {})
    assert.deepEqual(answered(await owner.get('network-ip-availabilities'), 200).network_ip_availabilities, [])
    refused(await owner.get(`network-ip-availabilities/${network['id']}`), 'NetworkNotFound')
  })
})
