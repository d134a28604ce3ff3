/**
 * A router's gateway: a port on an external network, made, moved, changed and removed with the router. The router's row
 * is locked by whoever does so; then ports, then addresses.
 */
import { ApiError } from '#kernel/errors.ts'
import type { Context, Draft } from '#model/define.ts'
import { port } from '#resources/port.ts'
import { addressesOf, badRouter, type Block, blocksOf, refuseOverlap, type RouterAddress } from './addresses.ts'
import { type ExternalIp, type GatewayInfo, keptOf } from './gateway-info.ts'
import { GATEWAY_OWNER } from './owners.ts'
import { checkRoutes, type Route } from './routes.ts'

interface Router {
  readonly id: string
  readonly routes?: readonly Route[]
}

type Subnet = Block & { readonly gateway_ip: string | null }

/** Gives the router this gateway, or none; answers what the router keeps of it. `held`: what it has. */
export async function changeGateway(
  context: Context,
  router: Router,
  held: GatewayInfo | null,
  wanted: GatewayInfo | null,
): Promise<Partial<Draft>> {
  const subnets = wanted ? await subnetsOutside(context, wanted) : []
  const present = held || router.routes?.length ? await addressesOf(context, router.id) : undefined
  const inner = present?.filter((one) => one.device_owner !== GATEWAY_OWNER) ?? []
  if (router.routes?.length) checkNextHops(router.id, router.routes, inner, subnets)
  const moved = held?.network_id !== wanted?.network_id
  if (!moved && held && wanted) await changeAddresses(context, router, held, wanted)
  if (moved && held) await removeGateway(context, router.id, held)
  if (moved && wanted) {
    const connected = present ? inner : await addressesOf(context, router.id)
    refuseOverlap(subnets, blocksOf(connected))
    await context.create(port, gatewayPort(router.id, wanted))
  }
  return keptOf(wanted)
}

/** A new router has no ports that could be in the way. */
export async function firstGateway(context: Context, routerId: string, wanted: GatewayInfo | null): Promise<Draft> {
  if (wanted) {
    await subnetsOutside(context, wanted)
    await context.create(port, gatewayPort(routerId, wanted))
  }
  return keptOf(wanted)
}

/** Refused while floating IPs come in by it. */
export async function removeGateway(context: Context, routerId: string, { network_id }: GatewayInfo): Promise<void> {
  const [needed] = await context.find('floatingip', { router_id: routerId })
  if (needed) throw new ApiError('RouterExternalGatewayInUseByFloatingIp', { router_id: routerId, net_id: network_id })
  for (const one of await gatewaysOf(context, routerId)) await context.remove(port, String(one['id']))
}

const gatewaysOf = (context: Context, routerId: string): Promise<readonly Readonly<Draft>[]> =>
  context.find('port', { router_id: routerId, device_owner: GATEWAY_OWNER })

const gatewayPort = (routerId: string, { network_id, external_fixed_ips: ips = [] }: GatewayInfo): Draft => ({
  // Nobody's: the gateway lies in a network of the operator's.
  project_id: '',
  network_id,
  device_id: routerId,
  device_owner: GATEWAY_OWNER,
  router_id: routerId,
  ...(ips.length > 0 && { fixed_ips: ips }),
})

/** The subnets of the external network, which must be there for the caller. */
async function subnetsOutside(
  context: Context,
  { network_id, external_fixed_ips: ips = [] }: GatewayInfo,
): Promise<readonly Subnet[]> {
  const [network] = await context.visible('network', [network_id])
  if (!network) throw new ApiError('NetworkNotFound', { net_id: network_id })
  if (network['router:external'] !== true) throw badRouter(`Network ${network_id} is not an external network`)
  const subnets = (await context.find('subnet', { network_id })) as unknown as readonly Subnet[]
  const taken = ips.find((ip) => ip.ip_address && subnets.some((one) => one.gateway_ip === ip.ip_address))
  if (taken) throw badRouter(`External IP ${taken.ip_address} is the same as the gateway IP`)
  return subnets
}

function checkNextHops(
  routerId: string,
  routes: readonly Route[],
  inner: readonly RouterAddress[],
  outside: readonly Subnet[],
): void {
  const cidrs = [...inner, ...outside].map((one) => one.cidr)
  checkRoutes(
    routerId,
    routes,
    cidrs,
    inner.map((one) => one.ip_address),
  )
}

async function changeAddresses(
  context: Context,
  router: Router,
  held: GatewayInfo,
  wanted: GatewayInfo,
): Promise<void> {
  const ips = wanted.external_fixed_ips ?? []
  if (ips.length === 0 || !differ(held.external_fixed_ips ?? [], ips)) return
  for (const one of await gatewaysOf(context, router.id))
    await context.update(port, String(one['id']), { fixed_ips: ips })
}

/** Other subnets, or other addresses; a subnet alone, named again, keeps its address. */
function differ(held: readonly ExternalIp[], asked: readonly ExternalIp[]): boolean {
  const set = (ips: readonly ExternalIp[], key: keyof ExternalIp): string =>
    [...new Set(ips.flatMap((one) => one[key] ?? []))].sort().join()
  return (
    set(held, 'subnet_id') !== set(asked, 'subnet_id') ||
    (asked.some((one) => one.ip_address) && set(held, 'ip_address') !== set(asked, 'ip_address'))
  )
}
