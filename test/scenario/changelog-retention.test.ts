/** A change log that is shortened: partitions come and go, the past that is left is exact, and who is too late is told. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { readFence, standingOf } from '#store/change-reader.ts'
import { type Cursor, parseCursor } from '#store/cursor.ts'
import { maintainChangeLog } from '#store/retention.ts'
import pg from 'pg'
import { direct, type Direct } from '../lib/direct.ts'
import { testServer, type TestServer } from '../lib/server.ts'
import { subscribe } from '../lib/sse.ts'
import { readWhole } from '../lib/verify-log.ts'

let server: TestServer
let admin: Direct
before(async () => {
  server = await testServer()
  admin = direct(server.core)
})
after(() => server?.close())

const DAY = 86_400
const tend = (keepSeconds: number, span = 1_000_000n) => maintainChangeLog(server.database, { keepSeconds, span })
const now = async (): Promise<string> => {
  await sleep(3)
  const at = new Date().toISOString()
  await sleep(3)
  return at
}
const cursorOf = (text: string | undefined): Cursor => parseCursor(text ?? '') as Cursor
/** Rows get older by so many seconds, as if time had passed. */
const age = (seconds: number) =>
  server.database.query('/* once */ update change set at = at - make_interval(secs => $1)', [seconds])

/** Moves the cluster's transaction numbers on, past the end of partitions. */
const passTransactions = async (count: number): Promise<void> => {
  for (let step = 0; step < count; step++) await server.database.query('/* once */ select pg_current_xact_id()')
}

test('partitions are made ahead of need, and rows that came before them stay where they are', async () => {
  await admin.make('network', { name: 'early' })
  const first = await tend(DAY, 64n)
  assert.ok(first)
  assert.equal(first.deleted, 0)
  assert.deepEqual(first.dropped, [])
  // The range that the rest partition already holds rows of is left to it; two more stand ready.
  assert.equal(first.made.length, 2)
  assert.deepEqual((await tend(DAY, 64n))?.made, [])
  for (let step = 0; step < 90; step++) await admin.make('network', { name: `n${step}` })
  const [spread] = await server.database.query<{ rest: number; elsewhere: number }>(
    `/* once */ select count(*) filter (where tableoid = 'change_rest'::regclass)::int as rest,
      count(*) filter (where tableoid <> 'change_rest'::regclass)::int as elsewhere from change`,
  )
  assert.ok((spread?.rest ?? 0) > 0 && (spread?.elsewhere ?? 0) > 30, JSON.stringify(spread))
  assert.equal((await readWhole(server.database)).length, (spread?.rest ?? 0) + (spread?.elsewhere ?? 0))
})

test('what is old is dropped whole; what has not changed since is still known; before that is no 404 but a refusal', async () => {
  const quiet = await admin.make('network', { name: 'quiet' })
  const renamed = await admin.make('network', { name: 'old name' })
  const removed = await admin.make('network', { name: 'gone' })
  const start = cursorOf((await readWhole(server.database)).at(-1)?.cursor)
  await age(10 * DAY)
  const between = await now()
  await admin.update('network', renamed['id'], { name: 'new name' })
  await admin.remove('network', removed['id'])
  const born = await admin.make('network', { name: 'born' })
  const later = await now()
  const asOf = async (id: string, at: string) => (await admin.show('network', id, at))['name']
  const expectations = async () => {
    assert.equal(await asOf(quiet['id'], between), 'quiet')
    assert.equal(await asOf(renamed['id'], between), 'old name')
    assert.equal(await asOf(renamed['id'], later), 'new name')
    assert.equal(await asOf(removed['id'], between), 'gone')
    await assert.rejects(admin.show('network', removed['id'], later), { type: 'NetworkNotFound' })
    await assert.rejects(admin.show('network', born['id'], between), { type: 'NetworkNotFound' })
    const list = await server.admin.get(`networks?as_of=${between}&fields=name`)
    const names = list.body.networks.map((one: { name: string }) => one.name)
    assert.ok(
      ['quiet', 'old name', 'gone'].every((name) => names.includes(name)),
      String(names),
    )
    assert.ok(!names.includes('born') && !names.includes('new name'))
  }
  await expectations()
  assert.equal(await standingOf(server.database, start), 'readable')
  const outcome = await tend(DAY, 64n)
  assert.ok((outcome?.dropped.length ?? 0) + (outcome?.deleted ?? 0) > 0)
  const [old] = await server.database.query('/* once */ select 1 from change where id = $1', [quiet['id']])
  // Rows of the partition in use stay until it is full; those of the rest partition go one by one.
  if (!old) assert.equal((await server.admin.get(`networks/${quiet['id']}`)).status, 200)
  await expectations()
  const long = new Date(Date.now() - 20 * DAY * 1000).toISOString()
  const refused = await server.admin.get(`networks/${quiet['id']}?as_of=${long}`)
  assert.equal(refused.status, 400)
  assert.equal(refused.body.NeutronError.type, 'BadAsOf')
  assert.equal(refused.body.NeutronError.facts.reason, 'before_history')
  assert.match(refused.body.NeutronError.message, /changes are kept since \d{4}-/)
  assert.equal((await server.admin.get(`networks?as_of=${long}`)).status, 400)
})

test('when nothing is left of the log, the past since then is the present', async () => {
  const lasting = await admin.make('network', { name: 'lasting' })
  await age(30 * DAY)
  await passTransactions(130)
  assert.ok(((await tend(DAY, 64n))?.dropped.length ?? 0) > 0)
  assert.deepEqual(await server.database.query('/* once */ select 1 from change where id = $1', [lasting['id']]), [])
  const at = await now()
  assert.equal((await admin.show('network', lasting['id'], at))['name'], 'lasting')
})

test('a position that the log has left behind is expired, and a watch from there begins with a reset', async () => {
  const before = cursorOf((await readWhole(server.database)).at(0)?.cursor ?? '1.1.1')
  await admin.make('network', {})
  await age(40 * DAY)
  await passTransactions(130)
  assert.ok(((await tend(DAY, 64n))?.dropped.length ?? 0) > 0)
  const early = { ...before, xid: before.xid - 1n }
  assert.equal(await standingOf(server.database, early), 'cursor_expired')
  const { era, xmin } = await readFence(server.database)
  assert.equal(await standingOf(server.database, { era, xid: xmin, seq: 0n }), 'readable')
  const late = await subscribe(server.url, { from: `${early.era}.${early.xid}.0` })
  const reset = await late.until(({ event }) => event === 'reset')
  assert.equal(reset.data.reason, 'cursor_expired')
  const { id } = await admin.make('network', {})
  await late.until(({ data }) => data.id === id)
  late.leave()
  const again = await subscribe(server.url, { from: reset.id })
  await again.until(({ event }) => event === 'start')
  await again.until(({ data }) => data.id === id)
  again.leave()
})

test('one server tends the log at a time, and gives way to writers that take long', async () => {
  await passTransactions(200)
  const client = new pg.Client({ connectionString: server.databaseUrl })
  await client.connect()
  await client.query('begin; lock table change in row exclusive mode')
  const began = Date.now()
  const tending = Promise.allSettled([tend(DAY, 64n), sleep(100).then(() => tend(DAY, 64n))])
  const [stuck, second] = await tending
  assert.ok(Date.now() - began < 6000)
  assert.equal(stuck.status, 'rejected')
  assert.deepEqual(second, { status: 'fulfilled', value: null })
  await client.query('rollback')
  await client.end()
})
