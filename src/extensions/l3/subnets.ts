/**
 * What routers ask of subnets: a router's address stays the gateway, and gateways of routers get an address of a new
 * subnet on their network, where they have none of its IP version.
 */
import { ApiError } from '#kernel/errors.ts'
import type { Context, ExtensionPart, Write } from '#model/define.ts'
import { port } from '#resources/port.ts'
import { type RouterAddress, versionOf } from './addresses.ts'
import { GATEWAY_OWNER } from './owners.ts'

interface Subnet {
  readonly id: string
  readonly network_id: string
  readonly ip_version: number
  readonly gateway_ip: string | null
}

export const routerSubnets: ExtensionPart = {
  async inTx(context, write) {
    const { op, before, after, given } = write as unknown as Write<Subnet>
    if (op === 'update' && given.has('gateway_ip')) await refuseGatewayInUse(context, before as Subnet, after as Subnet)
    if (op === 'create') await extendGateways(context, after as Subnet)
    return undefined
  },
}

async function refuseGatewayInUse(context: Context, { id, gateway_ip }: Subnet, wanted: Subnet): Promise<void> {
  if (!gateway_ip || !wanted.gateway_ip || wanted.gateway_ip === gateway_ip) return
  const [holder] = await context.find('router_address', { subnet_id: id, ip_address: gateway_ip })
  if (holder) throw new ApiError('GatewayIpInUse', { ip_address: gateway_ip, port_id: holder['port_id'] })
}

async function extendGateways(context: Context, subnet: Subnet): Promise<void> {
  const network = await context.load('network', subnet.network_id)
  if (network?.['router:external'] === true) context.afterWrite(() => addTo(context, subnet))
}

async function addTo(context: Context, { id, network_id, ip_version }: Subnet): Promise<void> {
  const where = { network_id, device_owner: GATEWAY_OWNER }
  const rows = (await context.find('router_address', where)) as unknown as readonly RouterAddress[]
  for (const portId of new Set(rows.map((one) => one.port_id))) {
    const held = rows.flatMap(({ port_id, subnet_id, ip_address }) =>
      port_id === portId && subnet_id && ip_address ? [{ subnet_id, ip_address }] : [],
    )
    if (held.some((one) => versionOf(one.ip_address) === ip_version)) continue
    await context.update(port, portId, { fixed_ips: [...held, { subnet_id: id }] })
  }
}
