/**
 * A throw-away PostgreSQL for tests: one cluster a process, made on first use, nothing forced to disk; and databases
 * in it. DEUTERON_TEST_DATABASE_URL (superuser, any database) replaces the cluster, so that a run of many files
 * shares one.
 */
import { randomBytes } from 'node:crypto'
import { startThrowawayPostgres } from '#launch/throwaway.ts'
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
  cluster ??= shared ? Promise.resolve({ url: shared }) : startThrowawayPostgres()
  return cluster
}

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
