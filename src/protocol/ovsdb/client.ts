/**
 * A native OVSDB client (RFC 7047, with `monitor_cond_since` of ovsdb-server(7) where the server has it) on one
 * connection.
 *
 * Interface: `connectOvsdb` → `transact` (plain values, see ops.ts), `monitor` (plain rows, see schema.ts), `closed`,
 * `close`. It does not reconnect: `replica.ts` does, and keeps a copy of the tables.
 */
import type { Logger } from '#kernel/log.ts'
import type { TlsIdentity } from '../socket.ts'
import { encodeOp, type Op } from './ops.ts'
import { connectRpc, type Rpc, RpcError } from './rpc.ts'
import {
  applyDiff,
  columnType,
  decodeValue,
  defaultValue,
  parseSchema,
  type Row,
  type Schema,
  type Value,
} from './schema.ts'

export interface OvsdbOptions {
  /** `unix:/path`, `tcp:host:port` or `ssl:host:port`. */
  readonly target: string
  /** For `ssl:` targets. */
  readonly tls?: TlsIdentity
  /** `Open_vSwitch`, `hardware_vtep`, … */
  readonly database: string
  readonly log: Logger
  readonly signal?: AbortSignal
  readonly probeMs?: number
}

/** What one operation did: `uuid` of an insert, `count` of update, mutate and delete, `rows` of a select. */
export interface OpResult {
  readonly uuid?: string
  readonly count?: number
  readonly rows?: readonly Row[]
}

/** Table → columns wanted; `all` for every column. */
export type MonitorSpec = Readonly<Record<string, readonly string[] | 'all'>>

/** One row as it changed; `before` null: new; `after` null: gone. */
export interface RowChange {
  readonly table: string
  readonly uuid: string
  readonly before: Row | null
  readonly after: Row | null
}

/** Copies of the monitored tables: table → UUID → row. */
export type Tables = Map<string, Map<string, Row>>

/**
 * Why changes are told. First, once a monitor: `resumed`, the server replayed what happened after `since`, or
 * `snapshot`, it sent everything; possibly without changes. Then `update`: one transaction.
 */
export type MonitorKind = 'snapshot' | 'resumed' | 'update'

export interface Monitored {
  /** What to give as `since` after a reconnect. Grows with every update. */
  lastTransaction(): string
}

export interface OvsdbClient {
  readonly schema: Schema
  /**
   * Runs `ops` as one transaction; none takes effect when one fails.
   * Throws `OvsdbError` naming the failing operation. Updates of the monitored tables arrive before it resolves.
   */
  transact(ops: readonly Op[]): Promise<readonly OpResult[]>
  /**
   * Keeps `tables` equal to the database. Initial contents are in it when the promise resolves, after `onChanges` was
   * told of them. With `since`, `tables` must hold the contents at that transaction.
   */
  monitor(
    spec: MonitorSpec,
    tables: Tables,
    since: string | null,
    onChanges: (changes: readonly RowChange[], kind: MonitorKind) => void,
  ): Promise<Monitored>
  /** Resolves with the reason when the connection ends; null after `close`. */
  readonly closed: Promise<Error | null>
  close(): void
}

/** An operation failed; `index` names it (equal to the number of operations: the commit itself failed). */
export class OvsdbError extends Error {
  override readonly name = 'OvsdbError'
  /** RFC 7047 §5.2: `constraint violation`, `timed out`, `referential integrity violation`, … */
  readonly error: string
  readonly details: string
  readonly index: number
  constructor(error: string, details: string, index: number, op: Op | undefined) {
    super(`${op ? `${op.op} (operation ${index})` : 'commit'} failed: ${error}${details ? `: ${details}` : ''}`)
    this.error = error
    this.details = details
    this.index = index
  }
}

const NO_TRANSACTION = '00000000-0000-0000-0000-000000000000'

type RowUpdate = { initial?: RawRow; insert?: RawRow; modify?: RawRow; delete?: null }
type RawRow = Record<string, unknown>
type TableUpdates = Record<string, Record<string, RowUpdate>>
type PlainUpdates = Record<string, Record<string, { old?: RawRow; new?: RawRow }>>

/** Connects and reads the schema. Rejects when the target or the database is not there. */
export async function connectOvsdb(options: OvsdbOptions): Promise<OvsdbClient> {
  const updates = new Map<string, (last: string, update: TableUpdates) => void>()
  const onNotification = (method: string, params: readonly unknown[]): void => {
    if (method === 'update3') updates.get(params[0] as string)?.(params[1] as string, params[2] as TableUpdates)
    if (method === 'update') updates.get(params[0] as string)?.(NO_TRANSACTION, wholeRows(params[1] as PlainUpdates))
  }
  const rpc = await connectRpc({ ...options, onNotification })
  const schema = await rpc.call('get_schema', [options.database]).then(parseSchema, (error: Error) => {
    rpc.close()
    throw new Error(`${options.target} does not serve database ${options.database}: ${error.message}`)
  })
  return {
    schema,
    transact: (ops) => transact(rpc, schema, options.database, ops),
    monitor: async (spec, tables, since, onChanges) => {
      const id = `m${updates.size}`
      let last = since ?? NO_TRANSACTION
      // Updates may stand in the same chunk as the answer below: they wait for it.
      let early: (() => void)[] | null = []
      updates.set(id, (transaction, update) => {
        const apply = (): void => {
          last = transaction
          onChanges(applyUpdates(schema, spec, tables, update), 'update')
        }
        if (early) early.push(apply)
        else apply()
      })
      const requests = Object.entries(spec).map(([table, wanted]): [string, unknown] => [
        table,
        [{ columns: columnsOf(schema, table, wanted) }],
      ])
      const [resumed, transaction, update] = await startMonitor(rpc, options.database, id, requests, last)
      last = transaction
      const changes = (resumed ? applyUpdates : replaceAll)(schema, spec, tables, update)
      onChanges(changes, resumed ? 'resumed' : 'snapshot')
      for (const apply of early) apply()
      early = null
      return { lastTransaction: () => last }
    },
    closed: rpc.closed,
    close: () => rpc.close(),
  }
}

/** `monitor_cond_since`, or RFC 7047's `monitor`, which knows no past, on a server that has no other. */
async function startMonitor(
  rpc: Rpc,
  database: string,
  id: string,
  requests: [string, unknown][],
  since: string,
): Promise<[resumed: boolean, transaction: string, update: TableUpdates]> {
  const params = [database, id, Object.fromEntries(requests)]
  try {
    return (await rpc.call('monitor_cond_since', [...params, since])) as [boolean, string, TableUpdates]
  } catch (error) {
    if (!(error instanceof RpcError) || !error.message.includes('unknown method')) throw error
  }
  return [false, NO_TRANSACTION, wholeRows((await rpc.call('monitor', params)) as PlainUpdates)]
}

/** Updates of `monitor` (RFC 7047 §4.1.6), where `new` is the whole row and its absence means that it is gone. */
const wholeRows = (updates: PlainUpdates): TableUpdates => {
  const each = <A, B>(record: Record<string, A>, change: (one: A) => B): Record<string, B> =>
    Object.fromEntries(Object.entries(record).map(([key, one]) => [key, change(one)]))
  return each(updates, (rows) => each(rows, (row) => (row.new ? { insert: row.new } : { delete: null })))
}

async function transact(rpc: Rpc, schema: Schema, database: string, ops: readonly Op[]): Promise<readonly OpResult[]> {
  const answers = await rpc.call('transact', [database, ...ops.map((op) => encodeOp(schema, op))])
  type Answer = { error?: string; details?: string; uuid?: [string, string]; count?: number; rows?: RawRow[] } | null
  return (answers as Answer[]).map((answer, index): OpResult => {
    if (answer?.error !== undefined) throw new OvsdbError(answer.error, answer.details ?? '', index, ops[index])
    if (answer?.uuid) return { uuid: answer.uuid[1] }
    if (answer?.count !== undefined) return { count: answer.count }
    const op = ops[index]
    if (!answer?.rows || op?.op !== 'select') return {}
    return { rows: answer.rows.map((raw) => selectedRow(schema, op.table, raw)) }
  })
}

const selectedRow = (schema: Schema, table: string, raw: RawRow): Row =>
  Object.freeze(
    Object.fromEntries(
      Object.entries(raw)
        .filter(([column]) => column !== '_version')
        .map(([column, value]) => [column, decodeValue(columnType(schema, table, column), value)]),
    ),
  ) as unknown as Row

function columnsOf(schema: Schema, table: string, wanted: readonly string[] | 'all'): string[] {
  const known = schema.get(table)
  if (!known) throw new Error(`the database has no table ${table}`)
  if (wanted === 'all') return [...known.keys()].filter((column) => column !== '_uuid')
  for (const column of wanted) columnType(schema, table, column)
  return [...wanted]
}

/** The contents anew: rows that are in `tables` but not in `update` are gone. */
function replaceAll(schema: Schema, spec: MonitorSpec, tables: Tables, update: TableUpdates): RowChange[] {
  const gone = Object.keys(spec).flatMap((table) => {
    const fresh = update[table] ?? {}
    return [...(tables.get(table) ?? [])]
      .filter(([uuid]) => !(uuid in fresh))
      .map(([uuid, before]): RowChange => ({ table, uuid, before, after: null }))
  })
  for (const { table, uuid } of gone) tables.get(table)?.delete(uuid)
  for (const table of Object.keys(spec)) if (!tables.has(table)) tables.set(table, new Map())
  return [...gone, ...applyUpdates(schema, spec, tables, update)]
}

function applyUpdates(schema: Schema, spec: MonitorSpec, tables: Tables, update: TableUpdates): RowChange[] {
  const changes: RowChange[] = []
  for (const [table, rows] of Object.entries(update)) {
    const copies = tables.get(table) ?? new Map<string, Row>()
    tables.set(table, copies)
    const columns = columnsOf(schema, table, spec[table] ?? [])
    for (const [uuid, change] of Object.entries(rows)) {
      const before = copies.get(uuid) ?? null
      const after = changedRow(schema, table, columns, uuid, before, change)
      if (after) copies.set(uuid, after)
      else copies.delete(uuid)
      if (!sameRow(before, after)) changes.push({ table, uuid, before, after })
    }
  }
  return changes
}

function changedRow(
  schema: Schema,
  table: string,
  columns: readonly string[],
  uuid: string,
  before: Row | null,
  change: RowUpdate,
): Row | null {
  if ('delete' in change) return null
  const whole = change.initial ?? change.insert
  const row: Record<string, Value> = { _uuid: uuid }
  for (const column of columns) {
    const type = columnType(schema, table, column)
    const raw = (whole ?? change.modify)?.[column]
    if (whole) row[column] = raw === undefined ? defaultValue(type) : decodeValue(type, raw)
    else {
      const old = before?.[column] ?? defaultValue(type)
      row[column] = raw === undefined ? old : applyDiff(type, old, raw)
    }
  }
  return Object.freeze(row) as Row
}

function sameRow(a: Row | null, b: Row | null): boolean {
  if (!a || !b) return a === b
  return Object.keys(b).every((column) => sameValue(a[column] ?? null, b[column] ?? null))
}

function sameValue(a: Value, b: Value): boolean {
  if (a instanceof Map && b instanceof Map)
    return a.size === b.size && [...a].every(([key, value]) => b.get(key) === value)
  if (Array.isArray(a) && Array.isArray(b)) {
    const set = new Set<unknown>(a)
    return a.length === b.length && b.every((element) => set.has(element))
  }
  return a === b
}
