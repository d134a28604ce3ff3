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

test('without a limit two writers hold counters of one project at once, with a limit one waits for the other', async () => {
  const held = async (limit: number): Promise<boolean> => {
    // Parts go by the number of the connection's process; of sixteen some differ.
    const clients = await Promise.all(Array.from({ length: 16 }, () => server.database.pool.connect()))
    const parts = new Map(clients.map((client) => [(client as unknown as Shown)['processID'] % 16, client]))
    const [one, other] = [...parts.values()]
    const count = `select quota_count('side by side', 'port', 0, ${limit}, true)`
    try {
      await one?.query('begin')
      await one?.query(count)
      await other?.query(`set statement_timeout = '1s'`)
      return await other!.query(count).then(
        () => false,
        () => true,
      )
    } finally {
      await one?.query('rollback')
      await other?.query(`set statement_timeout = '60s'`)
      for (const client of clients) client.release()
    }
  }
  assert.equal(await held(-1), false)
  assert.equal(await held(10), true)
})

test('without a limit writers of one project commit side by side, and a limit set meanwhile holds from then on', async () => {
  const project = 'unlimited'
  const client = direct(server.core, project)
  const limit = (values: Shown) => server.admin.put(`quotas/${project}`, { quota: values })
  assert.equal((await limit({ port: -1 })).status, 200)
  const { id: network_id } = await client.make('network', {})
  await Promise.all(Array.from({ length: 40 }, () => client.make('port', { network_id })))
  assert.equal(await usedBy(project, 'port'), 40)
  const parts = await server.database.query<Shown>(
    `select part from quota_usage where project_id = $1 and resource = 'port'`,
    [project],
  )
  assert.ok(parts.length > 1, `${parts.length} parts`)
  await healthy()
  assert.equal((await limit({ port: 39, check_limit: true })).status, 400)
  const [set, made] = await Promise.all([
    limit({ port: 42, check_limit: true }),
    outcomes(Array.from({ length: 60 }, () => client.make('port', { network_id }))),
  ])
  const held = 40 + made.values.length
  // Who counted before the limit was there was let in, and who sets it hears of that.
  assert.equal(set.status, held > 42 && set.status === 400 ? 400 : 200)
  if (set.status === 400) assert.equal((await limit({ port: 42 })).status, 200)
  else assert.ok(held <= 42, `${held} ports at a limit of 42`)
  assert.equal(await usedBy(project, 'port'), held)
  const more = await outcomes(Array.from({ length: 10 }, () => client.make('port', { network_id })))
  assert.equal(held + more.values.length, Math.max(held, 42))
  await healthy()
})
