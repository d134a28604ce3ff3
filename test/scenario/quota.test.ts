/** Quotas are exact: whoever races, the limit is reached and never passed, and the counters are the rows. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { direct, outcomes, type Shown, workers } from '../lib/direct.ts'
import { testServer, type TestServer } from '../lib/server.ts'
import { verify } from '../lib/verify.ts'

let server: TestServer
before(async () => {
  server = await testServer({ settings: { databasePool: 32, quotaPort: 5, quotaNetwork: 3, quotaSecurityGroup: 4 } })
})
after(() => server?.close())

const healthy = async (): Promise<void> => assert.deepEqual(await verify(server.core), [])
const usedBy = async (project: string, resource: string): Promise<number> =>
  (await server.admin.get(`quotas/${project}/details`)).body.quota[resource].used

test('200 creates at one below the limit: one succeeds', async () => {
  const client = server.as('a')
  const network = await client.make('network', {})
  await direct(server.core, 'a').makeMany(
    'port',
    Array.from({ length: 4 }, () => ({ network_id: network['id'] })),
  )
  const ports = await Promise.all(
    Array.from({ length: 200 }, () => client.post('ports', { port: { network_id: network['id'] } })),
  )
  assert.equal(ports.filter(({ status }) => status === 201).length, 1)
  const refused = ports.filter(({ status }) => status === 409)
  assert.equal(refused.length, 199)
  assert.ok(refused.every(({ body }) => body.NeutronError.type === 'OverQuota'))
  assert.equal(refused[0]?.body.NeutronError.message, "Quota exceeded for resources: ['port'].")
  assert.equal(await usedBy('a', 'port'), 5)
  await client.make('network', {})
  const networks = await Promise.all(Array.from({ length: 100 }, () => client.post('networks', { network: {} })))
  assert.equal(networks.filter(({ status }) => status === 201).length, 1)
  assert.equal(networks.filter(({ status }) => status === 409).length, 99)
  await healthy()
})

test('creates and deletes side by side never pass the limit, and leave the counters equal to the rows', async () => {
  const client = direct(server.core, 'b', ['member'])
  const { id } = await client.make('network', {})
  const held: string[] = []
  let [steps, most] = [150, 0]
  await workers(16, async () => {
    if (steps-- <= 0) return false
    const gone = Math.random() < 0.45 ? held.shift() : undefined
    const { values } = await outcomes<Shown | undefined>([
      gone ? client.remove('port', gone).then(() => undefined) : client.make('port', { network_id: id }),
    ])
    if (values[0]) held.push(values[0]['id'])
    most = Math.max(most, held.length)
    return true
  })
  assert.ok(most <= 5, `${most} ports at a limit of 5`)
  assert.equal(await usedBy('b', 'port'), held.length)
  await healthy()
  await outcomes(held.map((port) => client.remove('port', port)))
  assert.equal(await usedBy('b', 'port'), 0)
  await healthy()
})

test('many in one request: all or none', async () => {
  const client = server.as('c')
  const { id: network_id } = await client.make('network', {})
  const six = await client.post('ports', { ports: Array.from({ length: 6 }, () => ({ network_id })) })
  assert.equal(six.status, 409)
  assert.equal(await usedBy('c', 'port'), 0)
  assert.equal((await client.post('ports', { ports: Array.from({ length: 5 }, () => ({ network_id })) })).status, 201)
  await healthy()
})

test('a full quota is named before a forbidden attribute, and that before a taken address', async () => {
  const client = server.as('d')
  const network = await client.make('network', {})
  const network_id = network['id']
  const subnet = await client.make('subnet', { network_id, cidr: '10.0.0.0/24', ip_version: 4 })
  const taken = { fixed_ips: [{ subnet_id: subnet['id'], ip_address: '10.0.0.9' }] }
  await client.make('port', { network_id, ...taken })
  const post = async (port: object) =>
    (await client.post('ports', { port: { network_id, ...port } })).body.NeutronError.type
  const forbidden = { 'binding:host_id': 'h1' }
  assert.equal(await post(taken), 'IpAddressAlreadyAllocated')
  assert.equal(await post({ ...taken, ...forbidden }), 'PolicyNotAuthorized')
  for (let more = await usedBy('d', 'port'); more < 5; more++) await client.make('port', { network_id })
  assert.equal(await post(taken), 'OverQuota')
  assert.equal(await post({ ...taken, ...forbidden }), 'OverQuota')
})

test('a limit of the project’s own holds from the next create on; -1 is none', async () => {
  const client = server.as('e')
  const limit = (network: number) => server.admin.put('quotas/e', { quota: { network } })
  await limit(1)
  await client.make('network', {})
  assert.equal((await client.post('networks', { network: {} })).status, 409)
  await limit(-1)
  for (let more = 0; more < 5; more++) await client.make('network', {})
  await limit(2)
  assert.equal((await client.post('networks', { network: {} })).status, 409)
  await server.admin.delete('quotas/e')
  assert.equal((await client.get('quotas/e')).body.quota.network, 3)
  await healthy()
})
