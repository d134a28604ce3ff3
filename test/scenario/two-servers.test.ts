/** Two servers on one database: what both do at once happens once. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { migrate } from '#store/migrate.ts'
import { takeNumber } from '#store/ranges.ts'
import { inTransaction } from '#store/transaction.ts'
import { Client } from 'pg'
import { SYSTEM, recordAgent } from '#core/hosts/agents.ts'
import { operateInternally } from '#core/operation.ts'
import { coreOn } from '../lib/core.ts'
import { direct, outcomes } from '../lib/direct.ts'
import { mixedLoad } from '../lib/mixed-load.ts'
import { testDatabase } from '../lib/postgres.ts'
import { testServer } from '../lib/server.ts'
import { verify } from '../lib/verify.ts'
import { compareWithTables, readWhole, replay, verifyRows } from '../lib/verify-log.ts'

const settings = { vniRanges: [{ first: 100, last: 160 }], quotaNetwork: -1, quotaSecurityGroup: -1 }

test('servers that start at once on a new database migrate it once', async () => {
  await using db = await testDatabase()
  const applied = await Promise.all(
    Array.from({ length: 4 }, async () => {
      const client = new Client({ connectionString: db.url })
      await client.connect()
      try {
        return (await migrate(client)).applied
      } finally {
        await client.end()
      }
    }),
  )
  const [worked = [], ...rest] = applied.sort((a, b) => b.length - a.length)
  assert.ok(worked.length >= 3)
  assert.deepEqual(rest, [[], [], []])
})

test('both seed the ids, neither gives one out twice, and none is lost', async () => {
  await using server = await testServer({ settings: { databasePool: 12, ...settings } })
  const cores = await Promise.all([1, 2, 3].map(() => coreOn(server.databaseUrl, { settings, size: 12 })))
  const clients = cores.map(({ core }) => direct(core))
  const made = await outcomes(
    Array.from({ length: 70 }, (_, index) => (clients[index % 3] as (typeof clients)[0]).make('network', {})),
  )
  const ids = made.values.map((one) => one['provider:segmentation_id'])
  assert.equal(new Set(ids).size, 61)
  assert.deepEqual(made.errors, { NoNetworkAvailable: 9 })
  assert.deepEqual(await verify(server.core), [])
  for (const { close } of cores) await close()
})

test('given ids race with drawn ones', async () => {
  await using server = await testServer({ settings: { databasePool: 24, ...settings } })
  const admin = direct(server.core)
  const given = Array.from({ length: 20 }, (_, index) => ({
    'provider:network_type': 'vxlan',
    'provider:segmentation_id': 100 + (index % 15) * 4,
  }))
  const { values, errors } = await outcomes([
    ...given.map((one) => admin.make('network', one)),
    ...Array.from({ length: 20 }, () => admin.make('network', {})),
  ])
  const ids = values.map((one) => one['provider:segmentation_id'])
  assert.equal(new Set(ids).size, ids.length)
  for (const { 'provider:segmentation_id': id } of given) assert.ok(ids.includes(id))
  assert.deepEqual(Object.keys(errors), ['TunnelIdInUse'])
  assert.deepEqual(await verify(server.core), [])
})

test('a server with other id ranges starts while networks are made', async () => {
  await using server = await testServer({ settings: { databasePool: 12, ...settings } })
  const admin = direct(server.core)
  const making = outcomes(Array.from({ length: 40 }, () => admin.make('network', {})))
  const wider = { ...settings, vniRanges: [{ first: 120, last: 400 }] }
  await using other = await coreOn(server.databaseUrl, { settings: wider })
  assert.deepEqual((await making).errors, {})
  await direct(other.core).make('network', {})
  assert.deepEqual(await verify(other.core), [])
})

test('a new project’s first ports at two servers: one default group', async () => {
  await using server = await testServer({ settings: { databasePool: 12, ...settings } })
  await using other = await coreOn(server.databaseUrl, { settings, size: 12 })
  const shared = await direct(server.core, 'owner').make('network', { shared: true })
  for (const project of ['new-1', 'new-2', 'new-3']) {
    const clients = [direct(server.core, project, ['member']), direct(other.core, project, ['member'])]
    const { values, errors } = await outcomes(
      Array.from({ length: 16 }, (_, index) =>
        (clients[index % 2] as (typeof clients)[0]).make('port', { network_id: shared['id'] }),
      ),
    )
    assert.deepEqual(errors, {})
    assert.equal(new Set(values.map((one) => String(one['security_groups']))).size, 1)
    const groups = await server.as(project).get('security-groups')
    assert.deepEqual(
      groups.body.security_groups.map((one: { name: string }) => one.name),
      ['default'],
    )
    assert.equal(groups.body.security_groups[0].security_group_rules.length, 4)
  }
  assert.deepEqual(await verify(server.core), [])
})

test('an agent that reports to two servers at once is one agent', async () => {
  await using server = await testServer()
  await using other = await coreOn(server.databaseUrl)
  const report = { host: 'h1', configurations: { tunneling_ip: '192.0.2.1' }, started_at: '2026-01-01T00:00:00Z' }
  await Promise.all([server.core, other.core, server.core, other.core].map((core) => recordAgent(core, report)))
  const { body } = await server.admin.get('agents')
  assert.equal(body.agents.length, 1)
  assert.deepEqual(verifyRows(await readWhole(server.database)), [])
})

test('a mixed load on two servers is one history', async () => {
  await using server = await testServer({ settings: { databasePool: 12 } })
  await using other = await coreOn(server.databaseUrl, { size: 12 })
  const loads = await Promise.all([server.core, other.core].map((core) => mixedLoad(core, { workers: 6, steps: 150 })))
  assert.deepEqual(
    loads.flatMap(({ failed }) => failed),
    [],
  )
  assert.deepEqual(await verify(server.core), [])
  const rows = await readWhole(server.database)
  assert.deepEqual(verifyRows(rows), [])
  assert.deepEqual(await compareWithTables(server.core, replay(rows)), [])
})

test('what the system changes is logged as the system’s', async () => {
  await using server = await testServer()
  const { id } = await direct(server.core).make('network', {})
  await operateInternally(server.core, SYSTEM, 'test', async (unit) => {
    const resource = unit.model.resource('network')
    const before = await unit.load(resource, id, 'update')
    assert.ok(before)
    await unit.write(resource, 'update', [unit.revised(before, { status: 'DOWN' })], { [id]: before }, true)
  })
  const row = (await readWhole(server.database)).at(-1)
  assert.deepEqual([row?.actor, row?.request_id, row?.after?.['status']], ['deuteron', 'test', 'DOWN'])
  const [pool] = await server.database.query<{ first: string }>(
    "/* once */ select first::text from free_ranges where pool = 'vxlan' order by seq limit 1",
  )
  const taken = await inTransaction(server.database, async (tx) => ({
    value: await takeNumber(tx, 'vxlan', BigInt(pool?.first ?? 0)),
    commit: false,
  }))
  assert.equal(taken, true)
  assert.deepEqual(await verify(server.core), [])
})
