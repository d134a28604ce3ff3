/** A database that fails now and then at COMMIT: transactions that were not committed, and some that were. */
import type { Database } from '#store/pool.ts'
import type { PoolClient, Query, ResultBuilder } from 'pg'

/** May change while it is used; Infinity is never. */
export interface Faults {
  /** One transaction in so many is rolled back by a deadlock just before COMMIT. */
  deadlockOneIn: number
  /** One statement in so many hears of a deadlock itself; with it all that was sent behind it. */
  statementOneIn?: number
  /** One in so many is committed, and the connection lost before the answer. */
  silenceOneIn: number
}

export interface Injected {
  deadlocks: number
  silences: number
}

/** A statement on its way: whoever waits for it is called. */
type Sent = Query & {
  text?: string
  name?: string | undefined
  values?: unknown[]
  callback: (error: Error | undefined, result?: ResultBuilder) => void
}

const DEADLOCK = "do $$ begin raise exception 'deadlock detected' using errcode = '40P01'; end $$"

export function withFaults(database: Database, faults: Readonly<Faults>): { database: Database; injected: Injected } {
  const injected: Injected = { deadlocks: 0, silences: 0 }
  const failing = (client: PoolClient) => (sent: Sent) => {
    if (sent.text !== undefined && sent.text !== 'commit' && Math.random() * (faults.statementOneIn ?? Infinity) < 1) {
      injected.deadlocks++
      Object.assign(sent, { text: DEADLOCK, name: undefined, values: [] })
    }
    if (sent.text !== 'commit') return client.query(sent)
    const { callback } = sent
    if (Math.random() * faults.deadlockOneIn < 1) {
      injected.deadlocks++
      const deadlock = Object.assign(new Error('deadlock detected'), { code: '40P01' })
      return client.query('rollback').then(() => callback(deadlock))
    }
    sent.callback = (error, result) => {
      if (error || Math.random() * faults.silenceOneIn >= 1) return callback(error, result)
      injected.silences++
      callback(new Error('Connection terminated unexpectedly'))
    }
    return client.query(sent)
  }
  const connect = async () => {
    const client = await database.pool.connect()
    return { query: failing(client), release: (error?: Error) => client.release(error) }
  }
  const pool = Object.create(database.pool, { connect: { value: connect } })
  return { database: { ...database, pool }, injected }
}
