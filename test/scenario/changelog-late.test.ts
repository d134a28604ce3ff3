/**
 * The late-commit trap: a transaction that took its number early and commits late. Readers stop and resume at random
 * while such transactions hold the log open; whatever they read, they read once, in order, and all of it.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { silentLogger } from '#kernel/log.ts'
import { type ChangeRow, createChangeReader, readFence } from '#store/change-reader.ts'
import { parseCursor } from '#store/cursor.ts'
import { createNotifier, type Notifier } from '#store/notify.ts'
import fc from 'fast-check'
import pg from 'pg'
import { mixedLoad } from '../lib/mixed-load.ts'
import { testServer, type TestServer } from '../lib/server.ts'
import { compareWithTables, readWhole, replay, snapshot, verifyRows, verifySuperseded } from '../lib/verify-log.ts'

let server: TestServer
let notifier: Notifier
before(async () => {
  server = await testServer({ settings: { databasePool: 24 } })
  notifier = createNotifier(server.databaseUrl, silentLogger)
})
after(async () => {
  await notifier?.close()
  await server?.close()
})

/** One raw transaction: rows of these objects at once or spread over its life; rolled back where it says so. */
interface Writer {
  readonly wait: number
  readonly rows: readonly number[]
  readonly linger: number
  readonly abort: boolean
}

const objects = Array.from({ length: 6 }, () => randomUUID())
let generation = 0

async function write(url: string, { wait, rows, linger, abort }: Writer): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await sleep(wait)
  await client.query('begin')
  for (const index of rows) {
    await client.query(
      `insert into change (era, actor, actor_name, request_id, project_id, kind, id, op, generation)
        select max(era), 'raw', 'raw', 'raw', '', 'raw', $1, 'update', $2 from eras`,
      [objects[index % objects.length], ++generation],
    )
    await sleep(linger / rows.length)
  }
  await client.query(abort ? 'rollback' : 'commit')
  await client.end()
  notifier.poke()
}

/** Reads until `enough`, handing its position from reader to reader; each takes some batches and goes. */
async function readInVisits(
  from: string,
  stays: readonly number[],
  enough: (rows: readonly ChangeRow[]) => boolean,
): Promise<ChangeRow[]> {
  const rows: ChangeRow[] = []
  let position = from
  for (let visit = 0; !enough(rows); visit++) {
    const reader = await createChangeReader({
      database: server.database,
      from: parseCursor(position),
      hint: notifier.hint,
      log: silentLogger,
      batch: 3,
    })
    let stay = stays[visit % stays.length] ?? 1
    const running = reader.run(async (batch) => {
      rows.push(...batch)
      position = batch.at(-1)?.cursor ?? position
      if (--stay <= 0 || enough(rows)) await reader.close()
    })
    const ended = await Promise.race([running.then(() => true), sleep(400, false)])
    if (!ended) await reader.close()
    await running
  }
  return rows
}

const writer = fc.record({
  wait: fc.nat(60),
  rows: fc.array(fc.nat(5), { minLength: 1, maxLength: 4 }),
  linger: fc.nat(80),
  abort: fc.boolean().map((one) => one && Math.random() < 0.3),
})

test('rows that commit late are read late: none missed, none twice, in order, rightly marked', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(writer, { minLength: 6, maxLength: 14 }),
      fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 5 }),
      async (writers, stays) => {
        const { era, xmax } = await readFence(server.database)
        const from = `${era}.${xmax}.0`
        let done = false
        const expected = async () => (await readWhole(server.database)).filter((row) => row.xid >= xmax)
        let count = Number.POSITIVE_INFINITY
        const writing = Promise.all(writers.map((one) => write(server.databaseUrl, one))).then(async () => {
          count = (await expected()).length
          done = true
        })
        const got = await readInVisits(from, stays, (rows) => done && rows.length >= count)
        await writing
        assert.deepEqual(
          got.map(({ cursor, superseded }) => [cursor, superseded]),
          (await expected()).map(({ cursor, superseded }) => [cursor, superseded]),
        )
      },
    ),
    { numRuns: 12, interruptAfterTimeLimit: 15_000 },
  )
  assert.deepEqual(verifySuperseded(await readWhole(server.database)), [])
})

test('the same beside real operations: a replay of what was read is what the tables hold', async () => {
  const { era, xmax } = await readFence(server.database)
  const there = await snapshot(server.core)
  let done = false
  let count = Number.POSITIVE_INFINITY
  const lingering = Array.from({ length: 12 }, (_, index) =>
    write(server.databaseUrl, { wait: index * 40, rows: [index, index + 1], linger: 150, abort: index % 4 === 3 }),
  )
  const writing = Promise.all([mixedLoad(server.core, { workers: 12, steps: 250 }), ...lingering]).then(
    async ([load]) => {
      assert.deepEqual(load.failed, [])
      count = (await readWhole(server.database)).filter((row) => row.xid >= xmax).length
      done = true
    },
  )
  const [got] = await Promise.all([
    readInVisits(`${era}.${xmax}.0`, [2, 7, 1, 30], (rows) => done && rows.length >= count),
    writing,
  ])
  assert.equal(new Set(got.map(({ cursor }) => cursor)).size, got.length)
  assert.equal(got.length, count)
  const mine = got.filter((row) => row.kind !== 'raw')
  assert.deepEqual(verifyRows(mine), [])
  assert.deepEqual(await compareWithTables(server.core, new Map([...there, ...replay(mine)])), [])
})

test('a reader answers when everything below a transaction is drained, and says how long the fence has been held', async () => {
  const reader = await createChangeReader({
    database: server.database,
    from: null,
    hint: notifier.hint,
    log: silentLogger,
  })
  const running = reader.run(async () => undefined)
  const [{ xid }] = (await server.database.query<{ xid: string }>(
    '/* once */ select pg_current_xact_id()::text as xid',
  )) as [{ xid: string }]
  await reader.waitUntil(BigInt(xid))
  const client = new pg.Client({ connectionString: server.databaseUrl })
  await client.connect()
  await client.query('begin; select pg_current_xact_id()')
  await write(server.databaseUrl, { wait: 0, rows: [1], linger: 0, abort: false })
  const { xmax } = await readFence(server.database)
  let drained = false
  const waiting = reader.waitUntil(xmax).then(() => (drained = true))
  await sleep(300)
  assert.equal(drained, false)
  assert.ok(reader.fenceAge() > 0.1, String(reader.fenceAge()))
  await client.query('commit')
  await waiting
  await client.end()
  await sleep(60)
  assert.equal(reader.fenceAge(), 0)
  await reader.close()
  await running
})
