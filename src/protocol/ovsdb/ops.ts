/** Operations of a transaction (RFC 7047 §5.2) written with plain values; the client encodes them by the schema. */
import { columnType, encodeValue, type Input, type Named, type Schema } from './schema.ts'

export type Compare = '==' | '!=' | '<' | '<=' | '>' | '>=' | 'includes' | 'excludes'
export type Condition = readonly [column: string, compare: Compare, value: Input]
export type Mutator = '+=' | '-=' | '*=' | '/=' | '%=' | 'insert' | 'delete'
export type Mutation = readonly [column: string, mutator: Mutator, value: Input]
export type Columns = Readonly<Record<string, Input>>

export type Op =
  | { readonly op: 'insert'; readonly table: string; readonly row: Columns; readonly name?: string }
  | {
      readonly op: 'select'
      readonly table: string
      readonly where: readonly Condition[]
      readonly columns?: readonly string[]
    }
  | { readonly op: 'update'; readonly table: string; readonly where: readonly Condition[]; readonly row: Columns }
  | {
      readonly op: 'mutate'
      readonly table: string
      readonly where: readonly Condition[]
      readonly mutations: readonly Mutation[]
    }
  | { readonly op: 'delete'; readonly table: string; readonly where: readonly Condition[] }
  | {
      readonly op: 'wait'
      readonly table: string
      readonly where: readonly Condition[]
      readonly columns: readonly string[]
      readonly until: '==' | '!='
      readonly rows: readonly Columns[]
      readonly timeoutMs: number
    }
  | { readonly op: 'comment'; readonly comment: string }
  | { readonly op: 'abort' }

/** Refers to the row that an `insert` of the same transaction calls `name` (letters, digits, `_`). */
export const named = (name: string): Named => ({ named: name })

/** The row with this UUID. */
export const byUuid = (uuid: string): readonly Condition[] => [['_uuid', '==', uuid]]

export const insert = (table: string, row: Columns, name?: string): Op =>
  name === undefined ? { op: 'insert', table, row } : { op: 'insert', table, row, name }
export const select = (table: string, where: readonly Condition[], columns?: readonly string[]): Op =>
  columns ? { op: 'select', table, where, columns } : { op: 'select', table, where }
export const update = (table: string, where: readonly Condition[], row: Columns): Op => ({
  op: 'update',
  table,
  where,
  row,
})
export const mutate = (table: string, where: readonly Condition[], ...mutations: Mutation[]): Op => ({
  op: 'mutate',
  table,
  where,
  mutations,
})
export const remove = (table: string, where: readonly Condition[]): Op => ({ op: 'delete', table, where })
/** Fails the transaction unless, within `timeoutMs` (0: now), the matching rows equal (or not) `rows` in `columns`. */
export const wait = (
  table: string,
  where: readonly Condition[],
  columns: readonly string[],
  until: '==' | '!=',
  rows: readonly Columns[],
  timeoutMs = 0,
): Op => ({ op: 'wait', table, where, columns, until, rows, timeoutMs })
/** Text for the database's log. */
export const comment = (text: string): Op => ({ op: 'comment', comment: text })

/** Sets keys of a map column, replacing what they held; other keys stay. */
export const setKeys = (
  table: string,
  where: readonly Condition[],
  column: string,
  pairs: Readonly<Record<string, string>>,
): Op => mutate(table, where, [column, 'delete', Object.keys(pairs)], [column, 'insert', pairs])

/** One operation as it goes over the wire. */
export function encodeOp(schema: Schema, op: Op): Record<string, unknown> {
  const value = (table: string, column: string, input: Input): unknown =>
    encodeValue(columnType(schema, table, column), input)
  const row = (table: string, columns: Columns): Record<string, unknown> =>
    Object.fromEntries(Object.entries(columns).map(([column, input]) => [column, value(table, column, input)]))
  const triples = (table: string, list: readonly (Condition | Mutation)[]): unknown[] =>
    list.map(([column, verb, input]) => [column, verb, value(table, column, input)])

  switch (op.op) {
    case 'insert': {
      const encoded = { op: 'insert', table: op.table, row: row(op.table, op.row) }
      return op.name === undefined ? encoded : { ...encoded, 'uuid-name': op.name }
    }
    case 'mutate':
      return { ...op, where: triples(op.table, op.where), mutations: triples(op.table, op.mutations) }
    case 'update':
      return { ...op, where: triples(op.table, op.where), row: row(op.table, op.row) }
    case 'select':
    case 'delete':
      return { ...op, where: triples(op.table, op.where) }
    case 'wait': {
      const { timeoutMs, rows, ...rest } = op
      const where = triples(op.table, op.where)
      return { ...rest, where, rows: rows.map((columns) => row(op.table, columns)), timeout: timeoutMs }
    }
    case 'comment':
    case 'abort':
      return op
  }
}
