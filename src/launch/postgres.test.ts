import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { silentLogger } from '#kernel/log.ts'
import { Client } from 'pg'
import { identConf, parsePostmasterPid, postgresqlConf, socketFolder, socketUrl } from './pg-config.ts'
import { startEmbeddedPostgres } from './postgres.ts'
import { isAlive, processesIn, signal, takePidLock, until } from './processes.ts'

const clusterFolder = (t: TestContext): string => {
  const folder = mkdtempSync('/tmp/deuteron-pg-')
  chmodSync(folder, 0o755)
  t.after(() => {
    for (const pid of processesIn(join(folder, 'data'), 'postgres')) signal(pid, 'SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  })
  return join(folder, 'data')
}

const query = async (url: string, text: string): Promise<unknown[]> => {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query<Record<string, unknown>>(text)).rows
  } finally {
    await client.end()
  }
}

test('a socket lies in the data folder while its path fits', () => {
  assert.equal(socketFolder('/srv/data', '/run/x'), '/srv/data')
  const long = `/srv/${'d'.repeat(90)}`
  const short = socketFolder(long, '/run/x')
  assert.match(short, /^\/run\/x-[0-9a-f]{12}$/)
  assert.notEqual(short, socketFolder(`${long}e`, '/run/x'))
  assert.equal(new URL(socketUrl('/a b/c', 'x')).searchParams.get('host'), '/a b/c')
})

test('settings are quoted, users of the database listed once', () => {
  assert.match(postgresqlConf("/it's", { jit: 'on' }), /unix_socket_directories = '\/it''s'/)
  assert.match(postgresqlConf('/x', { jit: 'on' }), /^jit = 'on'$/m)
  assert.equal(identConf(['root', 'a', 'root']), 'deuteron "root" deuteron\ndeuteron "a" deuteron\n')
})

test('a postmaster.pid is read when it is complete enough', () => {
  const whole = '12\n/data\n1700000000\n5432\n/run/x\n\n  123 456\nready   \n'
  assert.deepEqual(parsePostmasterPid(whole), { pid: 12, dataDir: '/data', socketDir: '/run/x', ready: true })
  assert.equal(parsePostmasterPid(whole.replace('ready   ', 'starting'))?.ready, false)
  assert.equal(parsePostmasterPid('12'), null)
  assert.equal(parsePostmasterPid(''), null)
})

test('a cluster is durable, reached by socket alone, adopted when it runs, and stopped', async (t) => {
  const dataDir = clusterFolder(t)
  const first = await startEmbeddedPostgres({ dataDir, log: silentLogger })
  const [shown] = await query(
    first.url,
    `select current_setting('listen_addresses') as listen, current_setting('fsync') as fsync, current_setting('jit') as jit,
      current_setting('synchronous_commit') as sync, current_setting('idle_in_transaction_session_timeout') as idle`,
  )
  assert.deepEqual(shown, { listen: '', fsync: 'on', jit: 'off', sync: 'on', idle: '30s' })
  const second = await startEmbeddedPostgres({ dataDir, log: silentLogger })
  assert.deepEqual([second.adopted, second.pid, second.url], [true, first.pid, first.url])
  await second.stop()
  assert.equal(isAlive(first.pid), false)
  await first.stop() // stopping twice is no error
})

test('a killed postmaster with a child that will not go: the next start has all committed rows', async (t) => {
  const dataDir = clusterFolder(t)
  const first = await startEmbeddedPostgres({ dataDir, log: silentLogger })
  await query(first.url, 'create table t as select generate_series(1, 1000) as n')
  const child = processesIn(dataDir, 'postgres').find((pid) => pid !== first.pid) ?? 0
  signal(child, 'SIGSTOP') // it cannot notice that its parent died
  signal(first.pid, 'SIGKILL')
  await until(() => !isAlive(first.pid), 5000)
  assert.equal(isAlive(child), true)
  const second = await startEmbeddedPostgres({ dataDir, log: silentLogger, patienceMs: 300 })
  assert.equal(second.adopted, false)
  assert.deepEqual(await query(second.url, 'select count(*)::int as n from t'), [{ n: 1000 }])
  await second.stop('immediate')
})

test('a pid file whose pid now belongs to another program does not keep the cluster down', async (t) => {
  const dataDir = clusterFolder(t)
  const first = await startEmbeddedPostgres({ dataDir, log: silentLogger, durable: false })
  const text = readFileSync(join(dataDir, 'postmaster.pid'), 'utf8')
  await first.stop()
  writeFileSync(join(dataDir, 'postmaster.pid'), text.replace(/^\d+/, String(process.pid)))
  await using second = await startEmbeddedPostgres({ dataDir, log: silentLogger, durable: false })
  assert.equal(second.adopted, false)
})

test('data of another major version, or a folder with other things in it, is refused with what to do', async (t) => {
  const dataDir = clusterFolder(t)
  const first = await startEmbeddedPostgres({ dataDir, log: silentLogger, durable: false })
  await first.stop()
  writeFileSync(join(dataDir, 'PG_VERSION'), '15\n')
  await assert.rejects(
    startEmbeddedPostgres({ dataDir, log: silentLogger }),
    /is of PostgreSQL 15, .* brings 18: write a backup/,
  )
  rmSync(join(dataDir, 'PG_VERSION'))
  await assert.rejects(startEmbeddedPostgres({ dataDir, log: silentLogger }), /is not empty and holds no database/)
})

test('a pid lock is exclusive, and a dead holder holds nothing', (t) => {
  const folder = mkdtempSync('/tmp/deuteron-lock-')
  t.after(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'lock')
  writeFileSync(path, `${process.ppid} 1\n`) // that process lives, and started at another time
  const lock = takePidLock(path)
  assert.ok('release' in lock)
  assert.match(readFileSync(path, 'utf8'), new RegExp(`^${process.pid} \\d+\n$`))
  lock.release()
  assert.throws(() => readFileSync(path), /ENOENT/)
})
