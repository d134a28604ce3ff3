/**
 * Values of OVSDB columns as plain JavaScript, by the schema (RFC 7047 §3.2, §5.1).
 *
 * One value → number, boolean, string; a reference is its UUID as a string. At most one (min 0, max 1) → value or
 * null. More → array, in the order of the server. Key and value → Map. Rows and arrays are frozen.
 */
export type Atom = string | number | boolean
export type Value = Atom | null | readonly Atom[] | ReadonlyMap<Atom, Atom>

/** A decoded row. `_uuid` is always there; other columns as the monitor asked. */
export interface Row {
  readonly _uuid: string
  readonly [column: string]: Value
}

export interface ColumnType {
  readonly kind: 'one' | 'optional' | 'set' | 'map'
  readonly key: AtomType
  readonly value: AtomType | null
}
export type AtomType = 'integer' | 'real' | 'boolean' | 'string' | 'uuid'
/** Table → column → type. */
export type Schema = ReadonlyMap<string, ReadonlyMap<string, ColumnType>>

type RawBase = AtomType | { type: AtomType }
type RawType = AtomType | { key: RawBase; value?: RawBase; min?: number; max?: number | 'unlimited' }
interface RawSchema {
  tables: Record<string, { columns: Record<string, { type: RawType }> }>
}

/** Reads the answer of `get_schema`. */
export const parseSchema = (raw: unknown): Schema =>
  new Map(
    Object.entries((raw as RawSchema).tables).map(([table, { columns }]) => [
      table,
      new Map([
        ['_uuid', { kind: 'one', key: 'uuid', value: null } as const],
        ...Object.entries(columns).map(([name, { type }]) => [name, parseType(type)] as const),
      ]),
    ]),
  )

function parseType(type: RawType): ColumnType {
  if (typeof type === 'string') return { kind: 'one', key: type, value: null }
  const base = (raw: RawBase): AtomType => (typeof raw === 'string' ? raw : raw.type)
  const { key, value, min = 1, max = 1 } = type
  if (value !== undefined) return { kind: 'map', key: base(key), value: base(value) }
  if (max !== 1) return { kind: 'set', key: base(key), value: null }
  return { kind: min === 0 ? 'optional' : 'one', key: base(key), value: null }
}

export function columnType(schema: Schema, table: string, column: string): ColumnType {
  const type = schema.get(table)?.get(column)
  if (!type) throw new Error(`the database has no column ${table}.${column}`)
  return type
}

const NIL = '00000000-0000-0000-0000-000000000000'
const zero: Record<AtomType, Atom> = { integer: 0, real: 0, boolean: false, string: '', uuid: NIL }

/** What a column holds when the server leaves it out of a new row. */
export function defaultValue({ kind, key }: ColumnType): Value {
  if (kind === 'one') return zero[key]
  if (kind === 'optional') return null
  return kind === 'set' ? Object.freeze([]) : new Map()
}

const decodeAtom = (raw: unknown): Atom => (Array.isArray(raw) ? (raw[1] as string) : (raw as Atom))

/** From the notation of RFC 7047 §5.1; a set of one may come as its bare element. */
export function decodeValue({ kind }: ColumnType, raw: unknown): Value {
  if (kind === 'one') return decodeAtom(raw)
  if (kind === 'map') {
    const pairs = (raw as [string, [unknown, unknown][]])[1]
    return new Map(pairs.map(([key, value]) => [decodeAtom(key), decodeAtom(value)]))
  }
  const elements = Array.isArray(raw) && raw[0] === 'set' ? (raw[1] as unknown[]).map(decodeAtom) : [decodeAtom(raw)]
  return kind === 'set' ? Object.freeze(elements) : (elements[0] ?? null)
}

/**
 * Applies a difference as `update2` and `update3` carry it (ovsdb-server(7) §4.1.14): the new value for at most one
 * element; elements to flip for a set; for a map, pairs to remove (same value), to change or to add.
 */
export function applyDiff(type: ColumnType, before: Value, raw: unknown): Value {
  const diff = decodeValue(type, raw)
  if (type.kind === 'set') {
    const flip = new Set(diff as readonly Atom[])
    const kept = (before as readonly Atom[]).filter((element) => !flip.delete(element))
    return Object.freeze([...kept, ...flip])
  }
  if (type.kind !== 'map') return diff
  const after = new Map(before as ReadonlyMap<Atom, Atom>)
  for (const [key, value] of diff as ReadonlyMap<Atom, Atom>) {
    if (after.get(key) === value) after.delete(key)
    else after.set(key, value)
  }
  return after
}

/** A row that the same transaction inserts under this name (RFC 7047 §5.2.1 `uuid-name`). */
export interface Named {
  readonly named: string
}
type InAtom = Atom | Named
/** What a caller may write for a column; a record stands for a map with text keys. */
export type Input = InAtom | null | readonly InAtom[] | ReadonlyMap<Atom, InAtom> | { readonly [key: string]: InAtom }

const isNamed = (value: unknown): value is Named =>
  typeof value === 'object' && value !== null && typeof (value as Named).named === 'string' && !(value instanceof Map)

function encodeAtom(type: AtomType, atom: InAtom): unknown {
  if (isNamed(atom)) return ['named-uuid', atom.named]
  return type === 'uuid' ? ['uuid', atom] : atom
}

const encodeSet = (type: AtomType, elements: readonly InAtom[]): unknown => [
  'set',
  elements.map((element) => encodeAtom(type, element)),
]

/** To the notation of RFC 7047 §5.1. An array given for a map means its keys (for `mutate … delete`). */
export function encodeValue({ kind, key, value }: ColumnType, input: Input): unknown {
  if (input === null) return ['set', []]
  if (Array.isArray(input)) return encodeSet(key, input as readonly InAtom[])
  if (kind !== 'map' || value === null) return encodeAtom(key, input as InAtom)
  const pairs = input instanceof Map ? [...input] : Object.entries(input as Record<string, InAtom>)
  return ['map', pairs.map(([k, v]) => [encodeAtom(key, k as Atom), encodeAtom(value, v as InAtom)])]
}
