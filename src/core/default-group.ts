/** Whoever looks at the security groups of a project finds its default one there, as in the peer. */
import type { Caller } from '#kernel/caller.ts'
import type { ComposedResource } from '#model/compose.ts'
import { securityGroup } from '#resources/security-group.ts'
import { securityGroupRule } from '#resources/security-group-rule.ts'
import { type Core, operateInternally } from './operation.ts'
import type { ListRequest } from './reading/query.ts'

const CONCERNED: readonly string[] = [securityGroup.name, securityGroupRule.name]

/** Makes the default group of the project whose groups or rules are asked for, when it is missing. */
export async function ensureDefaultGroup(
  core: Core,
  { name }: ComposedResource,
  caller: Caller,
  requestId: string,
  { filters, asOf }: ListRequest,
): Promise<void> {
  if (!CONCERNED.includes(name) || asOf !== undefined) return
  const asked = filters['project_id']
  const projectId = asked?.length === 1 && core.policy.isAdmin(caller) ? String(asked[0]) : caller.projectId
  if (!projectId) return
  const [known] = await core.database.query(
    "select 1 from security_groups where project_id = $1 and name = 'default'",
    [projectId],
  )
  if (known) return
  try {
    await operateInternally(core, caller, requestId, (unit) => unit.defaultSecurityGroup(projectId))
  } catch (error) {
    // Another request was faster.
    if ((error as { constraint?: string }).constraint !== 'security_groups_one_default') throw error
  }
}
