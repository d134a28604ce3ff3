/** Get me a network: one request gives a project a network behind a router, once. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { answered, refused } from '../lib/refused.ts'
import { type TestServer, testServer } from '../lib/server.ts'
import { verify } from '../lib/verify.ts'

let server: TestServer

before(async () => {
  server = await testServer()
})
after(async () => {
  assert.deepEqual(await verify(server.core), [])
  await server.close()
})

const path = (project: string): string => `auto-allocated-topology/${project}`
const named = async (project: string, plural: string): Promise<Record<string, any>[]> =>
  answered(await server.as(project).get(plural), 200)[plural].filter((one: { name: string }) =>
    one.name.startsWith('auto_allocated_'),
  )

test('a project asks for a network: refused until there is where it leads to, then made once', async (t) => {
  const [owner, { admin }] = [server.as('p1'), server]
  refused(await owner.get(path('p1')), 'AutoAllocationFailure', /No default router:external network/)
  const outside = await admin.make('network', { 'router:external': true, is_default: true, name: 'public' })
  await admin.make('subnet', { network_id: outside['id'], cidr: '203.0.113.0/24', ip_version: 4, enable_dhcp: false })
  refused(
    await admin.post('networks', { network: { 'router:external': true, is_default: true } }),
    'DefaultExternalNetworkExists',
    new RegExp(outside['id']),
  )
  const dryRun = (): ReturnType<typeof owner.get> => owner.get(`${path('p1')}?fields=dry-run`)
  refused(await dryRun(), 'AutoAllocationFailure', /No default subnetpools defined/)
  const pool = { is_default: true, shared: true }
  await admin.make('subnetpool', { ...pool, name: 'four', prefixes: ['10.0.0.0/22'], default_prefixlen: 24 })
  await admin.make('subnetpool', { ...pool, name: 'six', prefixes: ['fd00:77::/56'], default_prefixlen: 64 })
  assert.equal(answered(await dryRun(), 200).auto_allocated_topology.id, 'dry-run=pass')

  await t.test('twice at once', async () => {
    const replies = await Promise.all([owner.get(path('p1')), owner.get(path('p1')), owner.get(path('None'))])
    const ids = replies.map((one) => answered(one, 200).auto_allocated_topology.id)
    const [network] = await named('p1', 'networks')
    assert.deepEqual(ids, [network?.['id'], network?.['id'], network?.['id']])
    const subnets = await named('p1', 'subnets')
    assert.deepEqual(subnets.map((one) => one['name']).sort(), ['auto_allocated_subnet_v4', 'auto_allocated_subnet_v6'])
    const [router, ...more] = await named('p1', 'routers')
    assert.equal(router?.['external_gateway_info'].network_id, outside['id'])
    assert.equal(more.length, 0)
    const ports = answered(
      await owner.get(`ports?device_id=${router?.['id']}&network_id=${network?.['id']}`),
      200,
    ).ports
    assert.deepEqual(
      new Set(ports.flatMap((one: any) => one.fixed_ips.map((ip: any) => ip.ip_address))),
      new Set(subnets.map((one) => one['gateway_ip'])),
    )
  })
  await t.test('not for another project; an administrator may', async () => {
    refused(await owner.get(path('p2')), 'PolicyNotAuthorized')
    refused(await owner.delete(path('p2')), 'PolicyNotAuthorized')
    answered(await admin.get(path('p2')), 200)
    assert.equal((await named('p2', 'networks')).length, 1)
    refused(await owner.get(`${path('p1')}?fields=colour`), 'BadRequest')
  })
  await t.test('taken apart by hand it is forgotten, and made anew when asked for', async () => {
    const someone = server.as('p9')
    const first = answered(await someone.get(path('p9')), 200).auto_allocated_topology.id
    const [router] = await named('p9', 'routers')
    for (const { id } of answered(await someone.get('subnets?network_id=' + first), 200).subnets)
      answered(await someone.put(`routers/${router?.['id']}/remove_router_interface`, { subnet_id: id }), 200)
    answered(await someone.delete(`routers/${router?.['id']}`), 204)
    assert.equal(answered(await someone.get(path('p9')), 200).auto_allocated_topology.id, first)
    answered(await someone.delete(`networks/${first}`), 204)
    assert.notEqual(answered(await someone.get(path('p9')), 200).auto_allocated_topology.id, first)
    answered(await someone.delete(path('p9')), 204)
  })
  await t.test('goes as a whole, or not at all', async () => {
    const [network] = await named('p1', 'networks')
    const port = await owner.make('port', { network_id: network?.['id'] })
    refused(await owner.delete(path('p1')), 'NetworkInUse')
    assert.equal((await named('p1', 'routers')).length, 1)
    answered(await owner.delete(`ports/${port['id']}`), 204)
    answered(await owner.delete(path('p1')), 204)
    for (const plural of ['networks', 'subnets', 'routers']) assert.deepEqual(await named('p1', plural), [])
    answered(await owner.delete(path('p1')), 204)
  })
  await t.test('refused as a whole when the pool has nothing left', async () => {
    for (const project of ['p3', 'p4', 'p5']) answered(await server.as(project).get(path(project)), 200)
    const reply = await server.as('p6').get(path('p6'))
    refused(reply, 'AutoAllocationFailure', /Unable to provide tenant private network/)
    assert.deepEqual(await named('p6', 'networks'), [])
  })
})
