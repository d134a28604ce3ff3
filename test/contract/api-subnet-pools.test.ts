/** Subnet pools: what they hold, what subnets get from them, and who else may have it. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { formatPrefix, parsePrefix, type Prefix, prefixesOverlap } from '#kernel/ip.ts'
import { compact, subtract } from '#kernel/prefixes.ts'
import { answered, refused } from '../lib/refused.ts'
import { type Client, type TestServer, testServer } from '../lib/server.ts'
import { verify } from '../lib/verify.ts'

type Item = Record<string, any>

let server: TestServer
let owner: Client

before(async () => {
  server = await testServer({ settings: { quotaNetwork: -1, quotaSubnet: -1, quotaPort: -1 } })
  owner = server.as('p1')
})
after(async () => {
  assert.deepEqual(await verify(server.core), [])
  await server.close()
})

const makePool = (values: Item, client = owner): Promise<Item> => client.make('subnetpool', { name: 'pool', ...values })

const attempt = async (pool: Item, values: Item = {}, client = owner, network?: Item) => {
  const on = network ?? (await client.make('network', {}))
  const body = { network_id: on['id'], ip_version: pool['ip_version'], subnetpool_id: pool['id'], enable_dhcp: false }
  return client.post('subnets', { subnet: { ...body, ...values } })
}

const cut = async (pool: Item, values: Item = {}, client = owner): Promise<Item> =>
  answered(await attempt(pool, values, client), 201).subnet

const parsed = (texts: readonly string[]): Prefix[] => texts.map((one) => parsePrefix(one) as Prefix)

/** What the database says is free in the pool, in order. */
const freeOf = async (pool: Item): Promise<string[]> => {
  const rows = await server.database.query<{ block: string }>(
    'select text(block) as block from subnetpool_free_blocks where subnetpool_id = $1 order by host(block)::inet',
    [pool['id']],
  )
  return rows.map((row) => row.block)
}

describe('a pool', () => {
  test('joins its prefixes and says its bounds as text', async () => {
    const pool = await makePool({ prefixes: ['10.1.0.0/24', '10.0.0.0/24', '10.0.1.7/24', '10.0.0.128/25'] })
    assert.deepEqual(pool['prefixes'], ['10.0.0.0/23', '10.1.0.0/24'])
    const { ip_version, min_prefixlen, max_prefixlen, default_prefixlen, default_quota, is_default, shared } = pool
    assert.deepEqual(
      [ip_version, min_prefixlen, max_prefixlen, default_prefixlen, default_quota, is_default, shared],
      [4, '8', '32', '8', null, false, false],
    )
    const six = await makePool({ prefixes: ['fd00:1::/48'], default_prefixlen: 80 })
    assert.deepEqual([six['ip_version'], six['min_prefixlen'], six['max_prefixlen']], [6, '64', '128'])
  })
  test('needs prefixes of one version and bounds in order', async () => {
    const tried = (values: Item) => owner.post('subnetpools', { subnetpool: { name: 'x', ...values } })
    const prefixes = ['10.0.0.0/8']
    refused(await tried({ prefixes: [] }), 'EmptySubnetPoolPrefixList')
    refused(await tried({ prefixes: ['10.0.0.0/8', 'fd00::/48'] }), 'PrefixVersionMismatch')
    refused(await tried({ prefixes: ['ten'] }), 'HTTPBadRequest')
    refused(await tried({ prefixes, min_prefixlen: 24, max_prefixlen: 16 }), 'IllegalSubnetPoolPrefixBounds')
    refused(await tried({ prefixes, max_prefixlen: 33 }), 'IllegalSubnetPoolPrefixBounds', /ip_version_max=32/)
    refused(
      await tried({ prefixes, min_prefixlen: 16, default_prefixlen: 12 }),
      'IllegalSubnetPoolPrefixBounds',
      'Illegal prefix bounds: default_prefixlen=12, min_prefixlen=16.',
    )
  })
  test('grows by update, shrinks by remove_prefixes, keeps what subnets have', async () => {
    const pool = await makePool({ prefixes: ['10.0.0.0/24'], default_prefixlen: 26 })
    const path = `subnetpools/${pool['id']}`
    refused(
      await owner.put(path, { subnetpool: { prefixes: ['10.0.0.0/25'] } }),
      'IllegalSubnetPoolPrefixUpdate',
      /must be a subset/,
    )
    const grown = answered(await owner.put(path, { subnetpool: { prefixes: ['10.0.0.0/23'] } }), 200)
    assert.deepEqual(grown.subnetpool.prefixes, ['10.0.0.0/23'])
    await cut(pool, { cidr: '10.0.1.0/26' })
    const added = answered(await owner.put(`${path}/add_prefixes`, { prefixes: ['10.0.2.0/24'] }), 200)
    assert.deepEqual(added, { prefixes: ['10.0.0.0/23', '10.0.2.0/24'] })
    const taken = await owner.put(`${path}/remove_prefixes`, { prefixes: ['10.0.1.0/24'] })
    refused(taken, 'IllegalSubnetPoolPrefixUpdate', /in use by a subnet/)
    const less = answered(await owner.put(`${path}/remove_prefixes`, { prefixes: ['10.0.0.0/24', '11.0.0.0/8'] }), 200)
    assert.deepEqual(less, { prefixes: ['10.0.1.0/24', '10.0.2.0/24'] })
    assert.deepEqual(await freeOf(pool), ['10.0.1.64/26', '10.0.1.128/25', '10.0.2.0/24'])
    refused(await owner.put(`${path}/add_prefixes`, { prefixes: [] }), 'HTTPBadRequest', /invalid data/)
    refused(await owner.delete(path), 'SubnetPoolDeleteError', /existing allocations/)
  })
  test('of one version is the default, at most; only an administrator says which', async () => {
    refused(
      await owner.post('subnetpools', { subnetpool: { name: 'd', prefixes: ['10.0.0.0/8'], is_default: true } }),
      'PolicyNotAuthorized',
    )
    const none = { network_id: (await owner.make('network', {}))['id'], ip_version: 4, use_default_subnetpool: true }
    refused(await owner.post('subnets', { subnet: none }), 'BadRequest', /No default subnetpool found for IPv4/)
    const values = { prefixes: ['10.0.0.0/8'], is_default: true, shared: true, default_prefixlen: 24 }
    const pool = await makePool(values, server.admin)
    refused(
      await server.admin.post('subnetpools', { subnetpool: { name: 'e', ...values, prefixes: ['11.0.0.0/8'] } }),
      'InvalidInput',
      /Only one default may exist per IP family/,
    )
    const made = answered(await owner.post('subnets', { subnet: none }), 201).subnet
    assert.deepEqual([made.subnetpool_id, made.cidr, made.gateway_ip], [pool['id'], '10.0.0.0/24', '10.0.0.1'])
  })
})

describe('a subnet from a pool', () => {
  test('by length, by block, by default, within the bounds', async () => {
    const pool = await makePool({
      prefixes: ['10.0.0.0/16'],
      min_prefixlen: 20,
      default_prefixlen: 24,
      max_prefixlen: 28,
    })
    assert.equal((await cut(pool))['cidr'], '10.0.0.0/24')
    assert.equal((await cut(pool, { prefixlen: 28 }))['cidr'], '10.0.1.0/28')
    assert.equal((await cut(pool, { cidr: '10.0.7.0/24' }))['cidr'], '10.0.7.0/24')
    refused(await attempt(pool, { cidr: '10.0.7.0/25' }), 'SubnetAllocationError', /Cannot allocate requested subnet/)
    refused(await attempt(pool, { cidr: '10.9.0.0/24' }), 'SubnetAllocationError')
    refused(await attempt(pool, { prefixlen: 29 }), 'MaxPrefixSubnetAllocationError')
    refused(await attempt(pool, { prefixlen: 19 }), 'MinPrefixSubnetAllocationError')
    refused(await attempt(pool, { prefixlen: 24, cidr: '10.0.8.0/24' }), 'BadRequest', /together/)
    refused(await attempt(pool, { ip_version: 6 }), 'BadRequest', /Cannot allocate IPv6 subnet from IPv4 subnet pool/)
    refused(
      await attempt(pool, { allocation_pools: [{ start: '10.0.0.2', end: '10.0.0.3' }] }),
      'BadRequest',
      /only for specific subnet requests/,
    )
    refused(await attempt(pool, { subnetpool_id: 'prefix_delegation' }), 'HTTPBadRequest', /prefix delegation/)
    refused(await attempt(pool, {}, server.as('p2')), 'SubnetPoolNotFound')
  })
  test('comes out of the smallest block that fits, and the last one is refused', async () => {
    const pool = await makePool({ prefixes: ['10.0.0.0/24', '10.2.0.0/26'], default_prefixlen: 26 })
    assert.equal((await cut(pool))['cidr'], '10.2.0.0/26')
    assert.equal((await cut(pool, { prefixlen: 25 }))['cidr'], '10.0.0.0/25')
    assert.equal((await cut(pool))['cidr'], '10.0.0.128/26')
    refused(await attempt(pool, { prefixlen: 25 }), 'SubnetAllocationError', /Insufficient prefix space .* size \/25/)
    assert.equal((await cut(pool))['cidr'], '10.0.0.192/26')
    refused(await attempt(pool), 'SubnetAllocationError')
  })
  test('is never the whole address space', async () => {
    const pool = await makePool({ prefixes: ['0.0.0.0/0'], min_prefixlen: 0 })
    refused(await attempt(pool), 'InvalidInput', /0 is not allowed as CIDR prefix length/)
    assert.equal((await cut(pool, { prefixlen: 1 }))['cidr'], '0.0.0.0/1')
    const six = await makePool({ prefixes: ['::/0'], min_prefixlen: 0 })
    assert.equal((await cut(six, { prefixlen: 128 }))['cidr'], '::/128')
    assert.equal((await freeOf(six)).length, 128)
  })
  test('counts against the project’s quota of the pool', async () => {
    const pool = await makePool(
      { prefixes: ['10.0.0.0/16'], default_prefixlen: 24, default_quota: 512, shared: true },
      server.admin,
    )
    await cut(pool)
    await cut(pool)
    refused(await attempt(pool, { prefixlen: 32 }), 'SubnetPoolQuotaExceeded')
    await cut(pool, {}, server.as('p2'))
    const networks = [await owner.make('network', {}), await owner.make('network', {})]
    const six = await makePool({ prefixes: ['fd00::/48'], default_prefixlen: 64, default_quota: 1 })
    const bulk = networks.map(({ id }) => ({ network_id: id, ip_version: 6, subnetpool_id: six['id'] }))
    refused(await owner.post('subnets', { subnets: bulk }), 'SubnetPoolQuotaExceeded')
  })
  test('sixteen at once: every block once, and the rest told that there is none', async () => {
    const pool = await makePool({ prefixes: ['10.0.0.0/24'], default_prefixlen: 27 })
    const networks = await Promise.all(Array.from({ length: 16 }, () => owner.make('network', {})))
    const replies = await Promise.all(networks.map((network) => attempt(pool, {}, owner, network)))
    const made = replies.filter((one) => one.status === 201).map((one) => one.body.subnet.cidr)
    assert.equal(new Set(made).size, 8)
    for (const reply of replies.filter((one) => one.status !== 201)) refused(reply, 'SubnetAllocationError')
    assert.deepEqual(await freeOf(pool), [])
  })
  test('whatever is taken and given back, free and taken together are the pool, in as few blocks as can be', async () => {
    const prefixes = ['10.0.0.0/22', '10.8.0.0/24']
    const step = fc.oneof(
      fc.record({ take: fc.integer({ min: 24, max: 30 }) }),
      fc.record({ block: fc.integer({ min: 0, max: 15 }), length: fc.integer({ min: 24, max: 27 }) }),
      fc.record({ give: fc.nat(20) }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 15 }), async (steps) => {
        const pool = await makePool({ prefixes, max_prefixlen: 30 })
        const network = await owner.make('network', {})
        const held: Item[] = []
        for (const one of steps) {
          if ('give' in one) {
            const [gone] = held.splice(one.give % Math.max(held.length, 1), 1)
            if (gone) answered(await owner.delete(`subnets/${gone['id']}`), 204)
            continue
          }
          const wish =
            'take' in one
              ? { prefixlen: one.take }
              : { cidr: `10.0.${one.block % 4}.${(one.block >> 2) * 64}/${one.length}` }
          const reply = await attempt(pool, wish, owner, network)
          if (reply.status === 201) held.push(reply.body.subnet)
          else refused(reply, 'SubnetAllocationError')
        }
        const taken = parsed(held.map((one) => one['cidr']))
        assert.ok(taken.every((one, index) => taken.slice(index + 1).every((other) => !prefixesOverlap(one, other))))
        assert.deepEqual(await freeOf(pool), subtract(compact(parsed(prefixes)), taken).map(formatPrefix))
      }),
      { numRuns: 8 },
    )
  })
})

describe('onboarding', () => {
  test('takes a network’s subnets of its version into the pool, from another pool too', async () => {
    const network = await owner.make('network', {})
    const on = { network_id: network['id'], enable_dhcp: false }
    const first = await owner.make('subnet', { ...on, cidr: '10.5.0.0/24', ip_version: 4 })
    await owner.make('subnet', { ...on, cidr: 'fd00:5::/64', ip_version: 6 })
    const pool = await makePool({ prefixes: ['10.6.0.0/24'] })
    const path = `subnetpools/${pool['id']}/onboard_network_subnets`
    assert.deepEqual(answered(await owner.put(path, { network_id: network['id'] }), 200), [
      { id: first['id'], cidr: '10.5.0.0/24' },
    ])
    const shown = answered(await owner.get(`subnetpools/${pool['id']}`), 200).subnetpool
    assert.deepEqual(shown.prefixes, ['10.5.0.0/24', '10.6.0.0/24'])
    assert.deepEqual(await freeOf(pool), ['10.6.0.0/24'])
    refused(await owner.put(path, { network_id: network['id'] }), 'IllegalSubnetPoolUpdate', /conflicts with allocated/)
    const other = await makePool({ prefixes: ['10.7.0.0/24'] })
    answered(await owner.put(`subnetpools/${other['id']}/onboard_network_subnets`, { network_id: network['id'] }), 200)
    assert.deepEqual(await freeOf(pool), ['10.5.0.0/24', '10.6.0.0/24'])
  })
  test('not of a network that is another’s, or not to be seen', async () => {
    const stranger = server.as('p2')
    const theirs = await makePool({ prefixes: ['10.6.0.0/24'] }, stranger)
    const path = `subnetpools/${theirs['id']}/onboard_network_subnets`
    const hidden = await owner.make('network', {})
    const seen = await server.admin.make('network', { shared: true })
    refused(await stranger.put(path, { network_id: hidden['id'] }), 'NetworkNotFound')
    refused(await stranger.put(path, { network_id: seen['id'] }), 'PolicyNotAuthorized')
  })
})
