/**
 * The other way round: when an object's list changes by the object itself (`shared: true`), its policies follow; when
 * it goes, they go. What is part of a network is seen by whoever sees the network.
 */
import { ApiError } from '#kernel/errors.ts'
import { type Context, type Draft, EVERYONE, type ExtensionPart, type Write } from '#model/define.ts'
import { subnet } from '#resources/subnet.ts'
import { rbacPolicy } from './rbac-policy.ts'
import { inUse, listOf, losers, SHARED, type SharedKind, sharedKinds, type SharingAction } from './shared-kinds.ts'

const partOf = (kind: SharedKind): ExtensionPart => ({
  inTx: async (context, write) => {
    if (write.op === 'delete') return removePolicies(context, String(write.before?.['id']))
    const patch = await followFlag(context, kind, write)
    const after = { ...write.after, ...patch }
    for (const [action, attribute] of Object.entries(kind.lists)) {
      // A policy that a client wrote moves the list itself.
      if (write.given.has(attribute)) continue
      await followList(context, kind, action as SharingAction, after, [
        listOf(write.before, attribute),
        listOf(after, attribute),
      ])
    }
    if (kind.resource.name === 'network') await tellSubnets(context, write.before, after)
    return patch
  },
})

/** By kind of object. */
export const sharingParts: Readonly<Record<string, ExtensionPart>> = Object.fromEntries(
  [...sharedKinds].map(([name, kind]) => [name, partOf(kind)]),
)

/** What a client's `shared` makes of the list. */
async function followFlag(
  context: Context,
  kind: SharedKind,
  { before, after, given }: Write,
): Promise<Partial<Draft> | undefined> {
  const attribute = kind.lists[SHARED] as string
  if (before && !given.has('shared')) return undefined
  const was = listOf(before, attribute)
  const others = was.filter((one) => one !== EVERYONE)
  const list = after?.['shared'] === true ? [...others, EVERYONE] : others
  const lost = before ? await losers(context, kind, before, SHARED, list) : []
  if (before && lost.length > 0) {
    const reason = { reason: 'in_use', projects: lost }
    throw kind.resource.name === 'network'
      ? new ApiError('InvalidSharedSetting', { network: before['name'] }, reason)
      : inUse(before, lost)
  }
  return { [attribute]: was.length === list.length ? was : list }
}

async function followList(
  context: Context,
  { resource }: SharedKind,
  action: SharingAction,
  object: Readonly<Draft>,
  [was, is]: readonly [readonly string[], readonly string[]],
): Promise<void> {
  const object_id = String(object['id'])
  for (const target_tenant of is.filter((one) => !was.includes(one))) {
    const { project_id } = object
    const policy = { project_id, object_type: resource.name, object_id, action, target_tenant }
    context.afterWrite(async () => void (await context.create(rbacPolicy, policy)))
  }
  const gone = was.filter((one) => !is.includes(one))
  if (gone.length === 0) return
  for (const { id } of await context.find('rbac_policy', { object_id, action, target_tenant: gone }))
    await context.remove(rbacPolicy, String(id))
}

async function removePolicies(context: Context, object_id: string): Promise<undefined> {
  for (const { id } of await context.find('rbac_policy', { object_id })) await context.remove(rbacPolicy, String(id))
}

/** What others see of the subnets changes with their network: the change log says so. */
async function tellSubnets(context: Context, before: Readonly<Draft> | null, after: Readonly<Draft>): Promise<void> {
  const { shared_with } = after
  if (!before || JSON.stringify(before['shared_with']) === JSON.stringify(shared_with)) return
  for (const id of before['subnets'] as readonly string[]) await context.update(subnet, id, { shared_with })
}
