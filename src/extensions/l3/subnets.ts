/** A new subnet on an external network: gateways there get an address of it, where they have none of its IP version. */
import type { Context, ExtensionPart, Write } from '#model/define.ts'
import { port } from '#resources/port.ts'
import { type RouterAddress, versionOf } from './addresses.ts'
import { GATEWAY_OWNER } from './owners.ts'

interface Subnet {
  readonly id: string
  readonly network_id: string
  readonly ip_version: number
}

export const gatewaySubnets: ExtensionPart = {
  async inTx(context, write) {
    const { op, after } = write as unknown as Write<Subnet>
    if (op !== 'create') return undefined
    const subnet = after as Subnet
    const network = await context.load('network', subnet.network_id)
    if (network?.['router:external'] === true) context.afterWrite(() => addTo(context, subnet))
    return undefined
  },
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
