/** A database that was dumped and restored: its log is whole, its era a new one, and no old position misleads a reader. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { writeBackup } from '#cli/backup.ts'
import { restoreBackup } from '#cli/restore.ts'
import { startThrowawayPostgres } from '#launch/throwaway.ts'
import { readFence, standingOf } from '#store/change-reader.ts'
import { parseCursor, type Cursor } from '#store/cursor.ts'
import { knownMigrations } from '#store/migrate.ts'
import { Client } from 'pg'
import { coreOn } from '../lib/core.ts'
import { direct } from '../lib/direct.ts'
import { mixedLoad } from '../lib/mixed-load.ts'
import { testServer } from '../lib/server.ts'
import { verify } from '../lib/verify.ts'
import { compareWithTables, readAll, readWhole, replay, verifyRows } from '../lib/verify-log.ts'

const root = join(import.meta.dirname, '../..')
const known = async () => new Set((await knownMigrations('expand')).map(({ branch, name }) => `${branch}/${name}`))

async function withClient<T>(url: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

function scratch(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'deuteron-dump-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'dump')
}

const cursorOf = (text: string): Cursor => parseCursor(text) as Cursor

test('restored into a new cluster: the era rises, nothing is hidden, the replay is what the tables hold', async (t) => {
  const file = scratch(t)
  await using server = await testServer({ settings: { databasePool: 16 } })
  // A cluster that has lived: its transaction numbers are far ahead of a new one's.
  for (let round = 0; round < 2; round++) await mixedLoad(server.core, { workers: 8, steps: 70 })
  const before = await readWhole(server.database)
  const halfway = before[Math.floor(before.length / 2)]
  await withClient(server.databaseUrl, (client) => writeBackup(client, file, root, 'test'))
  const { url } = await startThrowawayPostgres()
  await withClient(url, async (client) => restoreBackup(client, file, { force: true, known: await known() }))
  await using restored = await coreOn(url)
  const { core, database } = restored
  assert.equal((await readFence(database)).era, (await readFence(server.database)).era + 1)
  assert.deepEqual(await verify(core), [])
  const rows = await readWhole(database)
  assert.deepEqual(
    rows.map(({ cursor }) => cursor),
    before.map(({ cursor }) => cursor),
  )
  await mixedLoad(core, { workers: 8, steps: 120 })
  const all = await readWhole(database)
  assert.ok(all.length > before.length)
  assert.deepEqual(
    all.slice(0, before.length).map(({ cursor }) => cursor),
    before.map(({ cursor }) => cursor),
  )
  assert.deepEqual(verifyRows(all), [])
  assert.deepEqual(await compareWithTables(core, replay(all)), [])
  assert.deepEqual(await verify(core), [])
  assert.equal(await standingOf(database, cursorOf(halfway?.cursor ?? '')), 'era_changed')
  assert.equal(await standingOf(database, cursorOf(all.at(-1)?.cursor ?? '')), 'readable')
})

test('restored in place: what was read since the dump is of another time, though the cluster is the same', async (t) => {
  const file = scratch(t)
  await using server = await testServer()
  const admin = direct(server.core)
  await admin.make('network', { name: 'kept' })
  await withClient(server.databaseUrl, (client) => writeBackup(client, file, root, 'test'))
  const { id } = await admin.make('network', { name: 'lost' })
  const ahead = cursorOf((await readWhole(server.database)).at(-1)?.cursor ?? '')
  const url = server.databaseUrl
  await withClient(url, async (client) => {
    await client.query(
      'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
    )
    await restoreBackup(client, file, { force: true, known: await known() })
  })
  await using restored = await coreOn(url)
  assert.equal(await standingOf(restored.database, ahead), 'era_changed')
  const { id: next } = await direct(restored.core).make('network', { name: 'next' })
  const rows = await readAll(restored.database)
  assert.ok(rows.some((row) => row.id === next))
  assert.ok(rows.every((row) => row.id !== id))
  assert.deepEqual(await compareWithTables(restored.core, replay(rows)), [])
})

test('an era that begins while another server writes hides none of its rows', async () => {
  await using server = await testServer({ settings: { databasePool: 12 } })
  const old = readFence(server.database)
  let writing = true
  const load = mixedLoad(server.core, { workers: 8, steps: 250 }).finally(() => (writing = false))
  // As after a failover: the same database says that it is another.
  const seen: string[] = []
  let at: Cursor = { era: 0, xid: 0n, seq: 0n }
  let eras = 0
  while (writing) {
    if (eras < 3) {
      await server.database.query(
        `/* once */ update eras set timeline = timeline + 100 where era = (select max(era) from eras)`,
      )
      await using other = await coreOn(server.databaseUrl, { size: 2 })
      assert.ok(other.core)
      eras++
    }
    const rows = await readAll(server.database, at)
    seen.push(...rows.map(({ cursor }) => cursor))
    at = cursorOf(rows.at(-1)?.cursor ?? `${at.era}.${at.xid}.${at.seq}`)
  }
  assert.deepEqual((await load).failed, [])
  seen.push(...(await readAll(server.database, at)).map(({ cursor }) => cursor))
  const whole = await readWhole(server.database)
  assert.deepEqual(
    seen,
    whole.map(({ cursor }) => cursor),
  )
  assert.equal((await readFence(server.database)).era, (await old).era + eras)
  assert.ok(new Set(whole.map(({ era }) => era)).size > 1)
})
