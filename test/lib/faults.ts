/** A database that fails now and then at COMMIT: transactions that were not committed, and some that were. */
import type { Database } from '#store/pool.ts'
import type { PoolClient, QueryConfig } from 'pg'

/** May change while it is used; Infinity is never. */
export interface Faults {
  /** One transaction in so many is rolled back by a deadlock just before COMMIT. */
  deadlockOneIn: number
  /** One in so many is committed, and the connection lost before the answer. */
  silenceOneIn: number
}

export interface Injected {
  deadlocks: number
  silences: number
}

export function withFaults(database: Database, faults: Readonly<Faults>): { database: Database; injected: Injected } {
  const injected: Injected = { deadlocks: 0, silences: 0 }
  const failing = (client: PoolClient) => async (config: QueryConfig) => {
    if (config.text !== 'commit') return client.query(config)
    if (Math.random() * faults.deadlockOneIn < 1) {
      injected.deadlocks++
      await client.query('rollback')
      throw Object.assign(new Error('deadlock detected'), { code: '40P01' })
    }
    const answer = await client.query(config)
    if (Math.random() * faults.silenceOneIn >= 1) return answer
    injected.silences++
    throw new Error('Connection terminated unexpectedly')
  }
  const connect = async () => {
    const client = await database.pool.connect()
    return { query: failing(client), release: (error?: Error) => client.release(error) }
  }
  const pool = Object.create(database.pool, { connect: { value: connect } })
  return { database: { ...database, pool }, injected }
}
