/** `binding-extended`: a port bound to more hosts than the one where it is, for live migration. */
import { defineExtension, type Extension, list, parseText, type Resource, type Write } from '#model/define.ts'
import type { Context } from '#model/define.ts'
import { actions } from './actions.ts'
import { endWaiting, expiredBinding, isMovable, portBinding, waitingOf } from './binding.ts'

const INACTIVE_HOSTS = 'binding:inactive_hosts'

/**
 * Bindings that wait go with their port, and when it is bound elsewhere by other means than activation: whoever does
 * that knows nothing of the migration they are for.
 */
async function followPort(context: Context, { before, after, given }: Write): Promise<undefined> {
  if (!before || (before[INACTIVE_HOSTS] as readonly string[]).length === 0) return undefined
  const moved = after?.['binding:host_id'] !== before['binding:host_id'] && !given.has('binding:vif_type')
  if (after && !moved && isMovable(after)) return undefined
  for (const one of await waitingOf(context, before['id'])) await endWaiting(context, one)
  return undefined
}

const bindingExtended = defineExtension({
  alias: 'binding-extended',
  name: 'Port Bindings Extended',
  description: 'Bindings of a port to further hosts, and which of them is active.',
  updated: '2017-07-17T10:00:00-00:00',
  requires: ['binding'],
  on: {
    port: {
      attributes: {
        [INACTIVE_HOSTS]: list(
          { schema: { type: 'string' }, parse: parseText(255) },
          {
            visible: false,
            column: null,
            sql: "(select coalesce(jsonb_agg(b.host order by b.host), '[]') from port_bindings b where b.port_id = t.id)",
          },
        ),
      },
      actions,
      inTx: followPort,
    },
  },
  resources: [portBinding as Resource, expiredBinding as Resource],
})

export const portBindings: readonly Extension[] = [bindingExtended]
