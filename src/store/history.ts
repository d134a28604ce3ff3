/** The state at a past instant, from the change log. Order is by generation: clocks may disagree, generations do not. */
import type { ComposedResource } from '#model/compose.ts'
import type { Database } from './pool.ts'

export type Image = Readonly<Record<string, unknown>>

/** The object as it was; null when it did not exist then. Undefined when the log does not know it at all. */
export async function objectAsOf(
  database: Database,
  resource: ComposedResource,
  id: string,
  at: string,
): Promise<Image | null | undefined> {
  const [row] = await database.query<{ after: Image | null }>(
    `select after from change where kind = $1 and id = $2 and at <= $3::timestamptz order by generation desc limit 1`,
    [resource.name, id, at],
  )
  if (row) return row.after
  const [known] = await database.query('select 1 from change where kind = $1 and id = $2 limit 1', [resource.name, id])
  return known ? null : undefined
}

/** Every object that existed then, by id. */
export async function listAsOf(database: Database, resource: ComposedResource, at: string): Promise<Image[]> {
  const rows = await database.query<{ after: Image }>(
    `select after from (select distinct on (id) id, after from change where kind = $1 and at <= $2::timestamptz
      order by id, generation desc) latest where after is not null order by id`,
    [resource.name, at],
  )
  return rows.map((row) => row.after)
}

/** The oldest instant the log still covers. */
export async function historyBegins(database: Database): Promise<Date | null> {
  const [row] = await database.query<{ at: Date | null }>('select min(at) as at from change')
  return row?.at ?? null
}
