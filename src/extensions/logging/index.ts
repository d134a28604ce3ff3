/** Packet logging: what shall be written down of what security groups accept and drop. */
import { defineExtension, type Resource } from '#model/define.ts'
import { lostUses } from '../port-uses.ts'
import { log, loggableResource, removeLogs } from './log.ts'

export const logging = defineExtension({
  alias: 'logging',
  name: 'Logging API Extension',
  description: 'Has packets that security groups accept or drop written down.',
  updated: '2017-01-01T10:00:00-00:00',
  resources: [log, loggableResource] as Resource[],
  on: {
    security_group: {
      async inTx(context, write) {
        if (write.op === 'delete') await removeLogs(context, { resource_id: String(write.before?.['id']) })
        return undefined
      },
    },
    port: {
      async inTx(context, write) {
        for (const { kind, object_id } of await lostUses(context, write))
          if (kind === 'log') await context.remove(log, object_id)
        return undefined
      },
    },
  },
})
