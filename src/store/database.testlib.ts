/** A migrated database of one test file's own, and a pool on it; both gone with the file. */
import { after, before } from 'node:test'
import { silentLogger } from '#kernel/log.ts'
import pg from 'pg'
import { testDatabase, type TestDatabase } from '../../test/lib/postgres.ts'
import { migrate } from './migrate.ts'
import { type Database, openDatabase } from './pool.ts'
import { inTransaction, type Transaction } from './transaction.ts'

export interface StoreUnderTest {
  /** There once the tests run. */
  database(): Database
  /** In a transaction of its own. */
  run<T>(work: (tx: Transaction) => Promise<T>): Promise<T>
}

/** `size`: connections of the pool. */
export function storeUnderTest(size: number): StoreUnderTest {
  let db: TestDatabase | undefined
  let database: Database | undefined
  before(async () => {
    db = await testDatabase()
    const client = new pg.Client({ connectionString: db.url })
    await client.connect()
    await migrate(client).finally(() => client.end())
    database = openDatabase({ url: db.url, size, log: silentLogger, agentDownTime: 75 })
  })
  after(async () => {
    await database?.close()
    await db?.drop()
  })
  return {
    database: () => database as Database,
    run: (work) => inTransaction(database as Database, async (tx) => ({ value: await work(tx) })),
  }
}
