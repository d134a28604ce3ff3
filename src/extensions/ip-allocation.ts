/**
 * `ip_allocation`: has a port its addresses at once, none by its own wish, or does it wait for its host? On a routed
 * network, whose subnets stand on segments, addresses follow from where a port is (`resources/port-host.ts`).
 */
import { type Context, defineExtension, type Draft, oneOf, type Write } from '#model/define.ts'

interface Port extends Draft {
  readonly network_id: string
  readonly fixed_ips: readonly { readonly subnet_id: string; readonly ip_address: string }[]
  readonly 'binding:host_id': string
}

export const ipAllocation = defineExtension({
  alias: 'ip_allocation',
  name: 'IP Allocation',
  description: 'When a port gets its addresses.',
  updated: '2016-06-10T23:00:00-00:00',
  on: {
    port: {
      attributes: { ip_allocation: oneOf(['immediate', 'deferred', 'none'], { filter: true, sort: true }) },
      inTx: async (context, write) => {
        const { op, after, given } = write as unknown as Write<Port>
        return op === 'create' ? { ip_allocation: await howAllocated(context, after as Port, given) } : undefined
      },
    },
  },
})

async function howAllocated(
  context: Context,
  { network_id, fixed_ips, 'binding:host_id': host }: Port,
  given: ReadonlySet<string>,
): Promise<'immediate' | 'deferred' | 'none'> {
  if (fixed_ips.length > 0) return 'immediate'
  if (given.has('fixed_ips')) return 'none'
  if (host) return 'immediate'
  const subnets = await context.find('subnet', { network_id })
  return subnets.some(isOnSegment) ? 'deferred' : 'immediate'
}

const isOnSegment = (subnet: Readonly<Draft>): boolean => typeof subnet['segment_id'] === 'string'
