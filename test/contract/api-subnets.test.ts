/** Subnets and the addresses of ports: gateways and pools of any prefix, IPv6 modes, what is in use. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { formatIp, type IpVersion, parseIp, parsePrefix, rangeOf } from '#kernel/ip.ts'
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

const subnetOf = async (values: Item): Promise<Item> => {
  const network = await owner.make('network', {})
  return owner.make('subnet', {
    network_id: network['id'],
    ip_version: values['cidr'].includes(':') ? 6 : 4,
    ...values,
  })
}

describe('gateway and pools by default', () => {
  const pools = (...all: [string, string][]) => all.map(([start, end]) => ({ start, end }))
  const cases: [string, string | null, object[]][] = [
    ['10.0.0.0/8', '10.0.0.1', pools(['10.0.0.2', '10.255.255.254'])],
    ['10.0.0.0/16', '10.0.0.1', pools(['10.0.0.2', '10.0.255.254'])],
    ['10.0.0.0/24', '10.0.0.1', pools(['10.0.0.2', '10.0.0.254'])],
    ['10.0.0.128/25', '10.0.0.129', pools(['10.0.0.130', '10.0.0.254'])],
    ['10.0.0.8/29', '10.0.0.9', pools(['10.0.0.10', '10.0.0.14'])],
    ['10.0.0.8/30', '10.0.0.9', pools(['10.0.0.10', '10.0.0.10'])],
    ['2001:db8::/32', '2001:db8::', pools(['2001:db8::1', '2001:db8:ffff:ffff:ffff:ffff:ffff:ffff'])],
    ['2001:db8::/64', '2001:db8::', pools(['2001:db8::1', '2001:db8::ffff:ffff:ffff:ffff'])],
    ['2001:db8::/126', '2001:db8::', pools(['2001:db8::1', '2001:db8::3'])],
    ['10.0.0.8/31', '10.0.0.9', pools(['10.0.0.8', '10.0.0.8'])],
    ['2001:db8::/127', '2001:db8::', pools(['2001:db8::1', '2001:db8::1'])],
    // The next two differ from Neutron's: docs/deviations.md says why.
    ['10.0.0.8/32', null, pools(['10.0.0.8', '10.0.0.8'])],
    ['2001:db8::/128', null, pools(['2001:db8::', '2001:db8::'])],
  ]
  for (const [cidr, gateway, expected] of cases) {
    test(cidr, async () => {
      const made = await subnetOf({ cidr, enable_dhcp: false })
      assert.deepEqual([made['gateway_ip'], made['allocation_pools']], [gateway, expected])
    })
  }
  test('a gateway of one’s own splits the pool; without one nothing does', async () => {
    const split = await subnetOf({ cidr: '10.0.0.0/24', gateway_ip: '10.0.0.100' })
    assert.deepEqual(split['allocation_pools'], pools(['10.0.0.1', '10.0.0.99'], ['10.0.0.101', '10.0.0.254']))
    const none = await subnetOf({ cidr: '10.0.0.0/24', gateway_ip: null })
    assert.deepEqual([none['gateway_ip'], none['allocation_pools']], [null, pools(['10.0.0.1', '10.0.0.254'])])
    const last = await subnetOf({ cidr: '10.0.0.0/24', gateway_ip: '10.0.0.254' })
    assert.deepEqual(last['allocation_pools'], pools(['10.0.0.1', '10.0.0.253']))
    const outside = await subnetOf({ cidr: '10.0.0.0/24', gateway_ip: '192.0.2.1' })
    assert.deepEqual(outside['allocation_pools'], pools(['10.0.0.1', '10.0.0.254']))
  })
  test('of any prefix, the pools are its hosts without the gateway', async () => {
    const prefix = fc.oneof(
      fc.record({
        version: fc.constant(4 as IpVersion),
        value: fc.bigInt(2n ** 24n, 2n ** 32n - 1n),
        length: fc.integer({ min: 8, max: 30 }),
      }),
      fc.record({
        version: fc.constant(6 as IpVersion),
        value: fc.bigInt(2n ** 125n, 2n ** 126n - 1n),
        length: fc.integer({ min: 16, max: 126 }),
      }),
    )
    await fc.assert(
      fc.asyncProperty(prefix, async (given) => {
        const { first, last } = rangeOf(given)
        const cidr = `${formatIp({ version: given.version, value: first })}/${given.length}`
        const made = await subnetOf({ cidr, enable_dhcp: false })
        const block = parsePrefix(made['cidr'])
        assert.deepEqual(block && rangeOf(block), { first, last })
        const hosts = { first: first + 1n, last: given.version === 4 ? last - 1n : last }
        const gateway = given.version === 4 ? hosts.first : first
        assert.equal(parseIp(made['gateway_ip'])?.value, gateway)
        assert.deepEqual(
          made['allocation_pools'].map((pool: Item) => [parseIp(pool['start'])?.value, parseIp(pool['end'])?.value]),
          [[gateway + 1n, hosts.last]],
        )
      }),
      { numRuns: 25 },
    )
  })
})

describe('IPv6 modes', () => {
  const modes = ['slaac', 'dhcpv6-stateless', 'dhcpv6-stateful'] as const
  const wish = (cidr: string, ra: string | null, address: string | null, more: object = {}) => ({
    cidr,
    ip_version: cidr.includes(':') ? 6 : 4,
    ...(ra && { ipv6_ra_mode: ra }),
    ...(address && { ipv6_address_mode: address }),
    ...more,
  })
  const attempt = async (values: object) => {
    const network = await owner.make('network', {})
    return owner.post('subnets', { subnet: { network_id: network['id'], ...values } })
  }

  test('both the same, or one of them', async () => {
    for (const ra of [null, ...modes])
      for (const address of [null, ...modes]) {
        const reply = await attempt(wish('2001:db8::/64', ra, address))
        if (ra && address && ra !== address) refused(reply, 'InvalidInput', /must be the same value/)
        else
          assert.deepEqual(
            [answered(reply, 201).subnet.ipv6_ra_mode, reply.body.subnet.ipv6_address_mode],
            [ra, address],
          )
      }
  })
  test('not for IPv4, not without DHCP, automatic addresses only in a /64', async () => {
    refused(await attempt(wish('10.0.0.0/24', 'slaac', null)), 'InvalidInput', /is not valid when ip_version is 4/)
    refused(
      await attempt(wish('2001:db8::/64', 'slaac', 'slaac', { enable_dhcp: false })),
      'InvalidInput',
      /enable_dhcp is set to False/,
    )
    refused(await attempt(wish('2001:db8::/80', 'slaac', 'slaac')), 'InvalidInput', /requires the prefix to be \/64/)
    answered(await attempt(wish('2001:db8::/80', 'dhcpv6-stateful', 'dhcpv6-stateful')), 201)
    refused(await attempt(wish('2001:db8::/64', 'router', null)), 'HTTPBadRequest')
  })
  test('an automatic address follows from the MAC and cannot be chosen', async () => {
    const network = await owner.make('network', {})
    const subnet = await owner.make('subnet', { network_id: network['id'], ...wish('2001:db8::/64', 'slaac', 'slaac') })
    const port = await owner.make('port', { network_id: network['id'], mac_address: 'fa:16:3e:12:34:56' })
    assert.deepEqual(port['fixed_ips'], [{ subnet_id: subnet['id'], ip_address: '2001:db8::f816:3eff:fe12:3456' }])
    const chosen = { network_id: network['id'], fixed_ips: [{ subnet_id: subnet['id'], ip_address: '2001:db8::77' }] }
    refused(await owner.post('ports', { port: chosen }), 'AllocationOnAutoAddressSubnet')
    const named = await owner.make('port', { network_id: network['id'], fixed_ips: [{ subnet_id: subnet['id'] }] })
    assert.match(named['fixed_ips'][0].ip_address, /^2001:db8::f816:3eff:fe/)
  })
})

describe('addresses of ports', () => {
  test('one of each version by default, all automatic ones besides', async () => {
    const network = await owner.make('network', {})
    const on = { network_id: network['id'] }
    for (const cidr of ['10.0.0.0/24', '10.1.0.0/24', '2001:db8:1::/64', '2001:db8:2::/64'])
      await owner.make('subnet', { ...on, cidr, ip_version: cidr.includes(':') ? 6 : 4, enable_dhcp: false })
    await owner.make('subnet', {
      ...on,
      cidr: '2001:db8:3::/64',
      ip_version: 6,
      ipv6_address_mode: 'slaac',
      ipv6_ra_mode: 'slaac',
    })
    const port = await owner.make('port', on)
    const blocks = port['fixed_ips'].map((one: Item) => String(one['ip_address']).split(/[.:]/)[0])
    assert.deepEqual(blocks.sort(), ['10', '2001', '2001'])
    assert.ok(port['fixed_ips'].some((one: Item) => String(one['ip_address']).startsWith('2001:db8:3:')))
  })
  test('none when none are asked for, or there are none', async () => {
    const network = await owner.make('network', {})
    assert.deepEqual((await owner.make('port', { network_id: network['id'] }))['fixed_ips'], [])
    await owner.make('subnet', { network_id: network['id'], cidr: '10.0.0.0/24', ip_version: 4 })
    assert.deepEqual((await owner.make('port', { network_id: network['id'], fixed_ips: [] }))['fixed_ips'], [])
  })
  test('an update keeps, adds and gives back', async () => {
    const subnet = await subnetOf({ cidr: '10.0.0.0/24', enable_dhcp: false })
    const port = await owner.make('port', {
      network_id: subnet['network_id'],
      fixed_ips: [{ ip_address: '10.0.0.10' }, { ip_address: '10.0.0.11' }],
    })
    const put = async (fixed_ips: object[]) =>
      answered(await owner.put(`ports/${port['id']}`, { port: { fixed_ips } }), 200).port
    const addresses = (one: Item): string[] => one['fixed_ips'].map((ip: Item) => ip['ip_address']).sort()
    assert.deepEqual(addresses(await put([{ ip_address: '10.0.0.11' }, { ip_address: '10.0.0.12' }])), [
      '10.0.0.11',
      '10.0.0.12',
    ])
    await owner.make('port', { network_id: subnet['network_id'], fixed_ips: [{ ip_address: '10.0.0.10' }] })
    refused(
      await owner.put(`ports/${port['id']}`, { port: { fixed_ips: [{ ip_address: '10.0.0.10' }] } }),
      'IpAddressAlreadyAllocated',
    )
    assert.deepEqual(addresses(await put([])), [])
  })
  test('64 at once get an address each, and the last gets none', async () => {
    const subnet = await subnetOf({
      cidr: '10.0.0.0/24',
      enable_dhcp: false,
      allocation_pools: [{ start: '10.0.0.10', end: '10.0.0.72' }],
    })
    const replies = await Promise.all(
      Array.from({ length: 64 }, () => owner.post('ports', { port: { network_id: subnet['network_id'] } })),
    )
    const made = replies.filter((one) => one.status === 201).map((one) => one.body.port.fixed_ips[0].ip_address)
    assert.deepEqual([made.length, new Set(made).size], [63, 63])
    refused(replies.find((one) => one.status !== 201) as never, 'IpAddressGenerationFailure')
  })
  test('a pool that shrinks or grows keeps what is held', async () => {
    const subnet = await subnetOf({
      cidr: '10.0.0.0/24',
      enable_dhcp: false,
      allocation_pools: [{ start: '10.0.0.10', end: '10.0.0.12' }],
    })
    const on = { network_id: subnet['network_id'] }
    await owner.make('port', { ...on, fixed_ips: [{ ip_address: '10.0.0.10' }] })
    await owner.make('port', { ...on, fixed_ips: [{ ip_address: '10.0.0.200' }] })
    const pools = (start: string, end: string) =>
      owner.put(`subnets/${subnet['id']}`, { subnet: { allocation_pools: [{ start, end }] } })
    answered(await pools('10.0.0.11', '10.0.0.11'), 200)
    assert.equal((await owner.make('port', on))['fixed_ips'][0].ip_address, '10.0.0.11')
    refused(await owner.post('ports', { port: on }), 'IpAddressGenerationFailure')
    answered(await pools('10.0.0.199', '10.0.0.201'), 200)
    const two = [await owner.make('port', on), await owner.make('port', on)].map(
      (one) => one['fixed_ips'][0].ip_address,
    )
    assert.deepEqual(two.sort(), ['10.0.0.199', '10.0.0.201'])
  })
  test('the DHCP port has one address in each subnet with DHCP, and goes with the last', async () => {
    const network = await owner.make('network', {})
    const dhcp = async (): Promise<string[][]> =>
      answered(await owner.get(`ports?network_id=${network['id']}&device_owner=network:dhcp`), 200).ports.map(
        (one: Item) => one['fixed_ips'].map((ip: Item) => ip['subnet_id']).sort(),
      )
    assert.deepEqual(await dhcp(), [])
    const make = (cidr: string) => owner.make('subnet', { network_id: network['id'], cidr, ip_version: 4 })
    const [one, two] = [await make('10.0.0.0/24'), await make('10.1.0.0/24')]
    assert.deepEqual(await dhcp(), [[one['id'], two['id']].sort()])
    answered(await owner.put(`subnets/${one['id']}`, { subnet: { enable_dhcp: false } }), 200)
    assert.deepEqual(await dhcp(), [[two['id']]])
    answered(await owner.delete(`subnets/${two['id']}`), 204)
    assert.deepEqual(await dhcp(), [])
  })
  test('several subnets in one request have one DHCP port, with an address in each', async () => {
    const { id: network_id } = await owner.make('network', {})
    const cidrs = ['10.0.0.0/24', '10.1.0.0/24', '2001:db8::/64']
    const many = cidrs.map((cidr) => ({ network_id, cidr, ip_version: cidr.includes(':') ? 6 : 4 }))
    const { subnets } = answered(await owner.post('subnets', { subnets: many }), 201)
    const { ports } = answered(await owner.get(`ports?network_id=${network_id}`), 200)
    assert.equal(ports.length, 1)
    assert.deepEqual(
      ports[0].fixed_ips.map((ip: Item) => ip['subnet_id']).sort(),
      subnets.map((one: Item) => one['id']).sort(),
    )
  })
  test('where no address is left a subnet has DHCP without one, until there is', async () => {
    const full = { allocation_pools: [{ start: '10.0.0.10', end: '10.0.0.10' }], enable_dhcp: false }
    const subnet = await subnetOf({ cidr: '10.0.0.0/24', ...full })
    const network_id = subnet['network_id']
    const holder = await owner.make('port', { network_id })
    const turn = (enable_dhcp: boolean) => owner.put(`subnets/${subnet['id']}`, { subnet: { enable_dhcp } })
    assert.equal(answered(await turn(true), 200).subnet.enable_dhcp, true)
    const dhcp = async () => answered(await owner.get(`ports?network_id=${network_id}&device_owner=network:dhcp`), 200)
    assert.deepEqual((await dhcp()).ports, [])
    answered(await owner.delete(`ports/${holder['id']}`), 204)
    answered(await turn(false), 200)
    answered(await turn(true), 200)
    assert.deepEqual((await dhcp()).ports[0].fixed_ips, [{ subnet_id: subnet['id'], ip_address: '10.0.0.10' }])
  })
  test('ports of one request that name a subnet each have an address of it', async () => {
    const subnet = await subnetOf({ cidr: '10.0.0.0/28' })
    const other = await owner.make('subnet', {
      network_id: subnet['network_id'],
      cidr: '10.0.1.0/24',
      ip_version: 4,
    })
    const named = (one: Item) => ({ network_id: subnet['network_id'], fixed_ips: [{ subnet_id: one['id'] }] })
    const asked = [...Array.from({ length: 10 }, () => named(subnet)), ...Array.from({ length: 5 }, () => named(other))]
    const { ports } = answered(await owner.post('ports', { ports: asked }), 201)
    const held = ports.flatMap((one: Item) => one['fixed_ips'])
    assert.deepEqual(
      held.map((ip: Item) => ip['subnet_id']),
      asked.map((one) => one.fixed_ips[0]?.subnet_id),
    )
    assert.equal(new Set(held.map((ip: Item) => ip['ip_address'])).size, asked.length)
    // Two are left of the first: gateway and DHCP port have the others.
    const more = Array.from({ length: 3 }, () => named(subnet))
    refused(await owner.post('ports', { ports: more }), 'IpAddressGenerationFailure')
    answered(await owner.post('ports', { ports: more.slice(1) }), 201)
  })
})

describe('in use', () => {
  test('a network with ports, a subnet with addresses', async () => {
    const subnet = await subnetOf({ cidr: '10.0.0.0/24' })
    const port = await owner.make('port', { network_id: subnet['network_id'] })
    const inUse = refused(
      await owner.delete(`networks/${subnet['network_id']}`),
      'NetworkInUse',
      new RegExp(`${port['id']}\\.$`),
    )
    assert.deepEqual(inUse['ports'], [port['id']])
    assert.deepEqual(refused(await owner.delete(`subnets/${subnet['id']}`), 'SubnetInUse')['ports'], [port['id']])
    answered(await owner.delete(`ports/${port['id']}`), 204)
    answered(await owner.delete(`subnets/${subnet['id']}`), 204)
    answered(await owner.delete(`networks/${subnet['network_id']}`), 204)
  })
  test('a network without ports takes its subnets along', async () => {
    const subnet = await subnetOf({ cidr: '10.0.0.0/24' })
    answered(await owner.delete(`networks/${subnet['network_id']}`), 204)
    refused(await owner.get(`subnets/${subnet['id']}`), 'SubnetNotFound')
  })
  test('a port and the end of its network at once: one of them wins', async () => {
    for (let n = 0; n < 8; n++) {
      const subnet = await subnetOf({ cidr: '10.0.0.0/24' })
      const [made, gone] = await Promise.all([
        owner.post('ports', { port: { network_id: subnet['network_id'] } }),
        owner.delete(`networks/${subnet['network_id']}`),
      ])
      if (made.status === 201) refused(gone, 'NetworkInUse')
      else {
        answered(gone, 204)
        // The addresses may go while the port waits for one.
        refused(made, made.status === 404 ? 'NetworkNotFound' : 'IpAddressGenerationFailure')
      }
    }
  })
  test('overlapping blocks: refused on one network, also at once; fine on two', async () => {
    const network = await owner.make('network', {})
    const post = (cidr: string) => owner.post('subnets', { subnet: { network_id: network['id'], cidr, ip_version: 4 } })
    const replies = await Promise.all(['10.0.0.0/24', '10.0.0.0/25', '10.0.0.64/26', '10.0.0.0/16'].map(post))
    assert.equal(replies.filter((one) => one.status === 201).length, 1)
    for (const reply of replies.filter((one) => one.status !== 201))
      refused(reply, 'InvalidInput', /overlaps with another subnet/)
    await subnetOf({ cidr: '10.0.0.0/24' })
  })
  test('the MTU is at most what the segment carries', async () => {
    const { id } = await owner.make('network', { mtu: 1400 })
    refused(await owner.put(`networks/${id}`, { network: { mtu: 1451 } }), 'InvalidInput', /maximum is 1450/)
    refused(await owner.put(`networks/${id}`, { network: { mtu: 67 } }), 'InvalidInput')
    refused(await owner.post('networks', { network: { mtu: 67 } }), 'InvalidInput')
    assert.equal(answered(await owner.put(`networks/${id}`, { network: { mtu: 0 } }), 200).network.mtu, 1450)
  })
})

test('IPv6 and an MTU below 1280 do not go together, whichever comes first', async () => {
  const small = await server.admin.make('network', { mtu: 1279 })
  refused(
    await server.admin.post('subnets', { subnet: { network_id: small['id'], ip_version: 6, cidr: '2001:db8::/64' } }),
    'NetworkMTUSubnetConflict',
  )
  const wide = await server.admin.make('network', {})
  await server.admin.make('subnet', { network_id: wide['id'], ip_version: 6, cidr: '2001:db8::/64' })
  refused(await server.admin.put(`networks/${wide['id']}`, { network: { mtu: 1279 } }), 'NetworkMTUSubnetConflict')
  answered(await server.admin.put(`networks/${wide['id']}`, { network: { mtu: 1280 } }), 200)
})
