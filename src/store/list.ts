/** Lists: one statement whatever their length, filtered, authorised, ordered and made into JSON where the rows are. */
import type { Attribute } from '#model/attribute.ts'
import type { ComposedResource } from '#model/compose.ts'
import {
  afterMarker,
  Binder,
  type Expression,
  expressionSql,
  filterSql,
  fixedIpsSql,
  orderBy,
  readFor,
  type SortKey,
  type TagFilter,
  tagsSql,
} from './condition.ts'
import { type Listing, startListing } from './listing.ts'
import type { Database } from './pool.ts'
import { besides, imageNames, readExpression, selectList } from './sql.ts'

export interface ListQuery {
  /** Which rows the caller may see. */
  readonly visible: Expression
  /** Attribute → any of these canonical values; an empty list matches nothing. */
  readonly filters: Readonly<Record<string, readonly unknown[]>>
  /** Ports only. */
  readonly fixedIps?: Readonly<Record<string, readonly string[]>>
  /** Resources with tags only. */
  readonly tags?: TagFilter
  /** Whom audience flags are worked out for; default: a caller without project. */
  readonly projectId?: string | null
  /** RFC 3339: changed at or after. */
  readonly changedSince?: string
  readonly sort: readonly SortKey[]
  readonly limit?: number
  /** Id of the last object of the page before. */
  readonly marker?: string
  readonly reverse?: boolean
  /** Some attributes of many, as a client chose them. */
  readonly partial?: boolean
}

/** Each object as JSON text with these attributes. */
export async function listJson(
  database: Database,
  resource: ComposedResource,
  names: readonly string[],
  query: ListQuery,
): Promise<Listing> {
  return gather(database, resource, { names, forCaller: true }, query, (json) => json)
}

/** The first of them, most often the only one: what a long list needs would cost a show a tenth of its time. */
export async function firstJson(
  database: Database,
  resource: ComposedResource,
  names: readonly string[],
  query: ListQuery,
): Promise<string | undefined> {
  const { text, params } = statementFor(resource, 'row_to_json(o)::text as json', { names, forCaller: true }, query)
  const [row] = await database.query<{ json: string }>(text, params)
  return row?.json
}

/** A list where callers' rights differ from object to object: `present` makes the text of an image. */
export const listPresented = (
  database: Database,
  resource: ComposedResource,
  query: ListQuery,
  present: (image: Record<string, unknown>) => string,
): Promise<Listing> =>
  gather(database, resource, { names: imageNames(resource) }, query, (json) => present(JSON.parse(json)))

/** Which attributes are read, and whether flags that depend on who asks are worked out. */
interface Wanted {
  readonly names: readonly string[]
  readonly forCaller?: boolean
}

async function gather(
  database: Database,
  resource: ComposedResource,
  wanted: Wanted,
  query: ListQuery,
  write: (json: string) => string,
): Promise<Listing> {
  const key = resource.attributes[resource.key] as Attribute
  // Only the links of pages need keys.
  const result = `row_to_json(o)::text${query.limit === undefined ? '' : `, (${readExpression(key)})::text`}`
  const { text, params } = statementFor(resource, result, wanted, query)
  const listing = startListing(query.reverse)
  await database.stream(text, params, ([json = '', key = null]) => listing.add(write(json), key))
  return listing.end()
}

/** Each row with all its attributes. */
export async function listImages(
  database: Database,
  resource: ComposedResource,
  query: ListQuery,
): Promise<Record<string, unknown>[]> {
  const { text, params } = statementFor(resource, 'row_to_json(o) as image', { names: imageNames(resource) }, query)
  const rows = await database.query<{ image: Record<string, unknown> }>(text, params)
  return rows.map((row) => row.image)
}

/** True when the object exists and the caller may see it. */
export async function isVisible(
  database: Database,
  resource: ComposedResource,
  id: string,
  visible: Expression,
  projectId: string | null,
): Promise<boolean> {
  const binder = new Binder(projectId)
  const text = `select 1 from ${resource.table} t where t.id = ${binder.bind(id)} and ${expressionSql(resource, visible, binder)}`
  return (await database.query(text, binder.params)).length > 0
}

/** `result`: made of `t`, the object's row, and `o`, its attributes. A page that was asked for backwards comes backwards. */
function statementFor(
  resource: ComposedResource,
  result: string,
  { names, forCaller = false }: Wanted,
  query: ListQuery,
): { readonly text: string; readonly params: readonly unknown[] } {
  const binder = new Binder(query.projectId)
  const { join, where, keys } = conditions(resource, query, binder)
  const limit = query.limit === undefined ? '' : ` limit ${binder.bind(query.limit)}`
  // The expressions are evaluated for the rows that stay: those are chosen first.
  const chosen = `select t.* from ${resource.table} t${join} where ${where} order by ${orderBy(resource, keys, binder)}${limit}`
  const read = (attribute: Attribute): string | null =>
    attribute.beside ? attribute.sql : forCaller ? readFor(attribute, binder) : readExpression(attribute)
  const beside = besides(names.flatMap((name) => resource.attributes[name] ?? []))
  const text = `select ${result} from (${chosen}) t${beside}, lateral (select ${selectList(resource, names, read)}) o`
  return { text: isUsual(query) ? text : `/* once */ ${text}`, params: binder.params }
}

/** Asked for in a way that many ask: worth preparing. Of the others there are as many as clients can think of. */
const isUsual = ({ filters, sort, fixedIps, tags, changedSince, partial }: ListQuery): boolean =>
  Object.keys(filters).length <= 1 && sort.length <= 1 && !fixedIps && !tags && !changedSince && !partial

interface Conditions {
  readonly join: string
  readonly where: string
  readonly keys: SortKey[]
}

function conditions(resource: ComposedResource, query: ListQuery, binder: Binder): Conditions {
  const parts = [expressionSql(resource, query.visible, binder)]
  for (const [name, values] of Object.entries(query.filters)) parts.push(filterSql(resource, name, values, binder))
  if (query.fixedIps) parts.push(fixedIpsSql(query.fixedIps, binder))
  if (query.tags) parts.push(tagsSql(query.tags, binder))
  if (query.changedSince) parts.push(`t.updated_at >= ${binder.bind(query.changedSince)}::timestamptz`)
  const named = query.sort.some((key) => key.name === 'id')
    ? query.sort
    : [...query.sort, { name: 'id', descending: false }]
  const keys = named.map((key) => (query.reverse ? { ...key, descending: !key.descending } : key))
  if (query.marker === undefined) return { join: '', where: parts.join(' and '), keys }
  const marker = `${binder.bind(query.marker)}::uuid`
  // Ids differ: in their order a page begins behind the marker itself, and an index leads there.
  if (keys[0]?.name === 'id') {
    const beyond = `t.id ${keys[0].descending ? '<' : '>'} ${marker}`
    return { join: '', where: [...parts, beyond].join(' and '), keys }
  }
  const where = [...parts, afterMarker(resource, keys, binder)].join(' and ')
  return { join: ` join ${resource.table} m on m.id = ${marker}`, where, keys }
}

/** Which of the objects that still exist satisfy the condition. */
export async function listVisibleIds(
  database: Database,
  resource: ComposedResource,
  ids: readonly string[],
  visible: Expression,
  projectId: string | null,
): Promise<{ id: string; visible: boolean }[]> {
  const binder = new Binder(projectId)
  const text = `/* once */ select t.id, ${expressionSql(resource, visible, binder)} as visible from ${resource.table} t where t.id = any(${binder.bind(ids)}::uuid[])`
  return database.query(text, binder.params)
}
