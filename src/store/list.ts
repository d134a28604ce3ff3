/** Lists: one statement whatever their length, filtered, authorised, ordered and made into JSON where the rows are. */
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
import type { Database } from './pool.ts'
import { imageList, selectList } from './sql.ts'

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

/** Each row as JSON text with these attributes. */
export async function listJson(
  database: Database,
  resource: ComposedResource,
  names: readonly string[],
  query: ListQuery,
): Promise<string[]> {
  const rows = await run<{ json: string }>(
    database,
    resource,
    `row_to_json(o)::text as json`,
    (binder) => selectList(resource, names, (attribute) => readFor(attribute, binder)),
    query,
  )
  return rows.map((row) => row.json)
}

/** Each row with all its attributes, for callers whose rights differ from row to row. */
export async function listImages(
  database: Database,
  resource: ComposedResource,
  query: ListQuery,
): Promise<Record<string, unknown>[]> {
  const rows = await run<{ image: Record<string, unknown> }>(
    database,
    resource,
    'row_to_json(o) as image',
    () => imageList(resource),
    query,
  )
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
  const text = `/* once */ select 1 from ${resource.table} t where t.id = ${binder.bind(id)} and ${expressionSql(resource, visible, binder)}`
  return (await database.query(text, binder.params)).length > 0
}

async function run<R extends Record<string, unknown>>(
  database: Database,
  resource: ComposedResource,
  result: string,
  columns: (binder: Binder) => string,
  query: ListQuery,
): Promise<R[]> {
  const binder = new Binder(query.projectId)
  const { where, keys } = conditions(resource, query, binder)
  const limit = query.limit === undefined ? '' : ` limit ${binder.bind(query.limit)}`
  const marker = query.marker === undefined ? '' : ` join ${resource.table} m on m.id = ${binder.bind(query.marker)}`
  // The expressions are evaluated for the rows that stay: those are chosen first.
  const chosen = `select t.* from ${resource.table} t${marker} where ${where} order by ${orderBy(resource, keys, binder)}${limit}`
  const text = `select ${result} from (${chosen}) t, lateral (select ${columns(binder)}) o`
  const rows = await database.query<R>(isUsual(query) ? text : `/* once */ ${text}`, binder.params)
  return query.reverse ? rows.reverse() : rows
}

/** Asked for in a way that many ask: worth preparing. Of the others there are as many as clients can think of. */
const isUsual = ({ filters, sort, fixedIps, tags, changedSince, partial }: ListQuery): boolean =>
  Object.keys(filters).length <= 1 && sort.length <= 1 && !fixedIps && !tags && !changedSince && !partial

function conditions(resource: ComposedResource, query: ListQuery, binder: Binder): { where: string; keys: SortKey[] } {
  const parts = [expressionSql(resource, query.visible, binder)]
  for (const [name, values] of Object.entries(query.filters)) parts.push(filterSql(resource, name, values, binder))
  if (query.fixedIps) parts.push(fixedIpsSql(query.fixedIps, binder))
  if (query.tags) parts.push(tagsSql(query.tags, binder))
  if (query.changedSince) parts.push(`t.updated_at >= ${binder.bind(query.changedSince)}::timestamptz`)
  const named = query.sort.some((key) => key.name === 'id')
    ? query.sort
    : [...query.sort, { name: 'id', descending: false }]
  const keys = named.map((key) => (query.reverse ? { ...key, descending: !key.descending } : key))
  if (query.marker !== undefined) parts.push(afterMarker(resource, keys, binder))
  return { where: parts.join(' and '), keys }
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
