/** `ip_allocation`: has a port its addresses at once, only when its host is known, or none by its own wish? */
import { defineExtension, oneOf } from '#model/define.ts'

export const ipAllocation = defineExtension({
  alias: 'ip_allocation',
  name: 'IP Allocation',
  description: 'When a port gets its addresses.',
  updated: '2016-06-10T23:00:00-00:00',
  on: {
    port: {
      attributes: { ip_allocation: oneOf(['immediate', 'deferred', 'none'], { filter: true, sort: true }) },
      inTx: async (_, { op, after, given }) => {
        if (op !== 'create' || !after || after['ip_allocation']) return undefined
        const unaddressed = given.has('fixed_ips') && (after['fixed_ips'] as readonly unknown[]).length === 0
        return { ip_allocation: unaddressed ? 'none' : 'immediate' }
      },
    },
  },
})
