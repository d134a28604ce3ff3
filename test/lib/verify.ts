/**
 * What must hold of a database whenever no operation is under way, whatever happened before: counters equal rows,
 * every address and segment id is either free or held and never both, and the change log ends where the tables are.
 */
import { isDeepStrictEqual } from 'node:util'
import { keptByModel } from '#cli/db-verify.ts'
import type { Core } from '#core/operation.ts'
import type { ComposedResource } from '#model/compose.ts'
import { listImages } from '#store/list.ts'
import type { Database } from '#store/pool.ts'
import { inTransaction } from '#store/transaction.ts'
import { findProblems } from '#store/verify.ts'
import { isSeed, PASSING, storedResources } from './verify-log.ts'

const kept = keptByModel()

/** Everything that is wrong, one sentence each; empty when all is well. */
export async function verify(core: Core): Promise<string[]> {
  const { database, model } = core
  const problems = await Promise.all([
    keptTwice(database),
    nothingIsHalfDone(database),
    ...storedResources(model).map((resource) => changeLogEndsHere(database, resource)),
  ])
  return problems.flat()
}

/** What `deuteron db verify` compares. */
const keptTwice = (database: Database): Promise<string[]> =>
  inTransaction(database, async (tx) => {
    await tx.query('/* once */ set transaction isolation level repeatable read read only')
    return { value: (await findProblems(tx, kept, false)).map((one) => one.says) }
  })

async function nothingIsHalfDone(database: Database): Promise<string[]> {
  const keys = await database.query<{ key: string }>(`/* once */ select key from idempotency_keys where status = 0`)
  const bare = await database.query<{ id: string }>(
    `/* once */ select n.id from networks n where not exists (select 1 from network_segments s where s.network_id = n.id)`,
  )
  return [
    ...keys.map(({ key }) => `Idempotency-Key ${key} has no answer`),
    ...bare.map(({ id }) => `network ${id} has no segment`),
  ]
}

/** The newest logged image of every object is what a client would be shown; what is gone is logged as deleted. */
async function changeLogEndsHere(database: Database, resource: ComposedResource): Promise<string[]> {
  const logged = await database.query<{ id: string; generation: number; after: Record<string, unknown> | null }>(
    `/* once */ select distinct on (id) id, generation, after from change where kind = $1 order by id, generation desc`,
    [resource.name],
  )
  const images = await listImages(database, resource, { visible: true, filters: {}, sort: [] })
  const now = new Map(images.map((image) => [String(image['id']), image]))
  const silent = PASSING[resource.name] ?? []
  const shown = Object.keys(resource.attributes).filter(
    (name) => resource.attributes[name]?.visible && !silent.includes(name),
  )
  const problems = logged.flatMap(({ id, after }) => {
    const current = now.get(id)
    now.delete(id)
    if (!after || !current)
      return !after === !current ? [] : [`${resource.name} ${id}: the change log disagrees on whether it exists`]
    const differing = shown.filter((name) => !isDeepStrictEqual(after[name] ?? null, current[name] ?? null))
    return differing.map(
      (name) =>
        `${resource.name} ${id}: ${name} was logged as ${JSON.stringify(after[name])} and is ${JSON.stringify(current[name])}`,
    )
  })
  const unlogged = [...now].filter(([, image]) => !isSeed(resource.name, image))
  return [...problems, ...unlogged.map(([id]) => `${resource.name} ${id} is not in the change log`)]
}
