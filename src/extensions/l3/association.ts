/** What a floating IP leads to: a fixed IP of a port, by the router that connects both networks. */
import { ApiError } from '#kernel/errors.ts'
import type { Context, Draft } from '#model/define.ts'
import { type RouterAddress, versionOf } from './addresses.ts'
import { GATEWAY_OWNER, INTERFACE_OWNERS } from './owners.ts'

export interface Association {
  readonly port_id: string | null
  readonly fixed_ip_address: string | null
  readonly fixed_subnet_id: string | null
  readonly router_id: string | null
  readonly interface_port_id: string | null
  readonly gateway_port_id: string | null
}

export const NOTHING: Association = Object.freeze({
  port_id: null,
  fixed_ip_address: null,
  fixed_subnet_id: null,
  router_id: null,
  interface_port_id: null,
  gateway_port_id: null,
})

interface FixedIp {
  readonly subnet_id: string
  readonly ip_address: string
}
interface Port {
  readonly id: string
  readonly project_id: string
  readonly network_id: string
  readonly 'network:project_id': string
  readonly device_owner: string
  readonly fixed_ips: readonly FixedIp[]
}
interface FloatingIp {
  readonly id: string
  readonly project_id: string
  readonly floating_network_id: string
  readonly floating_ip_address: string
}

export const badFloatingIp = (msg: string): ApiError => new ApiError('BadRequest', { resource: 'floatingip', msg })

/** Everything an association says, or why there is none. `fixedIp`: the address asked for. */
export async function associate(
  context: Context,
  floatingIp: FloatingIp,
  portId: string,
  fixedIp: string | null,
): Promise<Association> {
  const port = (await context.load('port', portId)) as unknown as Port | undefined
  if (!port || !knows(context, port)) throw new ApiError('PortNotFound', { port_id: portId })
  if (port.project_id !== floatingIp.project_id && !context.isAdmin)
    throw badFloatingIp(
      `Cannot process floating IP association with Port ${portId}, since that port is owned by a different tenant`,
    )
  const { subnet_id, ip_address } = chooseFixedIp(port, fixedIp)
  const route = await routeTo(context, port, subnet_id, floatingIp.floating_network_id)
  await refuseSecond(context, floatingIp, portId, ip_address)
  return { port_id: portId, fixed_ip_address: ip_address, fixed_subnet_id: subnet_id, ...route }
}

/** Its owner and its network's know a port. */
const knows = ({ isAdmin, caller }: Context, port: Port): boolean =>
  isAdmin || [port.project_id, port['network:project_id']].includes(caller.projectId ?? '')

/** The port's only IPv4 address, or the one asked for. */
export function chooseFixedIp(port: Port, asked: string | null): FixedIp {
  const { id, fixed_ips } = port
  if (port.device_owner === 'network:dhcp') throw badFloatingIp(`Port ${id} is unable to be assigned a floating IP`)
  if (asked !== null) {
    if (versionOf(asked) !== 4)
      throw badFloatingIp(`Cannot process floating IP association with ${asked}, since that is not an IPv4 address`)
    const found = fixed_ips.find((one) => one.ip_address === asked)
    if (!found) throw badFloatingIp(`Port ${id} does not have fixed ip ${asked}`)
    return found
  }
  const [only, second] = fixed_ips.filter((one) => versionOf(one.ip_address) === 4)
  if (!only) throw badFloatingIp(`Cannot add floating IP to port ${id} that has no fixed IPv4 addresses`)
  if (second)
    throw badFloatingIp(
      `Port ${id} has multiple fixed IPv4 addresses.  Must provide a specific IPv4 address when assigning a floating IP`,
    )
  return only
}

/**
 * The router between a subnet and an external network: the one that is the subnet's gateway before any other. Also for
 * port forwardings.
 */
export async function routeTo(
  context: Context,
  port: Pick<Port, 'id' | 'network_id'>,
  subnetId: string,
  externalNetworkId: string,
): Promise<Pick<Association, 'router_id' | 'interface_port_id' | 'gateway_port_id'>> {
  const find = async (where: Draft): Promise<readonly RouterAddress[]> =>
    (await context.find('router_address', where as never)) as unknown as readonly RouterAddress[]
  const interfaces = await find({
    network_id: port.network_id,
    subnet_id: subnetId,
    device_owner: INTERFACE_OWNERS,
  })
  const ids = interfaces.map((one) => one.router_id)
  const gateways =
    ids.length > 0 ? await find({ router_id: ids, network_id: externalNetworkId, device_owner: GATEWAY_OWNER }) : []
  const ways = interfaces.flatMap((inside) => {
    const gateway = gateways.find((one) => one.router_id === inside.router_id)
    return gateway ? [{ inside, gateway }] : []
  })
  const way = ways.find(({ inside }) => inside.ip_address === inside.gateway_ip) ?? ways[0]
  if (!way)
    throw new ApiError('ExternalGatewayForFloatingIPNotFound', {
      subnet_id: subnetId,
      external_network_id: externalNetworkId,
      port_id: port.id,
    })
  const { inside, gateway } = way
  return { router_id: inside.router_id, interface_port_id: inside.port_id, gateway_port_id: gateway.port_id }
}

/** One floating IP of a network per fixed IP; the database has the last word. */
async function refuseSecond(context: Context, floatingIp: FloatingIp, portId: string, ip: string): Promise<void> {
  const net_id = floatingIp.floating_network_id
  const where = { port_id: portId, fixed_ip_address: ip, floating_network_id: net_id }
  const taken = (await context.find('floatingip', where)).some((one) => one['id'] !== floatingIp.id)
  if (!taken) return
  throw new ApiError('FloatingIPPortAlreadyAssociated', {
    floating_ip_address: floatingIp.floating_ip_address,
    fip_id: floatingIp.id,
    port_id: portId,
    fixed_ip: ip,
    net_id,
  })
}
