/**
 * Objects put right outside any request, by a transaction that nobody else writes beside: each write is a row and its
 * change row in one statement, as in an operation, so that hosts, watchers and drivers hear of it. No hooks run.
 */
import type { ComposedResource } from '#model/compose.ts'
import { type Authorship, type Image, loadObject, writeObjects } from './objects.ts'
import type { Transaction } from './transaction.ts'

/** By name. */
export type Resources = ReadonlyMap<string, ComposedResource>

export interface Rewriting {
  readonly tx: Transaction
  readonly resources: Resources
  readonly author: Authorship
}

/** Gives the object these values, one revision higher. One that is gone stays so. */
export async function rewriteObject(by: Rewriting, kind: string, id: string, values: Image): Promise<void> {
  const resource = named(by, kind)
  const before = await loadObject(by.tx, resource, id, 'update')
  if (before) await revise(by, resource, before, values)
}

/** Removes the object; what shows it as a part of itself is revised, as when a client removes it. */
export async function removeObject(by: Rewriting, kind: string, id: string): Promise<void> {
  const { tx, author } = by
  const resource = named(by, kind)
  const before = await loadObject(tx, resource, id, 'delete')
  if (!before) return
  const parents = await parentsOf(by, resource, before)
  await writeObjects(tx, resource, 'delete', [before], { [id]: before }, author)
  for (const parent of parents) await revise(by, parent.resource, parent.before, {})
}

interface Loaded {
  readonly resource: ComposedResource
  readonly before: Image
}

/** As they are while the object is still there. */
async function parentsOf(by: Rewriting, { bumps, references }: ComposedResource, object: Image): Promise<Loaded[]> {
  const parents: Loaded[] = []
  for (const attribute of bumps) {
    const [kind, id] = [references[attribute]?.resource, object[attribute]]
    if (kind === undefined || typeof id !== 'string') continue
    const resource = named(by, kind)
    const before = await loadObject(by.tx, resource, id, 'update')
    if (before) parents.push({ resource, before })
  }
  return parents
}

async function revise(
  { tx, author }: Rewriting,
  resource: ComposedResource,
  before: Image,
  values: Image,
): Promise<void> {
  const id = String(before['id'])
  const now = `${new Date().toISOString().slice(0, 19)}Z`
  const revision_number = Number(before['revision_number']) + 1
  await writeObjects(
    tx,
    resource,
    'update',
    [{ ...before, ...values, revision_number, updated_at: now }],
    { [id]: before },
    author,
  )
}

function named({ resources }: Rewriting, kind: string): ComposedResource {
  const resource = resources.get(kind)
  if (!resource) throw new Error(`the model has no ${kind}`)
  return resource
}
