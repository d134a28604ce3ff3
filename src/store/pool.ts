/**
 * The connection pool and what is the matter when it fails. Statements that return often are prepared under a name
 * made from their text; everything else runs unnamed.
 */
import { createHash } from 'node:crypto'
import { ApiError } from '#kernel/errors.ts'
import type { Logger } from '#kernel/log.ts'
import pg from 'pg'

export type Params = readonly unknown[]
export interface Query {
  <R extends pg.QueryResultRow = pg.QueryResultRow>(text: string, params?: Params): Promise<R[]>
}

/** Receives the rows of one statement, each as its columns' values, while the others are on their way. */
export type Stream = (text: string, params: Params, take: (row: string[]) => void) => Promise<void>

export interface StoreOptions {
  readonly url: string
  readonly size: number
  readonly log: Logger
  /** Seconds without a heartbeat after which an agent counts as dead. */
  readonly agentDownTime: number
  readonly applicationName?: string
  /** Called for every statement, for tests that count them. */
  readonly onStatement?: (text: string) => void
}

export interface Database {
  readonly pool: pg.Pool
  readonly onStatement: ((text: string) => void) | undefined
  /** One statement outside any transaction. */
  readonly query: Query
  /** The same for long answers: no row is kept here. Text columns only. */
  readonly stream: Stream
  close(): Promise<void>
}

// bigint columns hold revisions, counters and VNIs, all below 2^53.
pg.types.setTypeParser(pg.types.builtins.INT8, Number)

export function openDatabase({
  url,
  size,
  log,
  agentDownTime,
  applicationName = 'deuteron',
  onStatement,
}: StoreOptions): Database {
  const pool = new pg.Pool({
    connectionString: url,
    max: size,
    application_name: applicationName,
    connectionTimeoutMillis: 5000,
    idleTimeoutMillis: 60_000,
    pipeline: true,
    options: `-c deuteron.agent_down_time=${agentDownTime}s -c idle_in_transaction_session_timeout=30s -c statement_timeout=60s -c jit=off -c plan_cache_mode=force_generic_plan`,
  })
  pool.on('error', (error) => log.warn({ error: error.message }, 'an idle database connection broke'))
  // A checked-out connection that breaks emits too; without a listener the process would end.
  pool.on('connect', (client) =>
    client.on('error', (error) => log.warn({ error: error.message }, 'a database connection broke')),
  )
  const query: Query = async (text, params) => {
    try {
      return (await pool.query(statement(text, params, onStatement))).rows as never
    } catch (error) {
      throw translated(error)
    }
  }
  const stream: Stream = async (text, params, take) => {
    const client = await pool.connect().catch((error: unknown) => Promise.reject(translated(error)))
    let failure: Error | undefined
    try {
      await received(client, { ...statement(text, params, onStatement), rowMode: 'array' }, take)
    } catch (error) {
      failure = error as Error
      throw translated(error)
    } finally {
      client.release(failure)
    }
  }
  return { pool, onStatement, query, stream, close: () => pool.end() }
}

/** What `take` throws ends the handing on, and nothing else: the connection still hears the rest of the answer. */
function received(client: pg.PoolClient, config: pg.QueryArrayConfig, take: (row: string[]) => void): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  let failed = false
  const query = new pg.Query<string[]>(config)
  query.on('row', (row) => {
    if (failed) return
    try {
      take(row)
    } catch (error) {
      failed = true
      reject(error)
    }
  })
  query.on('error', reject)
  query.on('end', () => resolve())
  client.query(query)
  return promise
}

const names = new Map<string, string>()

/** Texts that are the same for every request of a kind get a prepared name; others, of which there are many, none. */
export function statement(text: string, params: Params = [], onStatement?: (text: string) => void): pg.QueryConfig {
  onStatement?.(text)
  const name = nameOf(text)
  return { text, values: params as unknown[], ...(name !== undefined && { name }) }
}

function nameOf(text: string): string | undefined {
  const known = names.get(text)
  if (known !== undefined || text.startsWith('/* once */')) return known
  const name = createHash('sha1').update(text).digest('base64url')
  names.set(text, name)
  return name
}

/** The same sent on a connection. A query made here costs a tenth of one that `pg` makes from a configuration. */
export function sendOn(
  client: pg.PoolClient,
  text: string,
  params: Params,
  onStatement?: (text: string) => void,
): Promise<pg.QueryResult> {
  onStatement?.(text)
  return new Promise((resolve, reject) => {
    const answered = (error: Error | undefined, result: pg.ResultBuilder): void =>
      error ? reject(error) : resolve(result)
    const query: pg.Query & { name?: string | undefined } = new pg.Query(text, params as unknown[], answered)
    query.name = nameOf(text)
    client.query(query)
  })
}

/** The distinct statement texts prepared so far. */
export const preparedCount = (): number => names.size

const UNREACHABLE = new Set(['ECONNREFUSED', 'ECONNRESET', 'ENOENT', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EHOSTUNREACH'])

interface DatabaseError extends Error {
  readonly code?: string
  readonly constraint?: string
  readonly detail?: string
}

/** SQLSTATE class 08 (connection), 57P0x (shutdown), 53 (resources), or no answer at all. */
export function isUnavailable(error: unknown): boolean {
  const { code = '', message = '' } = error as DatabaseError
  return (
    UNREACHABLE.has(code) ||
    /^(08|53|57P0)/.test(code) ||
    /Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error|not queryable/.test(
      message,
    )
  )
}

/** Races whose loser only has to look again: the other has made what it was about to make. */
const LOST_RACES = new Set(['network_segments_taken', 'agents_host_agent_type_key'])

/** Deadlock, serialization failure, or a lost race: the whole transaction may run again. */
export function isRetryable(error: unknown): boolean {
  const { code, constraint = '' } = error as DatabaseError
  return code === '40001' || code === '40P01' || (code === '23505' && LOST_RACES.has(constraint))
}

/** What a client may know of a failure of the database. */
export function translated(error: unknown): unknown {
  if (error instanceof ApiError || !isUnavailable(error)) return error
  const { code, message } = error as DatabaseError
  if (code === '53100') return new ApiError('DatabaseFull', { reason: message }, { reason: 'disk_full' })
  return new ApiError('ServiceUnavailable', { reason: message }, { reason: 'database_unreachable' })
}
