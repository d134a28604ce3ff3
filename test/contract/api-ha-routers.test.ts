/** The network of a project's highly available routers: one, from the first such router to the last. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { answered } from '../lib/refused.ts'
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

const networksOf = async (project: string): Promise<Record<string, unknown>[]> =>
  answered(await server.admin.get(`networks?name=HA network tenant ${project}`.replaceAll(' ', '%20')), 200).networks

test('is made with the first, kept for the others, and goes with the last', async () => {
  const make = (ha: boolean) => server.admin.make('router', { project_id: 'p', ha })
  const plain = await make(false)
  assert.deepEqual(await networksOf('p'), [])
  const [one, two] = [await make(true), await make(true)]
  const [network, ...more] = await networksOf('p')
  assert.deepEqual(more, [])
  assert.equal(network?.['project_id'], '')
  const { subnets } = answered(await server.admin.get(`subnets?network_id=${network?.['id']}`), 200)
  assert.deepEqual([subnets[0].cidr, subnets[0].gateway_ip, subnets[0].enable_dhcp], ['169.254.192.0/18', null, false])
  answered(await server.admin.delete(`routers/${one['id']}`), 204)
  assert.deepEqual((await networksOf('p'))[0]?.['id'], network?.['id'])
  answered(await server.admin.put(`routers/${two['id']}`, { router: { admin_state_up: false } }), 200)
  answered(await server.admin.put(`routers/${two['id']}`, { router: { ha: false } }), 200)
  assert.deepEqual(await networksOf('p'), [])
  answered(await server.admin.delete(`routers/${plain['id']}`), 204)
})

test('is one, however many first routers come at once', async () => {
  const replies = await Promise.all(
    Array.from({ length: 6 }, () => server.admin.post('routers', { router: { project_id: 'q', ha: true } })),
  )
  for (const reply of replies) answered(reply, 201)
  assert.equal((await networksOf('q')).length, 1)
})

test('is nothing its project sees', async () => {
  answered(await server.admin.post('routers', { router: { project_id: 'r', ha: true } }), 201)
  assert.deepEqual(answered(await server.as('r').get('networks'), 200).networks, [])
})
