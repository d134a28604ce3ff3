/** One READ COMMITTED transaction, retried whole on deadlock and serialization failure. */
import type { Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { PoolClient, QueryResult } from 'pg'
import { ApiError } from '#kernel/errors.ts'
import { type Database, isRetryable, isUnavailable, type Params, type Query, sendOn, translated } from './pool.ts'

export interface Transaction {
  readonly query: Query
}

export interface Outcome<T> {
  readonly value: T
  /** The last statements, sent together with COMMIT: hot rows (quota counters) are locked for the shortest time. */
  readonly last?: readonly { readonly text: string; readonly params: Params }[]
  /** False: everything is rolled back and `value` is answered all the same. */
  readonly commit?: boolean
}

const MAX_TRIES = 10

/**
 * `work` may run several times and must leave nothing behind but its statements. `explain` puts a violated constraint
 * into the caller's words, before it is decided whether to run again.
 */
export async function inTransaction<T>(
  database: Database,
  work: (tx: Transaction) => Promise<Outcome<T>>,
  explain: (error: unknown) => unknown = (error) => error,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await once(database, work)
    } catch (failure) {
      const error = explain(failure)
      if (!isRetryable(error) || attempt === MAX_TRIES)
        throw isRetryable(error) ? standingInTheWay(error) : translated(error)
      await sleep(Math.random() * 5 * 2 ** Math.min(attempt, 6))
    }
  }
}

/** Objects of one request that exclude each other look like another writer each time. */
const standingInTheWay = (error: unknown): ApiError => new ApiError('Conflict', { reason: (error as Error).message })

async function once<T>(database: Database, work: (tx: Transaction) => Promise<Outcome<T>>): Promise<T> {
  const client = await database.pool.connect()
  let broken: Error | undefined
  /** Why the transaction is aborted: what is sent before an answer is there hears only that it is. */
  let cause: unknown
  /** Branches of a work that failed elsewhere may still go on: what they ask for is nobody else's transaction's. */
  let over = false
  try {
    // Sent at once, answered in order: the first statement of the work waits behind it in the socket, not here.
    database.onStatement?.('begin')
    inOneWrite(client)
    const begun = client.query('begin')
    begun.catch(() => undefined)
    const query: Query = async (text, params = []) => {
      if (over) throw new Error('the transaction is over')
      try {
        return (await run(client, text, params, database)).rows as never
      } catch (error) {
        if (!isConsequence(error)) cause = error
        throw error
      }
    }
    const { value, last = [], commit = true } = await work({ query })
    over = true
    const tail = last.map(({ text, params }) => run(client, text, params, database))
    const end = run(client, commit ? 'commit' : 'rollback', [], database)
    const results = await Promise.allSettled([begun, ...tail, end])
    const failed = results.find((one) => one.status === 'rejected')
    if (failed) throw failed.reason
    // What nobody waited for has failed: COMMIT is answered, and says what became of it.
    if (commit && (await end).command === 'ROLLBACK') throw cause ?? new Error('COMMIT was answered ROLLBACK')
    return value
  } catch (error) {
    over = true
    broken = isUnavailable(error)
      ? (error as Error)
      : await client.query('rollback').then(
          () => undefined,
          (rollbackError: Error) => rollbackError,
        )
    throw isConsequence(error) ? (cause ?? error) : error
  } finally {
    client.release(broken)
  }
}

/**
 * What a statement hears that was sent before the failure of an earlier one was known: that the transaction is aborted,
 * or, where the earlier one was to prepare it, that it was never prepared.
 */
const isConsequence = (error: unknown): boolean => {
  const { code } = error as { readonly code?: string }
  return code === IN_FAILED_TRANSACTION || code === INVALID_STATEMENT_NAME
}
const IN_FAILED_TRANSACTION = '25P02'
const INVALID_STATEMENT_NAME = '26000'

function run(client: PoolClient, text: string, params: Params, { onStatement }: Database): Promise<QueryResult> {
  inOneWrite(client)
  return sendOn(client, text, params, onStatement)
}

/** Statements sent in one turn of the event loop leave in one write: waking the other process costs more than most. */
function inOneWrite(client: PoolClient): void {
  const stream = (client as { readonly connection?: { readonly stream: Writable } }).connection?.stream
  stream?.cork()
  process.nextTick(() => stream?.uncork())
}
