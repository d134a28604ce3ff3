/**
 * `ip_allocation`: has a port its addresses at once, none by its own wish, or does it wait for its host? On a routed
 * network, whose subnets stand on segments, addresses follow from where a port is.
 */
import { ApiError } from '#kernel/errors.ts'
import { type Context, defineExtension, type Draft, oneOf, type Write } from '#model/define.ts'

interface Port extends Draft {
  readonly id: string
  readonly network_id: string
  readonly mac_address: string
  readonly device_owner: string
  readonly fixed_ips: readonly { readonly subnet_id: string; readonly ip_address: string }[]
  readonly 'binding:host_id': string
  readonly ip_allocation: 'immediate' | 'deferred' | 'none' | undefined
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
        const { op, before, after, given } = write as unknown as Write<Port>
        if (op === 'create') return { ip_allocation: await howAllocated(context, after as Port, given) }
        const moved = after?.['binding:host_id'] && after['binding:host_id'] !== before?.['binding:host_id']
        return op === 'update' && moved && !given.has('fixed_ips') ? settle(context, after as Port) : undefined
      },
    },
  },
})

async function howAllocated(
  context: Context,
  { network_id, fixed_ips, 'binding:host_id': host }: Port,
  given: ReadonlySet<string>,
): Promise<Port['ip_allocation']> {
  if (fixed_ips.length > 0) return 'immediate'
  if (given.has('fixed_ips')) return 'none'
  if (host) return 'immediate'
  const subnets = await context.find('subnet', { network_id })
  return subnets.some(isOnSegment) ? 'deferred' : 'immediate'
}

const isOnSegment = (subnet: Readonly<Draft>): boolean => typeof subnet['segment_id'] === 'string'

/** The port's host is known now, or another: its addresses are taken there, or must be reachable there. */
async function settle(context: Context, after: Port): Promise<Partial<Draft> | undefined> {
  const { id: port_id, network_id, mac_address, device_owner, fixed_ips, 'binding:host_id': host } = after
  if (fixed_ips.length > 0) return void (await requireReach(context, after))
  if (after.ip_allocation !== 'deferred') return undefined
  const owner = { port_id, network_id, mac_address, device_owner, host }
  return { fixed_ips: await context.ipam.allocate(owner, undefined), ip_allocation: 'immediate' }
}

async function requireReach(context: Context, port: Port): Promise<void> {
  const { id: port_id, network_id, fixed_ips, 'binding:host_id': host } = port
  const held = new Set(fixed_ips.map((one) => one.subnet_id))
  const subnets = (await context.find('subnet', { network_id })).filter(isOnSegment)
  const segments = subnets.filter((one) => held.has(String(one['id']))).map((one) => String(one['segment_id']))
  if (segments.length === 0 || port.device_owner === 'network:dhcp') return
  const reached = (await context.find('segment_host', { network_id, host })).map((one) => one['segment_id'])
  if (!segments.every((one) => reached.includes(one)))
    throw new ApiError('HostNotCompatibleWithFixedIps', { host, port_id })
}
