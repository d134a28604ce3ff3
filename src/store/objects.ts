/**
 * Objects in and out of their tables. A write and its change row are one statement, and the image in the change log
 * is read by the same expressions as the API's show: a replayed log is exactly what the API shows.
 */
import type { Draft, Op } from '#model/define.ts'
import type { ComposedResource } from '#model/compose.ts'
import type { Where } from '#model/context.ts'
import { imageList, quoteName, readExpression, selectList, storedColumns } from './sql.ts'
import type { Transaction } from './transaction.ts'

export type Image = Readonly<Draft>

/** Who changes, for the change log. */
export interface Authorship {
  readonly actor: string
  readonly actorName: string
  readonly requestId: string
}

const LOCKS = {
  none: '',
  share: ' for share of t',
  update: ' for no key update of t',
  delete: ' for update of t',
} as const

/** Statements by resource and purpose, composed once. */
const composed = new WeakMap<ComposedResource, Map<string, string>>()

function text(resource: ComposedResource, purpose: string, make: () => string): string {
  let texts = composed.get(resource)
  if (!texts) composed.set(resource, (texts = new Map()))
  let found = texts.get(purpose)
  if (found === undefined) texts.set(purpose, (found = make()))
  return found
}

/** As JSON to be sent, or as it is kept in the change log. */
const image = (resource: ComposedResource, as = 'row_to_json'): string =>
  `(select ${as}(o) from (select ${imageList(resource)}) o)`

/** True when an attribute is read from other rows than the object's own. */
const looksElsewhere = (resource: ComposedResource): boolean =>
  Object.values(resource.attributes).some((one) => one.column === null && one.sql !== null)

/**
 * The object, locked. A statement that waited for a lock sees the row as it is now and all other rows as they were
 * before: what is read from other rows is read by a second statement, sent together with the first.
 */
export async function loadObject(
  tx: Transaction,
  resource: ComposedResource,
  id: string,
  lock: keyof typeof LOCKS,
): Promise<Image | undefined> {
  const apart = text(resource, `lock ${lock}`, () => lockStatement(resource, lock))
  const sql = text(resource, apart ? 'load none' : `load ${lock}`, () => {
    return `select ${image(resource)} as image from ${resource.table} t where t.id = $1${apart ? '' : LOCKS[lock]}`
  })
  const locked = apart && tx.query(apart, [id])
  const [, [row]] = await Promise.all([locked, tx.query<{ image: Image }>(sql, [id])])
  return row?.image
}

/** Empty: the statement that reads the object locks it. */
const lockStatement = (resource: ComposedResource, lock: keyof typeof LOCKS): string =>
  lock !== 'none' && looksElsewhere(resource) ? `select 1 from ${resource.table} t where t.id = $1${LOCKS[lock]}` : ''

/** Objects whose attributes equal the given values, by id. `security_groups:has` and `fixed_ips:subnet_id` look inside. */
export async function findObjects(
  tx: Transaction,
  resource: ComposedResource,
  where: Where,
): Promise<readonly Image[]> {
  const sql = text(resource, `find ${shapeOf(where)}`, () => {
    return `select ${image(resource)} as image from ${resource.table} t where ${conditions(resource, where)} order by t.id`
  })
  const rows = await tx.query<{ image: Image }>(sql, Object.values(where))
  return rows.map((row) => row.image)
}

/** The projects that own such objects. */
export async function findOwners(
  tx: Transaction,
  resource: ComposedResource,
  where: Where,
): Promise<ReadonlySet<string>> {
  const sql = text(resource, `owners ${shapeOf(where)}`, () => {
    return `select distinct t.project_id from ${resource.table} t where ${conditions(resource, where)}`
  })
  const rows = await tx.query<{ project_id: string }>(sql, Object.values(where))
  return new Set(rows.map((row) => row.project_id))
}

/** Searches of one shape are one statement. */
const shapeOf = (where: Where): string =>
  Object.entries(where)
    .map(([name, value]) => (Array.isArray(value) ? `${name}[]` : value === null ? `${name} null` : name))
    .join(',')

const conditions = (resource: ComposedResource, where: Where): string =>
  Object.entries(where)
    .map(([name, value], index) => condition(resource, name, value, index + 1))
    .join(' and ') || 'true'

function condition(resource: ComposedResource, name: string, value: Where[string], index: number): string {
  if (name === 'security_groups:has') return `t.security_group_ids @> array[$${index}::uuid]`
  if (name === 'fixed_ips:subnet_id')
    return `t.id in (select a.port_id from ip_allocations a where a.subnet_id = $${index}::uuid)`
  const attribute = resource.attributes[name]
  const expression = attribute && readExpression(attribute)
  if (!expression) throw new Error(`${resource.name} cannot be found by ${name}`)
  if (value === null) return `${expression} is not distinct from $${index}::${attribute.pg}`
  return Array.isArray(value)
    ? `${expression} = any($${index}::${attribute.pg}[])`
    : `${expression} = $${index}::${attribute.pg}`
}

export interface WrittenObject {
  readonly id: string
  /** The stored object; for a delete, the object as it was. */
  readonly image: Image
}

/** Writes objects of one resource and their change rows. `before`: by id, for updates and deletes. */
export async function writeObjects(
  tx: Transaction,
  resource: ComposedResource,
  op: Op,
  objects: readonly Image[],
  before: Readonly<Record<string, Image>>,
  { actor, actorName, requestId }: Authorship,
): Promise<readonly WrittenObject[]> {
  const sql = text(resource, op, () => writeStatement(resource, op))
  const rows = objects.map((object) => toRow(resource, object))
  const params = [JSON.stringify(rows), JSON.stringify(before), actor, actorName, requestId]
  return tx.query<{ id: string; image: Image }>(sql, params)
}

const toRow = (resource: ComposedResource, object: Image): Draft => {
  const row: Draft = {}
  for (const [name, column] of storedColumns(resource)) row[column] = object[name]
  return row
}

/** What is shown of an object and not logged with it: what others change without writing it. Null: nothing. */
const unlogged = (resource: ComposedResource): string | null => {
  const names = Object.entries(resource.attributes).flatMap(([name, one]) => (one.secret && one.visible ? [name] : []))
  return names.length === 0 ? null : `(select to_jsonb(o) from (select ${selectList(resource, names)}) o)`
}

function writeStatement(resource: ComposedResource, op: Op): string {
  const { table, name } = resource
  const columns = storedColumns(resource).map(([, column]) => quoteName(column))
  // No image has a secret: a write that does not name it leaves it as it is. The objects of one write name the same.
  const secrets = Object.values(resource.attributes).flatMap((one) => (one.secret && one.column ? [one.column] : []))
  const changed = (column: string): string => {
    const given = `r.${quoteName(column)}`
    return `${quoteName(column)} = ${secrets.includes(column) ? `case when $1::jsonb -> 0 ? '${column}' then ${given} else u.${quoteName(column)} end` : given}`
  }
  const project = 'project_id' in resource.attributes ? "coalesce(t.project_id, '')" : `''`
  const rows = `jsonb_populate_recordset(null::${table}, $1::jsonb)`
  const dml = {
    create: `insert into ${table} (${columns.join(', ')}) select ${columns.join(', ')} from ${rows} r returning *`,
    update: `update ${table} u set ${storedColumns(resource)
      .map(([, column]) => changed(column))
      .join(', ')} from ${rows} r where u.id = r.id returning u.*`,
    delete: `delete from ${table} u using ${rows} r where u.id = r.id returning u.*`,
  }[op]
  const before = op === 'create' ? 'null::jsonb' : '$2::jsonb -> t.id::text'
  const after = op === 'delete' ? 'null::jsonb' : image(resource, 'to_jsonb')
  const generation = op === 'delete' ? 't.revision_number + 1' : 't.revision_number'
  // A creation is handed what was before like the others, and has no use for it.
  const log = `insert into change (era, actor, actor_name, request_id, project_id, kind, id, op, generation, before, after)
      select (select max(era) from eras), $3, $4, $5, ${project}, '${name}', t.id, '${op}', ${generation}, ${before}, ${after}
      from t where $2::jsonb is not null`
  const beside = op === 'delete' ? null : unlogged(resource)
  return beside === null
    ? `with t as (${dml}) ${log} returning id, ${op === 'delete' ? 'before' : 'after'} as image`
    : `with t as (${dml}), c as (${log} returning id, after)
    select t.id, c.after || ${beside} as image from c join t on t.id = c.id`
}
