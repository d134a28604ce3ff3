/** What a caller may see, as a condition over rows. */
import type { Caller } from '#kernel/caller.ts'
import type { ComposedResource } from '#model/compose.ts'
import type { Policy } from '#policy/policy.ts'
import type { Expression } from '#store/condition.ts'
import type { Database } from '#store/pool.ts'

export interface ReadCore {
  readonly database: Database
  readonly policy: Policy
}

/** The policy's rule with the caller filled in. */
export const visibleTo = (
  { policy }: { readonly policy: Policy },
  resource: ComposedResource,
  caller: Caller,
): Expression => policy.residual(`get_${resource.name}`, caller)
