/**
 * On a routed network, whose subnets stand on segments, a port's addresses follow from its host: they are taken when
 * the host is first known, and a host that does not reach them is refused.
 */
import { ApiError } from '#kernel/errors.ts'
import type { FixedIp } from '#model/context.ts'
import type { Context, Draft } from '#model/define.ts'

interface Placed {
  readonly id: string
  readonly network_id: string
  readonly mac_address: string
  readonly device_owner: string
  readonly 'binding:host_id': string
}
/** `ip_allocation` is an extension's: it says that a port waits for its host. */
const isDeferred = (port: object): boolean => (port as Draft)['ip_allocation'] === 'deferred'

/**
 * What a new host, or another, means for a port's addresses; `fixed_ips`: those it has by now, `asked`: the client had
 * a say in them. Before it is bound, for where it may be bound depends on them. Throws HostNotConnectedToAnySegment,
 * HostNotCompatibleWithFixedIps, IpAddressGenerationFailure.
 */
export async function settleOnHost(
  context: Context,
  old: Placed,
  wanted: Placed,
  fixed_ips: readonly FixedIp[],
  asked: boolean,
): Promise<Partial<Draft>> {
  const host = wanted['binding:host_id']
  if (host !== '' && host !== old['binding:host_id']) {
    if (fixed_ips.length > 0) await requireReach(context, wanted, fixed_ips)
    else if (isDeferred(old) && !asked && old['binding:host_id'] === '') {
      const { id: port_id, network_id, mac_address, device_owner } = wanted
      const taken = await context.ipam.allocate({ port_id, network_id, mac_address, device_owner, host }, undefined)
      return { fixed_ips: taken, ip_allocation: 'immediate' }
    }
  }
  return isDeferred(old) && fixed_ips.length > 0 ? { ip_allocation: 'immediate' } : {}
}

async function requireReach(
  context: Context,
  { id, network_id, device_owner, 'binding:host_id': host }: Placed,
  fixed_ips: readonly FixedIp[],
): Promise<void> {
  if (device_owner === 'network:dhcp') return
  const segments = await context.binding.places({ id, network_id, host })
  const held = fixed_ips.flatMap(({ subnet_id }) => segments[subnet_id] ?? [])
  if (held.length === 0) return
  const reached = new Set((await context.find('segment_host', { network_id, host })).map((one) => one['segment_id']))
  if (held.every((one) => reached.has(one))) return
  const connected = Object.values(segments).some((one) => reached.has(one))
  throw connected
    ? new ApiError('HostNotCompatibleWithFixedIps', { host, port_id: id })
    : new ApiError('HostNotConnectedToAnySegment', { host, network_id })
}
