/** What a caller may see: as a condition over rows, and today, of what the past shows. */
import type { Caller } from '#kernel/caller.ts'
import { asSeenBy } from '#model/audience.ts'
import type { ComposedResource } from '#model/compose.ts'
import type { Draft } from '#model/define.ts'
import type { Policy } from '#policy/policy.ts'
import type { Expression } from '#store/condition.ts'
import { lastImages } from '#store/history.ts'
import { listVisibleIds } from '#store/list.ts'
import type { Database } from '#store/pool.ts'

export interface ReadCore {
  readonly database: Database
  readonly policy: Policy
}

interface Judge {
  readonly policy: Policy
}

/** The policy's rule with the caller filled in. */
export const visibleTo = ({ policy }: Judge, resource: ComposedResource, caller: Caller): Expression =>
  policy.residual(`get_${resource.policyName}`, caller)

/** Does the rule hold for the caller and this object? */
export const permits = (
  { policy }: Judge,
  rule: string,
  resource: ComposedResource,
  caller: Caller,
  object: Readonly<Draft>,
): boolean => policy.allows(rule, caller, asSeenBy(resource, object, caller.projectId))

/** May the caller see the object? */
export const sees = (judge: Judge, resource: ComposedResource, caller: Caller, object: Readonly<Draft>): boolean =>
  permits(judge, `get_${resource.policyName}`, resource, caller, object)

/**
 * Of each object, whether the caller may see it today. What is gone is judged as it was last: a share that was revoked
 * before the object went stays revoked. Objects nobody knows are left out.
 */
export async function visibleToday(
  core: ReadCore,
  resource: ComposedResource,
  caller: Caller,
  ids: readonly string[],
): Promise<ReadonlyMap<string, boolean>> {
  const rule = visibleTo(core, resource, caller)
  if (typeof rule === 'boolean') return new Map(ids.map((id) => [id, rule]))
  const standing = await listVisibleIds(core.database, resource, ids, rule, caller.projectId)
  const today = new Map(standing.map(({ id, visible }) => [id, visible]))
  const gone = ids.filter((id) => !today.has(id))
  if (gone.length === 0) return today
  for (const [id, image] of await lastImages(core.database, resource, gone)) {
    today.set(id, sees(core, resource, caller, image))
  }
  return today
}
