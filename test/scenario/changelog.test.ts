/** The change log: one row a write, gap-free for whoever reads it, and replayed the very state the API shows. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { direct, type Direct } from '../lib/direct.ts'
import { mixedLoad } from '../lib/mixed-load.ts'
import { testServer, type TestServer } from '../lib/server.ts'
import { verify } from '../lib/verify.ts'
import { compareWithTables, readWhole, replay, verifyRows } from '../lib/verify-log.ts'

let server: TestServer
let admin: Direct

before(async () => {
  server = await testServer({ settings: { databasePool: 24 } })
  admin = direct(server.core)
})
after(() => server?.close())

const rowsOf = async (id: string) => (await readWhole(server.database)).filter((row) => row.id === id)

test('a write is one row: who, for which request, from what to what', async () => {
  const { id } = await admin.make('network', { name: 'one' })
  await admin.update('network', id, { name: 'two' })
  await admin.update('network', id, { name: 'two' })
  await admin.remove('network', id)
  const rows = await rowsOf(id)
  assert.deepEqual(
    rows.map(({ op, generation, before: b, after: a, superseded }) => [
      op,
      generation,
      b?.['name'],
      a?.['name'],
      superseded,
    ]),
    [
      ['create', 1, undefined, 'one', false],
      ['update', 2, 'one', 'two', false],
      ['delete', 3, 'two', undefined, false],
    ],
  )
  for (const row of rows) {
    assert.equal(row.actor, 'user-of-p1')
    assert.equal(row.actor_name, 'user of p1')
    assert.equal(row.project_id, 'p1')
    assert.match(row.request_id, /^req-p1-\d+$/)
  }
  assert.equal(new Set(rows.map((row) => row.request_id)).size, 3)
})

test('a subnet is a change of its network, from the network without it to the network with it', async () => {
  const { id } = await admin.make('network', {})
  const subnet = await admin.make('subnet', { network_id: id, cidr: '10.0.0.0/24', ip_version: 4 })
  await admin.remove('subnet', subnet['id'])
  const seen = (await rowsOf(id)).map(({ before: b, after: a }) => [b?.['subnets'], a?.['subnets']])
  assert.deepEqual(seen, [
    [undefined, []],
    [[], [subnet['id']]],
    [[subnet['id']], []],
  ])
})

test('a rule is a change of its group', async () => {
  const { id } = await admin.make('security_group', { name: 'g' })
  const values = { security_group_id: id, direction: 'ingress', protocol: 'tcp' }
  await admin.make('security_group_rule', values)
  const counts = (await rowsOf(id)).map(({ before: b, after: a }) =>
    [b, a].map((image) => (image?.['security_group_rules'] as unknown[] | undefined)?.length),
  )
  assert.deepEqual(counts.at(-1), [2, 3])
  assert.deepEqual(verifyRows(await rowsOf(id)), [])
})

test('after a mixed load every object has one unbroken chain of rows, and the last is what the API shows', async () => {
  const { failed, done } = await mixedLoad(server.core, { workers: 16, steps: 500 })
  assert.deepEqual(failed, [])
  assert.ok((done['create port'] ?? 0) > 20, JSON.stringify(done))
  const rows = await readWhole(server.database)
  assert.deepEqual(verifyRows(rows), [])
  assert.deepEqual(await compareWithTables(server.core, replay(rows)), [])
  assert.deepEqual(await verify(server.core), [])
  for (const [key, image] of replay(rows)) {
    const [kind = '', id = ''] = key.split(' ')
    const { tenant_id: _, ...shown } = await admin.show(kind, id)
    const { attributes } = server.core.model.resource(kind)
    // What others change without writing the object is not in its rows.
    for (const name of Object.keys(shown))
      if (!attributes[name]?.secret) assert.deepEqual(image?.[name], shown[name], `${key} ${name}`)
  }
})
