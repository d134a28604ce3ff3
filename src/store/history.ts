/**
 * The state at a past instant, from the change log. Order is by generation: clocks may disagree, generations do not.
 *
 * An object is as the last change until then left it. Where retention has removed that change, it is as the next one
 * found it; where no change is left at all, it is as it is now. That is exact back to `historyBegins`.
 */
import type { ComposedResource } from '#model/compose.ts'
import { listImages } from './list.ts'
import type { Database } from './pool.ts'

export type Image = Readonly<Record<string, unknown>>

/** The object as it was; null when it did not exist then. */
export async function objectAsOf(
  database: Database,
  resource: ComposedResource,
  id: string,
  at: string,
): Promise<Image | null> {
  const [row] = await database.query<{ image: Image | null }>(
    `(select after as image from change where kind = $1 and id = $2 and at <= $3::timestamptz order by generation desc limit 1)
      union all (select before from change where kind = $1 and id = $2 and at > $3::timestamptz order by generation limit 1)
      limit 1`,
    [resource.name, id, at],
  )
  if (row) return row.image
  const [now] = await listImages(database, resource, { visible: true, filters: { id: [id] }, sort: [] })
  return now ?? null
}

/** Every object that existed then, by id. */
export async function listAsOf(database: Database, resource: ComposedResource, at: string): Promise<Image[]> {
  const rows = await database.query<{ id: string; image: Image | null }>(
    `with until as (select distinct on (id) id, after as image from change where kind = $1 and at <= $2::timestamptz
        order by id, generation desc),
      since as (select distinct on (id) id, before as image from change c where kind = $1 and at > $2::timestamptz
        and not exists (select 1 from until u where u.id = c.id) order by id, generation)
      select id, image from until union all select id, image from since`,
    [resource.name, at],
  )
  const logged = new Set(rows.map((row) => row.id))
  const silent = await listImages(database, resource, { visible: true, filters: {}, sort: [] })
  return [
    ...rows.flatMap(({ image }) => (image ? [image] : [])),
    ...silent.filter((image) => !logged.has(String(image['id']))),
  ].sort((a, b) => (String(a['id']) < String(b['id']) ? -1 : 1))
}

/** Deleted objects as they were last, by id; those the log does not know are left out. */
export async function lastImages(
  database: Database,
  resource: ComposedResource,
  ids: readonly string[],
): Promise<ReadonlyMap<string, Image>> {
  const rows = await database.query<{ id: string; image: Image }>(
    `select distinct on (id) id, before as image from change
      where kind = $1 and id = any($2::uuid[]) and op = 'delete' order by id, generation desc`,
    [resource.name, ids],
  )
  return new Map(rows.map((row) => [row.id, row.image]))
}

/** The instant before which the past is not known any more; null while nothing was ever removed. */
export async function historyBegins(database: Database): Promise<Date | null> {
  const [row] = await database.query<{ at: Date | null }>('select max(at) as at from change_horizon')
  return row?.at ?? null
}
