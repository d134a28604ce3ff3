/** `deuteron db` from outside: a backup restores every row, into any database, whole or not at all. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { migrate } from '#store/migrate.ts'
import { Client } from 'pg'
import { installation } from '../lib/installation.ts'
import { testDatabase } from '../lib/postgres.ts'

const STUB = join(import.meta.dirname, 'launch-stub-server.ts')
const root = process.getuid?.() === 0
const limit = { timeout: 60_000 }

const using = async <T>(url: string, work: (client: Client) => Promise<T>): Promise<T> => {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

const AWKWARD = [
  '',
  '\\.',
  'a\tb',
  'a\nb\r\nc',
  'a\\b',
  '\\N',
  'line\u2028separator',
  'naïve 網路',
  '{"a":1}',
  'x'.repeat(70_000),
]

/** A migrated database with rows that are awkward to copy, references, a partition and a moved sequence. */
const fill = (url: string): Promise<void> =>
  using(url, async (client) => {
    await migrate(client)
    await client.query(`create table change_some partition of change for values from (1, '100') to (1, '200')`)
    for (const [i, name] of AWKWARD.entries()) {
      const { rows } = await client.query<{ id: string }>(
        `insert into networks (id, project_id, name, description, admin_state_up, status, mtu, port_security_enabled,
            revision_number, created_at, updated_at)
          values (gen_random_uuid(), 'p', $1, $1, true, 'ACTIVE', 1500, true, $2, now(), now()) returning id`,
        [name, i],
      )
      await client.query(
        `insert into network_segments (id, network_id, network_type, segmentation_id) values (gen_random_uuid(), $1, 'vxlan', $2)`,
        [rows[0]?.id, i + 1],
      )
      await client.query(
        `insert into change (era, xid, actor, actor_name, request_id, project_id, kind, id, op, generation, after)
         values (1, $1::text::xid8, 'a', 'a', 'r', 'p', 'network', $2, 'create', 1, jsonb_build_object('name', $3::text))`,
        [String(95 + i), rows[0]?.id, name],
      )
    }
  })

/** A fingerprint of every table's rows, by table. */
const contents = (url: string): Promise<Record<string, string>> =>
  using(url, async (client) => {
    const { rows: tables } = await client.query<{ name: string }>(
      `select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' order by 1`,
    )
    const found: Record<string, string> = {}
    for (const { name } of tables) {
      const { rows } = await client.query<{ sum: string }>(
        `select count(*) || ' ' || coalesce(md5(string_agg(md5(t::text), '' order by md5(t::text))), '') as sum from "${name}" t`,
      )
      found[name] = rows[0]?.sum ?? ''
    }
    return found
  })

/** Constraints, triggers and indexes. */
const structure = (url: string): Promise<unknown[]> =>
  using(url, async (client) => {
    const { rows } = await client.query(
      `select conrelid::regclass::text as on, conname as name, pg_get_constraintdef(oid) as is from pg_constraint
         where connamespace = 'public'::regnamespace
       union all select tgrelid::regclass::text, tgname, tgenabled::text from pg_trigger where not tgisinternal
       union all select tablename, indexname, indexdef from pg_indexes where schemaname = 'public' order by 1, 2, 3`,
    )
    return rows
  })

test('a backup restores every row, reference, trigger, partition and sequence', limit, async (t) => {
  const { run, folder } = installation(t, STUB)
  await using source = await testDatabase()
  await using target = await testDatabase()
  await fill(source.url)
  const file = join(folder, 'backup')
  const made = await run(['db', 'backup', file, '--database', source.url])
  assert.deepEqual([made.code, made.stderr], [0, ''])
  const restored = await run(['db', 'restore', file, '--database', target.url])
  assert.deepEqual([restored.code, restored.stderr], [0, ''])
  const [before, after] = [await contents(source.url), await contents(target.url)]
  assert.deepEqual(after, before)
  assert.match(before['change_some'] ?? '', /^5 /)
  assert.deepEqual(await structure(target.url), await structure(source.url))
  const next = (url: string): Promise<unknown> =>
    using(
      url,
      async (client) => (await client.query(`select nextval(pg_get_serial_sequence('change', 'seq')) as n`)).rows[0],
    )
  assert.deepEqual(await next(target.url), await next(source.url))
  const status = await run(['db', 'status', '--database', target.url])
  assert.match(status.stdout, /^change log +\d{4}-.* UTC, 10 entries$/m)
  assert.match(status.stdout, /^expand +\d+ applied$/m)
})

test('a restore refuses what it cannot do and then changes nothing', limit, async (t) => {
  const { run, folder } = installation(t, STUB)
  await using source = await testDatabase()
  await fill(source.url)
  const file = join(folder, 'backup')
  await run(['db', 'backup', file, '--database', source.url])
  const before = await contents(source.url)
  const restore = (name: string, ...more: string[]) => run(['db', 'restore', name, '--database', source.url, ...more])

  assert.match((await restore(file)).stderr, /^deuteron: The database is not empty \(\d+ tables\): .*--force\.\n$/)
  const whole = readFileSync(file)
  writeFileSync(join(folder, 'short'), whole.subarray(0, whole.length - 200))
  assert.match((await restore(join(folder, 'short'), '--force')).stderr, /short is not a backup, or was cut short/)
  writeFileSync(join(folder, 'text'), 'hello')
  assert.match((await restore(join(folder, 'text'), '--force')).stderr, /text is not a backup/)
  assert.match((await restore(join(folder, 'none'))).stderr, /There is no file/)
  await using(source.url, async () => {
    assert.match((await restore(file, '--force')).stderr, /The database is in use \(1 connections\): stop the servers/)
  })
  assert.deepEqual(await contents(source.url), before)

  await using(source.url, (client) => client.query('delete from network_segments'))
  const forced = await restore(file, '--force')
  assert.deepEqual([forced.code, forced.stderr], [0, ''])
  assert.deepEqual(await contents(source.url), before)
})

test('a backup goes into a new file only, and is named when it cannot be written', limit, async (t) => {
  const { run, folder } = installation(t, STUB)
  await using source = await testDatabase()
  const backup = (name: string, options = {}) => run(['db', 'backup', name, '--database', source.url], options)
  assert.match((await backup(join(folder, 'b'))).stderr, /holds nothing of Deuteron/)
  await fill(source.url)
  writeFileSync(join(folder, 'taken'), '')
  assert.match((await backup(join(folder, 'taken'))).stderr, /taken exists: choose another file/)
  assert.match(
    (await backup(join(folder, 'no/such'))).stderr,
    /The backup file \S+ lies in a folder that does not exist/,
  )
  mkdirSync(join(folder, 'closed'))
  chmodSync(join(folder, 'closed'), 0o555)
  if (!root) {
    assert.match((await backup(join(folder, 'closed/b'))).stderr, /The backup file \S+ is not writable/)
  }
  const wrong = await run(['db', 'status', '--database', 'postgresql://nobody@127.0.0.1:1/x'])
  assert.match(wrong.stderr, /^deuteron: The database cannot be reached: .*ECONNREFUSED.*Check --database\.\n$/)
})

test('a backup that fills the disk leaves nothing behind', {
  ...limit,
  skip: root ? false : 'needs root, to mount a small disk',
}, async (t) => {
  const { run, folder } = installation(t, STUB)
  await using source = await testDatabase()
  await fill(source.url)
  await using(source.url, (client) =>
    client.query(`insert into eras select n, (select string_agg(md5(random()::text), '') from generate_series(1, 30) where n > 0), 1
      from generate_series(100, 1100) n`),
  )
  const disk = join(folder, 'disk')
  mkdirSync(disk)
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'deuteron-test', disk]).status !== 0)
    return t.skip('no mounts here')
  try {
    const { code, stderr } = await run(['db', 'backup', join(disk, 'b'), '--database', source.url])
    assert.deepEqual(
      [code, stderr],
      [1, `deuteron: The backup file ${disk}/b lies on a full disk: free some space or choose another.\n`],
    )
    assert.deepEqual(readdirSync(disk), [])
  } finally {
    execFileSync('umount', ['-l', disk])
  }
})

test('the embedded database is backed up without up, and restored into a new folder', limit, async (t) => {
  const { run, data, folder } = installation(t, STUB)
  assert.match((await run(['db', 'status', '--data', data])).stderr, /There is no database in \S+: name another folder/)
  const other = join(folder, 'other')
  await using source = await testDatabase()
  await fill(source.url)
  await run(['db', 'backup', join(folder, 'a'), '--database', source.url])
  const restored = await run(['db', 'restore', join(folder, 'a'), '--data', data])
  assert.deepEqual([restored.code, restored.stderr], [0, ''])
  const again = await run(['db', 'backup', join(folder, 'b'), '--data', data])
  assert.match(again.stdout, /rows of \d+ tables\n$/)
  const elsewhere = await run(['db', 'restore', join(folder, 'b'), '--data', other])
  assert.equal(elsewhere.stdout, restored.stdout)
  const migrated = await run(['db', 'migrate', '--data', other])
  assert.equal(migrated.stdout, 'nothing to do\n')
})
