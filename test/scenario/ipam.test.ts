/** Addresses under many writers: each once, none lost, whatever is given, taken, moved and deleted meanwhile. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { direct, type Direct, kindOf, outcomes, workers } from '../lib/direct.ts'
import { testServer, type TestServer } from '../lib/server.ts'
import { verify } from '../lib/verify.ts'

let server: TestServer
let admin: Direct
const unlimited = { quotaPort: -1, quotaNetwork: -1, quotaSubnet: -1 }

before(async () => {
  server = await testServer({ settings: { databasePool: 32, ...unlimited } })
  admin = direct(server.core)
})
after(() => server?.close())

const address = (port: Record<string, any>): string => port['fixed_ips'][0].ip_address
const network = async (subnet: object) => {
  const made = await admin.make('network', {})
  return {
    id: made['id'] as string,
    subnet: await admin.make('subnet', { network_id: made['id'], ip_version: 4, ...subnet }),
  }
}
const healthy = async (): Promise<void> => assert.deepEqual(await verify(server.core), [])

test('64 writers fill a /24 without DHCP: every address once, then a clear end, and freed ones come back', async () => {
  const { id } = await network({ cidr: '10.1.0.0/24', enable_dhcp: false })
  const seen: string[] = []
  const ends: string[] = []
  const ports: string[] = []
  await workers(64, async () => {
    try {
      const port = await admin.make('port', { network_id: id })
      seen.push(address(port))
      ports.push(port['id'])
      return true
    } catch (error) {
      ends.push(kindOf(error))
      return false
    }
  })
  assert.equal(seen.length, 253)
  assert.equal(new Set(seen).size, 253)
  assert.deepEqual(new Set(ends), new Set(['IpAddressGenerationFailure']))
  const freed = ports.splice(0, 40)
  await Promise.all(freed.map((port) => admin.remove('port', port)))
  const again = await outcomes(Array.from({ length: 50 }, () => admin.make('port', { network_id: id })))
  assert.equal(new Set(again.values.map(address)).size, 40)
  assert.deepEqual(again.errors, { IpAddressGenerationFailure: 10 })
  await healthy()
})

test('fixed addresses race with drawn ones, and with each other: one holder each, nothing stays behind as free', async () => {
  const { id } = await network({ cidr: '10.2.0.0/26', enable_dhcp: false })
  const wanted = Array.from({ length: 20 }, (_, index) => `10.2.0.${2 + index * 3}`)
  const asked = [...wanted, ...wanted].map((ip_address) =>
    admin.make('port', { network_id: id, fixed_ips: [{ ip_address }] }),
  )
  const drawn = Array.from({ length: 30 }, () => admin.make('port', { network_id: id }))
  const { values, errors } = await outcomes([...asked, ...drawn])
  const all = values.map(address)
  assert.equal(new Set(all).size, all.length)
  for (const ip of wanted) assert.ok(all.includes(ip), `${ip} went to nobody`)
  assert.deepEqual(Object.keys(errors), ['IpAddressAlreadyAllocated'])
  await healthy()
  const rest = await outcomes(Array.from({ length: 61 - all.length + 1 }, () => admin.make('port', { network_id: id })))
  assert.equal(new Set([...all, ...rest.values.map(address)]).size, 61)
  assert.deepEqual(rest.errors, { IpAddressGenerationFailure: 1 })
  await healthy()
})

test('an address is asked for while its holder is being deleted', async () => {
  const { id } = await network({ cidr: '10.3.0.0/28', enable_dhcp: false })
  for (let round = 0; round < 25; round++) {
    const ip_address = `10.3.0.${2 + (round % 12)}`
    const holder = await admin.make('port', { network_id: id, fixed_ips: [{ ip_address }] })
    const [gone, next] = await Promise.allSettled([
      admin.remove('port', holder['id']),
      admin.make('port', { network_id: id, fixed_ips: [{ ip_address }] }),
    ])
    assert.equal(gone.status, 'fulfilled')
    if (next.status === 'rejected') assert.equal(kindOf(next.reason), 'IpAddressAlreadyAllocated')
    await healthy()
    if (next.status === 'fulfilled') await admin.remove('port', next.value['id'])
  }
})

test('pools change while addresses are taken and given back', async () => {
  const { id, subnet } = await network({ cidr: '10.4.0.0/24', enable_dhcp: false })
  const held: string[] = []
  let moves = 0
  const end = Date.now() + 2500
  const errors = new Set<string>()
  await Promise.all([
    workers(12, async (worker) => {
      try {
        if (worker < 4 && held.length > 10) await admin.remove('port', held.shift() as string)
        else if (worker < 8) {
          const ip_address = `10.4.0.${2 + Math.floor(Math.random() * 250)}`
          held.push((await admin.make('port', { network_id: id, fixed_ips: [{ ip_address }] }))['id'])
        } else held.push((await admin.make('port', { network_id: id }))['id'])
      } catch (error) {
        errors.add(kindOf(error))
      }
      return Date.now() < end
    }),
    workers(1, async () => {
      const start = 2 + Math.floor(Math.random() * 100)
      const allocation_pools = [
        { start: `10.4.0.${start}`, end: `10.4.0.${start + 40}` },
        { start: `10.4.0.${start + 60}`, end: `10.4.0.${start + 100}` },
      ]
      await admin.update('subnet', subnet['id'], { allocation_pools })
      moves++
      return Date.now() < end
    }),
  ])
  assert.ok(moves >= 3, `the pools moved ${moves} times`)
  for (const error of errors) assert.match(error, /^(IpAddressAlreadyAllocated|IpAddressGenerationFailure)$/)
  await healthy()
})

test('the DHCP port holds one address in each subnet with DHCP, whatever switches at the same time', async () => {
  const { id, subnet } = await network({ cidr: '10.5.0.0/24' })
  const others = await Promise.all(
    ['10.5.1.0/24', '10.5.2.0/24', 'fd00:5::/64'].map((cidr) =>
      admin.make('subnet', { network_id: id, cidr, ip_version: cidr.includes(':') ? 6 : 4 }),
    ),
  )
  const all = [subnet, ...others]
  const dhcp = async () =>
    server.database.query<{ id: string; fixed_ips: { subnet_id: string }[] }>(
      `select id, fixed_ips from ports where network_id = $1 and device_owner = 'network:dhcp'`,
      [id],
    )
  const expectOn = async (ids: string[]) => {
    const ports = await dhcp()
    assert.equal(ports.length, ids.length === 0 ? 0 : 1)
    assert.deepEqual((ports[0]?.fixed_ips ?? []).map((one) => one.subnet_id).sort(), [...ids].sort())
    await healthy()
  }
  await expectOn(all.map((one) => one['id']))
  const turn = (enable_dhcp: boolean) =>
    Promise.all(all.map((one) => admin.update('subnet', one['id'], { enable_dhcp })))
  for (let round = 0; round < 4; round++) {
    await turn(false)
    await expectOn([])
    await turn(true)
    await expectOn(all.map((one) => one['id']))
  }
  await Promise.all(others.map((one) => admin.remove('subnet', one['id'])))
  await expectOn([subnet['id']])
  await admin.remove('network', id)
  assert.equal((await dhcp()).length, 0)
  await healthy()
})

test('SLAAC: the address is the prefix and the EUI-64 of the MAC, and none other may be asked for', async () => {
  const slaac = { ip_version: 6, ipv6_ra_mode: 'slaac', ipv6_address_mode: 'slaac' }
  const { id, subnet } = await network({ cidr: 'fd00:6::/64', ...slaac })
  await admin.make('subnet', { network_id: id, cidr: '10.6.0.0/24', ip_version: 4 })
  const port = await admin.make('port', { network_id: id, mac_address: 'fa:16:3e:12:34:56' })
  assert.deepEqual(port['fixed_ips'].map((one: { ip_address: string }) => one.ip_address).sort(), [
    '10.6.0.3',
    'fd00:6::f816:3eff:fe12:3456',
  ])
  await assert.rejects(
    admin.make('port', { network_id: id, fixed_ips: [{ subnet_id: subnet['id'], ip_address: 'fd00:6::77' }] }),
    { type: 'AllocationOnAutoAddressSubnet' },
  )
  await healthy()
})

test('the gateway is never drawn, and may be asked for', async () => {
  const { id, subnet } = await network({ cidr: '10.7.0.0/29', enable_dhcp: false })
  assert.equal(subnet['gateway_ip'], '10.7.0.1')
  const drawn = await outcomes(Array.from({ length: 6 }, () => admin.make('port', { network_id: id })))
  assert.deepEqual(
    drawn.values.map(address).sort(),
    [2, 3, 4, 5, 6].map((last) => `10.7.0.${last}`),
  )
  const router = await admin.make('port', { network_id: id, fixed_ips: [{ ip_address: '10.7.0.1' }] })
  assert.equal(address(router), '10.7.0.1')
  await admin.remove('port', router['id'])
  await assert.rejects(admin.make('port', { network_id: id }), { type: 'IpAddressGenerationFailure' })
  await healthy()
})

test('of subnets that race to overlap one is made, the others are refused', async () => {
  const made = await admin.make('network', {})
  const cidrs = ['10.8.0.0/16', '10.8.0.0/24', '10.8.128.0/17', '10.8.0.0/15', '10.8.0.0/24', '10.8.0.0/20']
  const replies = await Promise.all(
    Array.from({ length: 24 }, (_, index) => {
      const cidr = cidrs[index % cidrs.length] as string
      return server.admin.post('subnets', { subnet: { network_id: made['id'], cidr, ip_version: 4 } })
    }),
  )
  const created = replies.filter((one) => one.status === 201).map((one) => one.body.subnet.cidr)
  assert.ok(replies.every((one) => one.status === 201 || one.status === 400))
  assert.ok(replies.filter((one) => one.status === 400).every((one) => one.body.NeutronError.type === 'InvalidInput'))
  const disjoint = created.includes('10.8.128.0/17') ? 2 : 1
  assert.ok(created.length >= 1 && created.length <= disjoint, String(created))
  await healthy()
})

test('the constraint alone keeps two subnets apart', async () => {
  const { subnet } = await network({ cidr: '10.9.0.0/24' })
  await assert.rejects(
    server.database.query(
      `/* once */ insert into subnets select (jsonb_populate_record(s, '{"id": "00000000-0000-4000-8000-000000000001", "cidr": "10.9.0.128/25"}')).*
        from subnets s where id = $1`,
      [subnet['id']],
    ),
    { code: '23P01' },
  )
})
