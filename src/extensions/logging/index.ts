/** Packet logging: what shall be written down of what security groups accept and drop. */
import { defineExtension, type Resource, type Write } from '#model/define.ts'
import { log, loggableResource, removeLogs } from './log.ts'

const goneId = ({ op, before }: Write): string | undefined => (op === 'delete' ? String(before?.['id']) : undefined)

export const logging = defineExtension({
  alias: 'logging',
  name: 'Logging API Extension',
  description: 'Has packets that security groups accept or drop written down.',
  updated: '2017-01-01T10:00:00-00:00',
  resources: [log, loggableResource] as Resource[],
  on: {
    security_group: {
      async inTx(context, write) {
        const resource_id = goneId(write)
        if (resource_id !== undefined) await removeLogs(context, { resource_id })
        return undefined
      },
    },
    port: {
      async inTx(context, write) {
        const target_id = goneId(write)
        if (target_id !== undefined) await removeLogs(context, { target_id })
        return undefined
      },
    },
  },
})
