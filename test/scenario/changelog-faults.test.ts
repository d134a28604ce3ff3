/** Transactions that fail, answers that get lost, a PostgreSQL that is killed: whole objects or none, and recovery by itself. */
import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createApi } from '#api/server.ts'
import { readHorizon } from '#feed/queries.ts'
import { createNone } from '#identity/none.ts'
import { ApiError } from '#kernel/errors.ts'
import { silentLogger } from '#kernel/log.ts'
import { createRegistry } from '#kernel/metrics.ts'
import { startEmbeddedPostgres } from '#launch/postgres.ts'
import { type ChangeRow, createChangeReader, standingOf } from '#store/change-reader.ts'
import { parseCursor } from '#store/cursor.ts'
import { migrate } from '#store/migrate.ts'
import { createNotifier } from '#store/notify.ts'
import { goesBack } from '#wire/position.ts'
import { Client } from 'pg'
import { hostsIn } from '../../bin/feed.ts'
import { coreOn } from '../lib/core.ts'
import { direct } from '../lib/direct.ts'
import { type Injected, withFaults } from '../lib/faults.ts'
import { mixedLoad } from '../lib/mixed-load.ts'
import { testServer } from '../lib/server.ts'
import { subscribe } from '../lib/sse.ts'
import { verify } from '../lib/verify.ts'
import { compareWithTables, readAll, readWhole, replay, verifyRows } from '../lib/verify-log.ts'

const unreachable = (error: unknown): boolean => error instanceof ApiError && error.status === 503

test('deadlocks before COMMIT and lost answers after it: the results are the same, and nothing is half done', async () => {
  await using server = await testServer()
  const faults = { deadlockOneIn: Infinity, statementOneIn: Infinity, silenceOneIn: Infinity }
  let injected: Injected = { deadlocks: 0, silences: 0 }
  await using failing = await coreOn(server.databaseUrl, {
    size: 16,
    wrap: (real) => {
      const { database, injected: counts } = withFaults(real, faults)
      injected = counts
      return database
    },
  })
  Object.assign(faults, { deadlockOneIn: 15, statementOneIn: 60, silenceOneIn: 40 })
  const { failed, done } = await mixedLoad(failing.core, { workers: 12, steps: 350, tolerate: unreachable })
  assert.deepEqual(failed, [])
  assert.ok(injected.deadlocks > 5 && injected.silences > 0, JSON.stringify(injected))
  assert.ok((done['create port'] ?? 0) > 10)
  assert.deepEqual(await verify(server.core), [])
  const rows = await readWhole(server.database)
  assert.deepEqual(verifyRows(rows), [])
  assert.deepEqual(await compareWithTables(server.core, replay(rows)), [])
})

function folder(t: TestContext): string {
  const made = mkdtempSync('/tmp/deuteron-kill-')
  chmodSync(made, 0o755)
  t.after(() => rmSync(made, { recursive: true, force: true }))
  return join(made, 'pg')
}

test('PostgreSQL killed and started again under load: 503 meanwhile, then everything that was answered', async (t) => {
  const options = {
    dataDir: folder(t),
    log: silentLogger,
    durable: false,
    settings: { synchronous_commit: 'on', full_page_writes: 'on' },
  }
  const first = await startEmbeddedPostgres(options)
  const client = new Client({ connectionString: first.url })
  await client.connect()
  await migrate(client)
  await client.end()
  await using own = await coreOn(first.url, { size: 10 })
  const notifier = createNotifier(first.url, silentLogger)
  const core = { ...own.core, notifier }
  const app = createApi({
    core,
    identity: createNone(),
    ...hostsIn(own.database),
    hint: () => notifier.hint(),
    metrics: createRegistry(),
    log: silentLogger,
    maxBodySize: 1e6,
    requestTimeout: 60,
    maxLimit: 1000,
  })
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const watcher = await subscribe(url, { query: '?kind=port' })
  // The ranges of segmentation ids were stored with the server's start.
  const read = (await readWhole(own.database)).map((row) => row.cursor)
  const reader = await createChangeReader({
    database: own.database,
    from: null,
    hint: notifier.hint,
    log: silentLogger,
  })
  const reading = reader.run(async (rows) => void read.push(...rows.map((row) => row.cursor)))
  const answered = new Set<string>()
  const load = (steps: number) =>
    mixedLoad(core, {
      workers: 8,
      steps,
      tolerate: (error) => unreachable(error) && (outages++, true),
      onMade: (kind, id) => kind === 'port' && answered.add(id),
      onRemoving: (_, id) => answered.delete(id),
    })
  let outages = 0
  let over = false
  t.after(() => void (over = true))
  const running = (async () => {
    const failed: string[] = []
    while (!over) {
      failed.push(...(await load(40)).failed)
      if (outages > 0) await sleep(20)
    }
    return failed
  })()
  await sleep(800)
  process.kill(first.pid, 'SIGKILL')
  const create = () => app.inject({ method: 'POST', url: '/v2.0/networks', payload: { network: {} } })
  let down = await create()
  // A backend may finish what it does before it sees that its postmaster is gone.
  for (let patience = 100; down.statusCode === 201 && patience > 0; patience--) {
    await sleep(30)
    down = await create()
  }
  assert.equal(down.statusCode, 503)
  assert.equal(down.json().NeutronError.type, 'ServiceUnavailable')
  assert.equal(down.headers['retry-after'], '1')
  assert.equal((await app.inject({ method: 'GET', url: '/healthz' })).statusCode, 503)
  assert.equal((await app.inject({ method: 'GET', url: '/v2.0/networks' })).statusCode, 503)
  await using again = await startEmbeddedPostgres(options)
  assert.equal(again.url, first.url)
  let status = 0
  for (let patience = 100; status !== 201 && patience > 0; patience--) {
    status = (await create()).statusCode
    await sleep(50)
  }
  assert.equal(status, 201)
  over = true
  assert.deepEqual(await running, [])
  assert.ok(outages > 0)
  const admin = direct(core)
  const { id: network_id } = await admin.make('network', {})
  const last = await admin.make('port', { network_id })
  await watcher.until(({ data }) => data.id === last['id'])
  watcher.leave()
  assert.deepEqual(await verify(core), [])
  const rows = await readWhole(own.database)
  assert.deepEqual(verifyRows(rows), [])
  assert.deepEqual(await compareWithTables(core, replay(rows)), [])
  const there = new Set(
    (await own.database.query<{ id: string }>('/* once */ select id from ports')).map((row) => row.id),
  )
  assert.deepEqual(
    [...answered].filter((id) => !there.has(id)),
    [],
  )
  for (let patience = 100; read.length < rows.length && patience > 0; patience--) await sleep(20)
  assert.deepEqual(
    read,
    rows.map((row) => row.cursor),
  )
  await reader.close()
  await reading
  await app.close()
  await notifier.close()
})

test('numbers of transactions that a crash takes back and gives out again hide no row', async (t) => {
  const options = { dataDir: folder(t), log: silentLogger, durable: false, settings: { synchronous_commit: 'on' } }
  const first = await startEmbeddedPostgres(options)
  const client = new Client({ connectionString: first.url })
  await client.connect()
  await migrate(client)
  await using own = await coreOn(first.url, { size: 4 })
  const admin = direct(own.core)
  await admin.make('network', {})
  const before = await readWhole(own.database)
  // Numbers that nothing in the write-ahead log speaks of.
  const wasted: bigint[] = []
  for (let count = 0; count < 200; count++) {
    const { rows } = await client.query<{ xid: string }>('select pg_current_xact_id()::text as xid')
    wasted.push(BigInt(rows[0]?.xid ?? 0))
  }
  client.on('error', () => undefined)
  const read: ChangeRow[] = []
  const reader = await createChangeReader({
    database: own.database,
    from: null,
    hint: () => new Promise(() => undefined),
    log: silentLogger,
  })
  const position = reader.position()
  const reading = reader.run(async (rows) => void read.push(...rows))
  await reader.waitUntil((wasted.at(-1) ?? 0n) + 1n)
  const hello = await readHorizon(own.database)
  process.kill(first.pid, 'SIGKILL')
  await using again = await startEmbeddedPostgres(options)
  assert.equal(again.url, first.url)
  let id: unknown
  for (let patience = 100; !id && patience > 0; patience--) {
    id = await admin.make('network', {}).then(
      (made) => made['id'],
      () => sleep(50),
    )
  }
  const rows = await readWhole(own.database)
  const added = rows.slice(before.length)
  assert.ok(added.some((row) => row.id === id))
  assert.ok(
    added.every((row) => row.xid <= (wasted.at(-1) ?? 0n)),
    'numbers were given out again',
  )
  for (let patience = 100; read.length < added.length && patience > 0; patience--) await sleep(20)
  assert.deepEqual(
    read.map(({ cursor }) => cursor),
    added.map(({ cursor }) => cursor),
  )
  const stood = parseCursor(position) ?? assert.fail(position)
  assert.equal(await standingOf(own.database, stood), 'readable')
  assert.deepEqual(await readAll(own.database, stood), added)
  assert.equal(hello.position, before.at(-1)?.cursor)
  assert.equal(goesBack(hello.position, (await readHorizon(own.database)).position), false)
  await reader.close()
  await reading
})
