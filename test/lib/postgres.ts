/**
 * A throw-away PostgreSQL for tests: one cluster a process, made on first use, nothing forced to disk; and databases
 * in it. DEUTERON_TEST_DATABASE_URL (superuser, any database) replaces the cluster, so that a run of many files
 * shares one.
 *
 * Nothing needs to be stopped: a watcher holds a pipe to the test process and, when that ends in whatever way, stops
 * the cluster and removes its folder.
 */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmodSync, mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { silentLogger } from '#kernel/log.ts'
import { startEmbeddedPostgres } from '#launch/postgres.ts'
import { Client } from 'pg'

export interface TestDatabase extends AsyncDisposable {
  readonly name: string
  readonly url: string
  /** Drops it, ending connections that are still open. */
  drop(): Promise<void>
}

let cluster: Promise<{ url: string }> | undefined

/** The cluster of this process, as the URL of a superuser. */
export const testCluster = (): Promise<{ url: string }> => {
  const shared = process.env['DEUTERON_TEST_DATABASE_URL']
  cluster ??= shared ? Promise.resolve({ url: shared }) : startCluster()
  return cluster
}

const startCluster = async (): Promise<{ url: string }> => {
  const folder = mkdtempSync('/tmp/deuteron-test-')
  chmodSync(folder, 0o711)
  const dataDir = join(folder, 'pg')
  const postgres = await startEmbeddedPostgres({ dataDir, log: silentLogger, durable: false, settings: TEST_SETTINGS })
  // A zombie has no exe: where nobody reaps orphans, kill -0 would succeed for ever.
  const script =
    'read -r _; kill -QUIT "$0" 2>/dev/null; while readlink "/proc/$0/exe" >/dev/null; do sleep 0.05; done; rm -rf "$1"'
  const watcher = spawn('/bin/sh', ['-c', script, String(postgres.pid), folder], {
    detached: true,
    cwd: '/',
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  watcher.unref()
  const pipe = watcher.stdin as typeof watcher.stdin & { unref?: () => void }
  pipe.unref?.()
  return { url: postgres.url }
}

/** Room for many suites at once; logs only what went wrong. */
const TEST_SETTINGS = { max_connections: '200', shared_buffers: '64MB', log_min_messages: 'panic' }

const admin = async (text: string): Promise<void> => {
  const { url } = await testCluster()
  const client = new Client({ connectionString: withDatabase(url, 'postgres') })
  await client.connect()
  try {
    await client.query(text)
  } finally {
    await client.end()
  }
}

const withDatabase = (url: string, name: string): string => {
  const changed = new URL(url)
  changed.pathname = `/${name}`
  return changed.href
}

/**
 * A new, empty database; with `template` a copy of that one (nobody may be connected to it meanwhile).
 * `await using db = await testDatabase()` drops it at the end of the block.
 */
export const testDatabase = async (options: { template?: string } = {}): Promise<TestDatabase> => {
  const name = `test_${randomBytes(6).toString('hex')}`
  const { url } = await testCluster()
  const strategy = options.template ? `template "${options.template}" strategy file_copy` : 'template template0'
  await admin(`create database "${name}" ${strategy}`)
  const drop = (): Promise<void> => admin(`drop database if exists "${name}" with (force)`)
  return { name, url: withDatabase(url, name), drop, [Symbol.asyncDispose]: drop }
}
