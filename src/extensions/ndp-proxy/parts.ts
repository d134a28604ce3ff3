/** What NDP proxies add to routers, and what they ask of the ports they stand on. */
import { ApiError } from '#kernel/errors.ts'
import { type Context, type Draft, type ExtensionPart, flag, optional, type Write } from '#model/define.ts'
import { addressesOf, versionOf } from '../l3/addresses.ts'
import { GATEWAY_OWNER } from '../l3/owners.ts'
import { lostUses } from '../port-uses.ts'
import { ndpProxy } from './proxy.ts'

interface FixedIp {
  readonly ip_address: string
}

/** A router without a gateway has no proxy to enable; one whose gateway goes is back at the beginning. */
export const proxyingRouters: ExtensionPart = {
  attributes: { enable_ndp_proxy: optional(flag({ set: 'always', filter: true }), {}) },
  async inTx(context, { op, before, after, given }) {
    if (!after) return undefined
    const asked = given.has('enable_ndp_proxy') ? after['enable_ndp_proxy'] : null
    const gateway = after['external_gateway_info']
    if (asked === true) await requireGateway(context, op, after)
    const enabled = asked ?? before?.['enable_ndp_proxy'] ?? false
    return { enable_ndp_proxy: Boolean(gateway) && enabled }
  },
}

/** The gateway must have an IPv6 address of a network that is in an address scope. */
async function requireGateway(context: Context, op: string, { id, external_gateway_info }: Readonly<Draft>) {
  const router_id = String(id)
  const refuse = (reason: string): never => {
    throw new ApiError('RouterGatewayNotValid', { router_id, reason })
  }
  if (!external_gateway_info)
    refuse(
      op === 'create'
        ? 'The request body not contain external gateway information'
        : 'The router has no external gateway, or it will be unset',
    )
  const addresses = await addressesOf(context, router_id)
  const gateway = addresses.find((one) => one.device_owner === GATEWAY_OWNER && versionOf(one.ip_address) === 6)
  const network = gateway && (await context.load('network', gateway.network_id))
  if (network?.['ipv6_address_scope']) return
  refuse('The external gateway port has no IPv6 address or its network has no IPv6 address scope')
}

/** Proxies go with the address they are for; they hold the interface and the gateway they pass. */
export const proxiedPorts: ExtensionPart = {
  async inTx(context, write: Write) {
    const router_id = write.before?.['router_id']
    for (const { kind, object_id, subnet_id } of await lostUses(context, write)) {
      if (kind === 'proxy_gateway') throw new ApiError('RouterGatewayInUseByNDPProxy', { router_id })
      if (kind === 'proxy_interface') throw new ApiError('RouterInterfaceInUseByNDPProxy', { router_id, subnet_id })
      if (kind === 'ndp_proxy') await context.remove(ndpProxy, object_id)
    }
    await keepGatewayAddress(context, write)
    return undefined
  },
}

/** The gateway of a router with NDP proxy keeps an IPv6 address. */
async function keepGatewayAddress(context: Context, { before, after, given }: Write): Promise<void> {
  if (before?.['device_owner'] !== GATEWAY_OWNER || !after || !given.has('fixed_ips')) return
  const hasSix = (port: Readonly<Draft>): boolean =>
    (port['fixed_ips'] as readonly FixedIp[]).some((one) => versionOf(one.ip_address) === 6)
  if (!hasSix(before) || hasSix(after)) return
  const router_id = String(before['router_id'])
  const router = await context.load('router', router_id)
  if (router?.['enable_ndp_proxy'] === true) throw new ApiError('RouterIPv6GatewayInUse', { router_id })
}
