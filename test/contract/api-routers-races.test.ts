/** Routers and floating IPs when several ask at once: one wins, the others are told why, and nothing is left over. */
import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import { connect, inside, type Item, outside, router, routerOutside } from '../lib/l3.ts'
import { answered } from '../lib/refused.ts'
import { type Client, type Reply, type TestServer, testServer } from '../lib/server.ts'
import { verify } from '../lib/verify.ts'

let server: TestServer
let admin: Client
let owner: Client
let external: Item

before(async () => {
  const unlimited = { quotaNetwork: -1, quotaSubnet: -1, quotaPort: -1, quotaRouter: -1, quotaFloatingip: -1 }
  server = await testServer({ settings: unlimited })
  admin = server.admin
  owner = server.as('p1')
  external = await outside(admin)
})
afterEach(async () => {
  assert.deepEqual(await verify(server.core), [])
  assert.deepEqual(await leftovers(), [])
})
after(() => server.close())

/** Ports of routers and floating IPs that belong to none, and floating IPs whose way is not there. */
async function leftovers(): Promise<unknown[]> {
  return server.database.query(
    `select p.id::text, p.device_owner from ports p where p.router_id is null and p.device_owner like 'network:router%'
      union all select p.id::text, p.device_owner from ports p where p.device_owner = 'network:floatingip'
        and not exists (select from floating_ips f where f.floating_port_id = p.id)
      union all select f.id::text, 'way' from floating_ips f where f.port_id is not null and not exists (
        select from router_addresses i join router_addresses g on g.router_id = i.router_id
          join ip_allocations a on a.port_id = f.port_id and a.ip_address = f.fixed_ip_address and a.subnet_id = i.subnet_id
          where i.router_id = f.router_id and i.port_id = f.interface_port_id and g.port_id = f.gateway_port_id
            and g.network_id = f.floating_network_id)`,
  )
}

const statuses = (replies: readonly Reply[]): number[] => replies.map((one) => one.status).sort((a, b) => a - b)
const types = (replies: readonly Reply[]): string[] => [
  ...new Set(replies.flatMap((one) => one.body?.NeutronError?.type ?? [])),
]
const times = <T>(count: number, make: (index: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, (_, index) => make(index)))
const oneOf = (count: number, won: number, lost: number): number[] => [won, ...Array(count - 1).fill(lost)]

test('one external address, many routers: one has it', async () => {
  const routers = await times(6, () => router(owner))
  const external_fixed_ips = [{ subnet_id: external['subnet'].id, ip_address: '203.0.113.200' }]
  const gateway = { external_gateway_info: { network_id: external['id'], external_fixed_ips } }
  const replies = await Promise.all(routers.map(({ id }) => admin.put(`routers/${id}`, { router: gateway })))
  assert.deepEqual(statuses(replies), oneOf(6, 200, 409))
  assert.deepEqual(types(replies), ['IpAddressAlreadyAllocated'])
})

test('one router, many gateways: one port in the end', async () => {
  const { id } = await router(owner)
  const gateway = { router: { external_gateway_info: { network_id: external['id'] } } }
  const replies = await times(6, () => owner.put(`routers/${id}`, gateway))
  assert.deepEqual(statuses(replies), Array(6).fill(200))
  const addresses = replies.map((one) => one.body.router.external_gateway_info.external_fixed_ips[0].ip_address)
  assert.equal(new Set(addresses).size, 1)
})

test('one subnet, or overlapping ones, many times: one interface', async () => {
  const networks = [
    await inside(owner, '10.1.0.0/24'),
    await inside(owner, '10.1.0.0/25'),
    await inside(owner, '10.1.0.0/26'),
  ]
  const { id } = await router(owner)
  const replies = await times(9, (index) =>
    owner.put(`routers/${id}/add_router_interface`, { subnet_id: networks[index % 3]?.['subnet'].id }),
  )
  assert.deepEqual(statuses(replies), oneOf(9, 200, 400))
  assert.deepEqual(types(replies), ['BadRequest'])
})

test('one port, many routers: it is one’s', async () => {
  const network = await inside(owner, '10.2.0.0/24')
  const port = await owner.make('port', { network_id: network['id'] })
  const routers = await times(5, () => router(owner))
  const body = { port_id: port['id'] }
  const replies = await Promise.all(routers.map(({ id }) => owner.put(`routers/${id}/add_router_interface`, body)))
  assert.deepEqual(statuses(replies), oneOf(5, 200, 409))
  assert.deepEqual(types(replies), ['PortInUse'])
})

test('connecting and disconnecting while the router goes leaves nothing', async () => {
  for (let round = 0; round < 4; round++) {
    const network = await inside(owner, '10.3.0.0/24')
    const { id } = await routerOutside(owner, external)
    const body = { subnet_id: network['subnet'].id }
    const replies = await times(8, (index) => {
      if (index === 5) return owner.delete(`routers/${id}`)
      return owner.put(`routers/${id}/${index % 2 === 0 ? 'add' : 'remove'}_router_interface`, body)
    })
    assert.ok(
      replies.every(({ status }) => status < 500),
      JSON.stringify(replies.map((one) => one.text)),
    )
    assert.deepEqual(await leftovers(), [])
  }
})

test('one fixed IP, many floating IPs: one leads there', async () => {
  const network = await inside(owner, '10.4.0.0/24')
  const { id } = await routerOutside(owner, external)
  await connect(owner, id, { subnet_id: network['subnet'].id })
  const port = await owner.make('port', { network_id: network['id'] })
  const values = { floating_network_id: external['id'], port_id: port['id'] }
  const made = await times(4, () => owner.post('floatingips', { floatingip: values }))
  assert.deepEqual(statuses(made), oneOf(4, 201, 409))
  assert.deepEqual(types(made), ['FloatingIPPortAlreadyAssociated'])
  const second = await owner.make('port', { network_id: network['id'] })
  const free = await times(4, () => owner.make('floatingip', { floating_network_id: external['id'] }))
  const moved = await Promise.all(
    free.map((one) => owner.put(`floatingips/${one['id']}`, { floatingip: { port_id: second['id'] } })),
  )
  assert.deepEqual(statuses(moved), oneOf(4, 200, 409))
})

test('associating while the interface, the gateway, the port or its address goes: one of the two holds', async () => {
  for (let round = 0; round < 12; round++) {
    const network = await inside(owner, '10.5.0.0/24')
    const { id } = await routerOutside(owner, external)
    await connect(owner, id, { subnet_id: network['subnet'].id })
    const port = await owner.make('port', { network_id: network['id'] })
    const floating = await owner.make('floatingip', { floating_network_id: external['id'] })
    const removals = [
      () => owner.put(`routers/${id}/remove_router_interface`, { subnet_id: network['subnet'].id }),
      () => owner.put(`routers/${id}`, { router: { external_gateway_info: null } }),
      () => owner.delete(`ports/${port['id']}`),
      () => owner.put(`ports/${port['id']}`, { port: { fixed_ips: [] } }),
    ]
    const remove = removals[round % 4] as () => Promise<Reply>
    const associate = () => owner.put(`floatingips/${floating['id']}`, { floatingip: { port_id: port['id'] } })
    const [removed, associated] = await Promise.all([remove(), associate()])
    const seen = `${removed.status} ${removed.text} ${associated.status} ${associated.text}`
    assert.ok(removed.status < 500 && associated.status < 500, seen)
    assert.ok(removed.status < 300 || associated.status < 300, seen)
    assert.deepEqual(await leftovers(), [], seen)
    const { floatingip } = answered(await owner.get(`floatingips/${floating['id']}`), 200)
    if (round % 4 >= 2) assert.equal(floatingip.port_id, null)
  }
})
