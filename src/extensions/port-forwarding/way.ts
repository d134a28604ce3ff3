/** The way from a floating IP to a fixed IP, for port forwardings. */
import { ApiError } from '#kernel/errors.ts'
import type { Context, Draft } from '#model/define.ts'
import { versionOf } from '../l3/addresses.ts'
import { routeTo } from '../l3/association.ts'

interface FixedIp {
  readonly subnet_id: string
  readonly ip_address: string
}
interface Port {
  readonly id: string
  readonly network_id: string
  readonly fixed_ips: readonly FixedIp[]
}

export const badForwarding = (msg: string): ApiError => new ApiError('BadRequest', { resource: 'port_forwarding', msg })

/** What the forwarding keeps of its way, and what the floating IP does; or why there is none. */
export async function wayIn(context: Context, floating: Readonly<Draft>, portId: string, asked: string | null) {
  const { id, floating_ip_address, floating_network_id } = floating
  const port = (await context.load('port', portId)) as unknown as Port
  const fixed = chooseFixedIp(port, asked)
  const fixed_ip = asked ?? fixed.ip_address
  const [bound] = await context.find('floatingip', { port_id: portId })
  if (bound)
    throw new ApiError('PortHasBindingFloatingIP', {
      floating_ip_address: bound['floating_ip_address'],
      fip_id: bound['id'],
      port_id: portId,
      fixed_ip,
    })
  if (floating['port_id'])
    throw new ApiError('FloatingIPPortAlreadyAssociated', {
      port_id: portId,
      fip_id: id,
      floating_ip_address,
      fixed_ip,
      net_id: floating_network_id,
    })
  const { interface_port_id, ...route } = await reach(context, floating, port, fixed)
  const { subnet_id: internal_subnet_id, ip_address: internal_ip_address } = fixed
  return {
    route,
    forwarding: { internal_ip_address, internal_subnet_id, interface_port_id: String(interface_port_id) },
  }
}

function chooseFixedIp({ id, fixed_ips }: Port, asked: string | null): FixedIp {
  const usable = fixed_ips.filter((one) => versionOf(one.ip_address) === 4)
  const [first] = usable
  if (!first) throw badForwarding(`Requested internal port ${id} must allocate an IPv4 address at least.`)
  if (asked === null) return first
  const found = usable.find((one) => one.ip_address === asked)
  if (found) return found
  const held = usable.map((one) => one.ip_address).join(', ')
  throw badForwarding(
    `Requested internal IP address ${asked} is not suitable for internal neutron port ${id}, as its fixed_ips are ${held}`,
  )
}

async function reach(context: Context, floating: Readonly<Draft>, port: Port, { subnet_id }: FixedIp) {
  const outside = String(floating['floating_network_id'])
  try {
    return await routeTo(context, port, subnet_id, outside)
  } catch (error) {
    if (!(error instanceof ApiError && error.type === 'ExternalGatewayForFloatingIPNotFound')) throw error
    throw badForwarding(
      `External network ${outside} is not reachable from subnet ${subnet_id}. Cannot set Port forwarding for port ${port.id} with Floating IP ${String(floating['id'])}`,
    )
  }
}
