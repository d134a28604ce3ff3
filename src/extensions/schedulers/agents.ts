/** What becomes of bindings when agents come and go. */
import { ApiError } from '#kernel/errors.ts'
import type { Context, Draft, ExtensionPart } from '#model/define.ts'
import { dhcpBinding } from './bindings.ts'
import { scheduleWaiting } from './failover.ts'
import { unbindRouter } from './l3.ts'

/** An agent that goes is alive no more; what it had is left without, until it is given to another. */
export const goingAgents: ExtensionPart = {
  inTx: async (context, { op, before, after, internal }) => {
    if (op === 'create') scheduleToNew(context, after?.['agent_type'])
    if (op !== 'delete' || !before) return undefined
    const { id, host } = before
    if (isServing(before) && !internal) throw new ApiError('AgentInUse', { id, host }, { reason: 'alive' })
    const agent_id = String(id)
    for (const one of await context.find('dhcp_binding', { agent_id }))
      await context.remove(dhcpBinding, String(one['id']))
    for (const one of await context.find('router_binding', { agent_id }))
      await unbindRouter(context, String(one['router_id']), String(one['id']))
    return undefined
  },
}

/** It would be back with its next report, and have nothing of what it had. */
const isServing = ({ alive, admin_state_up }: Readonly<Draft>): boolean => alive === true && admin_state_up === true

/** What was made before there was any agent. */
function scheduleToNew(context: Context, agentType: unknown): void {
  if (agentType === 'DHCP agent') context.afterWrite(() => scheduleWaiting(context, 'dhcp'))
  if (agentType === 'L3 agent') context.afterWrite(() => scheduleWaiting(context, 'l3'))
}
