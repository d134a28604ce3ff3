/**
 * Attribute kinds: each is a function that returns a frozen record saying what values the attribute takes, who may
 * set it when, how it filters and sorts, and where it is stored. Everything about an attribute is derived from it.
 */
import { isUuid, normalizeMac } from '#kernel/ids.ts'
import { formatIp, formatPrefix, networkOf, parseIp, parsePrefix } from '#kernel/ip.ts'

/** When a client may give the attribute a value. */
export type SetWhen = 'never' | 'create' | 'update' | 'always'

/** A subset of JSON Schema 2020-12, enough for OpenAPI. */
export type JsonSchema = Readonly<Record<string, unknown>>

export interface Attribute<T = unknown> {
  readonly schema: JsonSchema
  readonly nullable: boolean
  readonly set: SetWhen
  readonly required: boolean
  /** Undefined: left out means "not specified", and logic decides. */
  readonly default: T | undefined
  readonly filter: boolean
  readonly sort: boolean
  /** False: accepted or used inside, never shown. */
  readonly visible: boolean
  /** True: `create_x:attr`, `update_x:attr` and `get_x:attr` are policy rules of their own. */
  readonly policy: boolean
  /** The value that lists and paths mean which name none. */
  readonly assumed: T | undefined
  /** True: never written to the change log. */
  readonly secret: boolean
  /** Set: what the attribute says depends on who asks. */
  readonly audience: Audience | null
  /** The stored column and its PostgreSQL type; null column: not stored (derived by `sql`, or input only). */
  readonly column: string | null
  readonly pg: string
  /** SQL expression over the resource's row alias `t` that reads the attribute; default: the column itself. */
  readonly sql: string | null
  /** A row of another table that `sql` reads too. Null: none. */
  readonly beside: Beside | null
  /** SQL over row `t` that holds when the attribute equals `?`, where an index serves that better than `sql`. Null: none. */
  readonly equals: string | null
  /** SQL over row `t` of a query for several values: a filter matches when any of them does. Null: the one that is read. */
  readonly filterAmong: string | null
  /** The canonical value, or throws `Reject` with a reason in Neutron's words. */
  readonly parse: (value: unknown) => T
  /** Phantom: carries T to `Row`. */
  readonly type?: T
}

/**
 * A flag that is true for the callers whose project, or `*`, stands in a list that another attribute of the object
 * holds: `shared` is true for those with whom it is shared. Images keep the list; the flag is worked out per caller.
 */
export interface Audience {
  /** The attribute with the list. */
  readonly list: string
  /** SQL over row `t` that gives the list as text[]. */
  readonly sql: string
}

/** At most one row of another table, under the alias `as`, that belongs to row `t`. Lists look it up once an object, whoever reads it. */
export interface Beside {
  readonly table: string
  readonly as: string
  /** SQL over `t` and the alias. Where no row satisfies it, `sql` must give null when its columns are null. */
  readonly on: string
}

/** Stands in an audience for every project. */
export const EVERYONE = '*'

export type Attributes = Readonly<Record<string, Attribute<never> | Attribute>>
export type Value<A> = A extends Attribute<infer T> ? T : never
export type Row<A> = { readonly [K in keyof A]: Value<A[K]> }

/** Why a value is not acceptable; the decoder adds the attribute's name. */
export class Reject extends Error {}

export interface Options<T> {
  readonly set?: SetWhen
  readonly required?: boolean
  readonly default?: NoInfer<T>
  readonly filter?: boolean
  readonly sort?: boolean
  readonly visible?: boolean
  readonly policy?: boolean
  readonly assumed?: NoInfer<T>
  readonly secret?: boolean
  /** Stored column where it differs from the attribute's name; null: not stored. */
  readonly column?: string | null
  readonly sql?: string
  readonly beside?: Beside
  readonly filterAmong?: string
  readonly equals?: string
  readonly audience?: Audience
}

interface Kind<T> {
  readonly schema: JsonSchema
  readonly pg: string
  readonly parse: (value: unknown) => T
}

const attribute = <T>(kind: Kind<T>, options: Options<T>): Attribute<T> =>
  Object.freeze({
    ...kind,
    nullable: false,
    set: options.set ?? 'never',
    required: options.required ?? false,
    default: options.default,
    filter: options.filter ?? false,
    sort: options.sort ?? false,
    visible: options.visible ?? true,
    policy: options.policy ?? false,
    assumed: options.assumed,
    secret: options.secret ?? false,
    audience: options.audience ?? null,
    column: options.audience ? null : options.column === undefined ? '' : options.column,
    filterAmong: options.filterAmong ?? null,
    equals: options.equals ?? null,
    beside: options.beside ?? null,
    sql: options.audience ? `(${options.audience.sql} @> '{${EVERYONE}}'::text[])` : (options.sql ?? null),
  })

/** Accepts null too. */
export const optional = <T>(
  inner: Attribute<T>,
  options: { default?: T | null } = { default: null },
): Attribute<T | null> =>
  Object.freeze({
    ...(inner as Attribute<T | null>),
    nullable: true,
    default: 'default' in options ? options.default : inner.default,
    schema: { anyOf: [inner.schema, { type: 'null' }] },
    parse: (value: unknown) => (value === null ? null : inner.parse(value)),
  })

/** Null asks for `value`: clients empty with it what is never null in an answer. */
export const orNull = <T>(value: T, inner: Attribute<T>): Attribute<T> =>
  Object.freeze({
    ...inner,
    schema: { anyOf: [inner.schema, { type: 'null' }] },
    parse: (given: unknown) => (given === null ? value : inner.parse(given)),
  })

/** Null gives no value, as if the attribute were left out. */
export const orAbsent = <T>(inner: Attribute<T>): Attribute<T> =>
  orNull<T | undefined>(undefined, inner) as Attribute<T>

const quote = (value: unknown): string => (typeof value === 'string' ? `'${value}'` : JSON.stringify(value))

/** PostgreSQL keeps no NUL and no half of a surrogate pair. */
export const isStorable = (text: string): boolean => text.isWellFormed() && !text.includes('\u0000')

export const parseText =
  (max: number) =>
  (value: unknown): string => {
    if (typeof value !== 'string') throw new Reject(`${quote(value)} is not a valid string`)
    if ([...value].length > max) throw new Reject(`'${value.slice(0, 300)}' exceeds maximum length of ${max}`)
    if (!isStorable(value)) throw new Reject('the value has a NUL character or is not well-formed Unicode')
    return value
  }

export const text = (options: Options<string> & { max?: number } = {}): Attribute<string> => {
  const max = options.max ?? 255
  return attribute({ schema: { type: 'string', maxLength: max }, pg: 'text', parse: parseText(max) }, options)
}

/** One of a closed list of strings. */
export const oneOf = <const V extends string>(
  values: readonly V[],
  options: Options<V> & { ignoreCase?: boolean } = {},
): Attribute<V> =>
  attribute(
    {
      schema: { type: 'string', enum: values },
      pg: 'text',
      parse: (value) => {
        const found = values.find((one) =>
          options.ignoreCase && typeof value === 'string' ? one.toLowerCase() === value.toLowerCase() : one === value,
        )
        if (found === undefined) throw new Reject(`${quote(value)} is not in [${values.map(quote).join(', ')}]`)
        return found
      },
    },
    options,
  )

const TRUE = new Set<unknown>([true, 1, 'true', '1', 'True', 'TRUE'])
const FALSE = new Set<unknown>([false, 0, 'false', '0', 'False', 'FALSE'])

export const parseFlag = (value: unknown): boolean => {
  if (TRUE.has(value)) return true
  if (FALSE.has(value)) return false
  throw new Reject(`${quote(value)} cannot be converted to boolean`)
}

export const flag = (options: Options<boolean> = {}): Attribute<boolean> =>
  attribute({ schema: { type: 'boolean' }, pg: 'boolean', parse: parseFlag }, options)

/** An integer in [min, max], or one of a closed list; decimal strings are accepted as Neutron does. */
export const whole = (
  options: Options<number> & { min?: number; max?: number; of?: readonly number[] } = {},
): Attribute<number> => {
  const { min = -(2 ** 31), max = 2 ** 31 - 1, of } = options
  return attribute(
    {
      schema: of ? { type: 'integer', enum: of } : { type: 'integer', minimum: min, maximum: max },
      pg: 'bigint',
      parse: (value) => {
        const number = typeof value === 'string' && /^-?\d{1,15}$/.test(value) ? Number(value) : value
        if (typeof number !== 'number' || !Number.isInteger(number))
          throw new Reject(`${quote(value)} is not an integer`)
        if (of && !of.includes(number)) throw new Reject(`'${number}' is not in [${of.join(', ')}]`)
        if (number < min)
          throw new Reject(
            min === 0
              ? `${quote(value)} should be non-negative`
              : `${quote(value)} is too small - must be at least '${min}'`,
          )
        if (number > max) throw new Reject(`${quote(value)} is too large - must be no larger than '${max}'`)
        return number
      },
    },
    options,
  )
}

export const parseUuid = (value: unknown): string => {
  if (typeof value !== 'string' || !isUuid(value)) throw new Reject(`${quote(value)} is not a valid UUID`)
  return value.toLowerCase()
}

export const uuid = (options: Options<string> = {}): Attribute<string> =>
  attribute({ schema: { type: 'string', format: 'uuid' }, pg: 'uuid', parse: parseUuid }, options)

export const parseAddress = (value: unknown): string => {
  const ip = typeof value === 'string' ? parseIp(value) : null
  if (!ip) throw new Reject(`${quote(value)} is not a valid IP address`)
  return formatIp(ip)
}

export const address = (options: Options<string> = {}): Attribute<string> =>
  attribute({ schema: { type: 'string' }, pg: 'inet', parse: parseAddress }, options)

/** A prefix with its host bits cleared; a bare address is refused. */
export const cidr = (options: Options<string> & { bareAddress?: boolean } = {}): Attribute<string> =>
  attribute(
    {
      schema: { type: 'string' },
      pg: 'cidr',
      parse: (value) => {
        const prefix = typeof value === 'string' ? parsePrefix(value) : null
        if (!prefix || (!options.bareAddress && !(value as string).includes('/'))) {
          throw new Reject(`${quote(value)} is not a valid IP subnet`)
        }
        return formatPrefix(networkOf(prefix))
      },
    },
    options,
  )

export const parseMac = (value: unknown): string => {
  const mac = typeof value === 'string' ? normalizeMac(value) : null
  if (!mac) throw new Reject(`${quote(value)} is not a valid MAC address`)
  return mac
}

export const mac = (options: Options<string> = {}): Attribute<string> =>
  attribute({ schema: { type: 'string' }, pg: 'macaddr', parse: parseMac }, options)

/** RFC 3339, as an instant of UTC within the years that have four digits. */
function parseInstant(value: unknown): string {
  const given = parseText(64)(value)
  const wellFormed = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$/i.test(given)
  const time = wellFormed ? Date.parse(given.toUpperCase()) : Number.NaN
  if (time >= FIRST_INSTANT && time <= LAST_INSTANT) return new Date(time).toISOString()
  throw new Reject(`${quote(value)} is not an instant as in 2026-01-31T12:00:00Z`)
}
const FIRST_INSTANT = Date.parse('0001-01-01T00:00:00Z')
const LAST_INSTANT = Date.parse('9999-12-31T23:59:59Z')

/** RFC 3339 in UTC with whole seconds, as Neutron writes it. */
export const timestamp = (options: Options<string> & { column: string }): Attribute<string> =>
  attribute(
    {
      schema: { type: 'string', format: 'date-time' },
      pg: 'timestamptz',
      parse: parseInstant,
    },
    { sql: `to_char(t.${options.column} at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')`, ...options },
  )

export const list = <T>(
  item: { readonly schema: JsonSchema; readonly parse: (value: unknown) => T },
  options: Options<readonly T[]> & { max?: number; unique?: boolean; pg?: string } = {},
): Attribute<readonly T[]> =>
  attribute<readonly T[]>(
    {
      schema: { type: 'array', items: item.schema },
      pg: options.pg ?? 'jsonb',
      parse: (value) => {
        if (!Array.isArray(value)) throw new Reject(`${quote(value)} is not a list`)
        if (options.max !== undefined && value.length > options.max) throw new Reject(`more than ${options.max} items`)
        const items = value.map(item.parse)
        const distinct = new Set(items.map((one) => JSON.stringify(one)))
        if (options.unique && distinct.size < items.length)
          throw new Reject(`Duplicate items in the list: ${quote(value)}`)
        return items
      },
    },
    options,
  )

/** The list of an audience: project ids and `*`. Never shown. */
export const audienceList = (options: { readonly sql?: string; readonly column?: string } = {}) =>
  list(
    { schema: { type: 'string' }, parse: parseText(255) },
    {
      visible: false,
      pg: 'text[]',
      ...(options.column !== undefined && {
        default: [],
        column: options.column,
        sql: `to_jsonb(t.${options.column})`,
      }),
      ...(options.sql !== undefined && { column: null, sql: options.sql }),
    },
  )

/** A JSON object with fields of its own; unknown fields are refused. */
export const structure = <T>(
  fields: { readonly [K in keyof T]-?: { schema: JsonSchema; parse: (value: unknown) => T[K]; required?: boolean } },
  options: Options<T> = {},
): Attribute<T> =>
  attribute(
    {
      schema: {
        type: 'object',
        additionalProperties: false,
        properties: Object.fromEntries(
          Object.entries(fields).map(([key, field]) => [key, (field as { schema: JsonSchema }).schema]),
        ),
      },
      pg: 'jsonb',
      parse: (value) => {
        if (value === null || typeof value !== 'object' || Array.isArray(value))
          throw new Reject(`${quote(value)} is not a dictionary`)
        const unknown = Object.keys(value).filter((key) => !(key in fields))
        if (unknown.length > 0)
          throw new Reject(`Invalid data format: unexpected keys ${unknown.map(quote).join(', ')}`)
        const out: Record<string, unknown> = {}
        for (const [key, field] of Object.entries(fields) as [
          string,
          { parse: (v: unknown) => unknown; required?: boolean },
        ][]) {
          const given = (value as Record<string, unknown>)[key]
          if (given !== undefined) out[key] = field.parse(given)
          else if (field.required) throw new Reject(`Invalid data format: '${key}' is missing`)
        }
        return out as T
      },
    },
    options,
  )

/** Any JSON object of at most `max` characters. */
export const dictionary = (options: Options<Readonly<Record<string, unknown>>> & { max?: number } = {}) =>
  attribute<Readonly<Record<string, unknown>>>(
    {
      schema: { type: 'object' },
      pg: 'jsonb',
      parse: (value) => {
        if (value === null) return {}
        if (typeof value !== 'object' || Array.isArray(value)) throw new Reject(`${quote(value)} is not a dictionary`)
        const size = JSON.stringify(value, (key: string, one: unknown) => {
          if (isStorable(key) && (typeof one !== 'string' || isStorable(one))) return one
          throw new Reject('the value has a NUL character or is not well-formed Unicode')
        }).length
        if (options.max !== undefined && size > options.max)
          throw new Reject(`the value exceeds maximum length of ${options.max}`)
        return value as Readonly<Record<string, unknown>>
      },
    },
    options,
  )
