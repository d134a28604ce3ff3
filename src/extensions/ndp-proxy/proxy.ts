/**
 * An NDP proxy: a router's gateway answers neighbour solicitations for an IPv6 address behind the router, so that the
 * outside reaches it without routes. It refers to the address, the interface and the gateway it stands on.
 */
import { ApiError } from '#kernel/errors.ts'
import {
  address,
  type Context,
  defineResource,
  type Draft,
  optional,
  type Refused,
  type Resource,
  type Row,
  text,
  uuid,
} from '#model/define.ts'
import { identity, standard } from '#resources/standard.ts'
import { addressesOf, type RouterAddress, versionOf } from '../l3/addresses.ts'
import { GATEWAY_OWNER } from '../l3/owners.ts'

const attributes = {
  ...identity,
  name: text({ set: 'always', default: '', filter: true, sort: true }),
  router_id: uuid({ set: 'create', required: true, filter: true, sort: true }),
  port_id: uuid({ set: 'create', required: true, filter: true, sort: true }),
  ip_address: optional(address({ set: 'create', filter: true, sort: true })),
  subnet_id: uuid({ visible: false }),
  interface_port_id: uuid({ visible: false }),
  gateway_port_id: uuid({ visible: false }),
  ...standard,
} as const
type NdpProxy = Row<typeof attributes>

interface FixedIp {
  readonly subnet_id: string
  readonly ip_address: string
}

export const ndpProxy: Resource = defineResource({
  name: 'ndp_proxy',
  plural: 'ndp_proxies',
  path: 'ndp_proxies',
  table: 'ndp_proxies',
  docs: 'An IPv6 address behind a router that the router’s gateway answers for on the external network.',
  notFound: { type: 'NDPProxyNotFound', param: 'id' },
  references: { router_id: { resource: 'router' }, port_id: { resource: 'port' } },
  conflicts: {
    ndp_proxies_once: duplicate,
    ndp_proxies_need_fixed_ip: 'again',
    ndp_proxies_need_interface: 'again',
    ndp_proxies_need_gateway: 'again',
    ndp_proxies_router_id_fkey: 'again',
    ndp_proxies_port_id_fkey: 'again',
  },
  attributes,
  inTx: async (context, { op, after }) => (op === 'create' ? decided(context, after as NdpProxy) : undefined),
}) as unknown as Resource

async function decided(context: Context, { router_id, port_id, ip_address }: NdpProxy): Promise<Partial<Draft>> {
  const port = (await context.load('port', port_id)) as Readonly<Draft>
  const network_id = String(port['network_id'])
  const addresses = await addressesOf(context, router_id)
  const inner = addresses.filter((one) => one.device_owner !== GATEWAY_OWNER && one.network_id === network_id)
  if (inner.length === 0) throw new ApiError('PortUnreachableRouter', { router_id, port_id })
  const router = await context.load('router', router_id)
  const gateway = addresses.find((one) => one.device_owner === GATEWAY_OWNER)
  if (router?.['enable_ndp_proxy'] !== true || !gateway) throw new ApiError('RouterNDPProxyNotEnable', { router_id })
  const fixed = chooseAddress(port, inner, router_id, ip_address)
  await requireOneScope(context, gateway.network_id, network_id)
  const way = inner.find((one) => one.subnet_id === fixed.subnet_id) as RouterAddress
  return { ...fixed, interface_port_id: way.port_id, gateway_port_id: gateway.port_id }
}

/** The address asked for, or the first that the router has an interface for. */
function chooseAddress(
  { id, fixed_ips }: Readonly<Draft>,
  inner: readonly RouterAddress[],
  router_id: string,
  asked: string | null,
): FixedIp {
  const held = (fixed_ips as readonly FixedIp[]).filter((one) => versionOf(one.ip_address) === 6)
  if (held.length === 0)
    throw new ApiError('BadRequest', {
      resource: 'ndp_proxy',
      msg: `Requested port ${String(id)} must allocate one IPv6 address at least`,
    })
  const reached = (one: FixedIp): boolean => inner.some(({ subnet_id }) => subnet_id === one.subnet_id)
  if (asked === null) {
    const found = held.find(reached)
    if (found) return found
    throw new ApiError('PortUnreachableRouter', { port_id: id, router_id })
  }
  const found = held.find((one) => one.ip_address === asked)
  const reason = found
    ? `This address cannot reach the router ${router_id}`
    : `This address not belong to the port ${String(id)}`
  if (found && reached(found)) return found
  throw new ApiError('InvalidAddress', { address: asked, reason })
}

/** Between scopes nothing is routed as it is. */
async function requireOneScope(context: Context, outside: string, inside: string): Promise<void> {
  const [external, internal] = [await context.load('network', outside), await context.load('network', inside)]
  const [ext_address_scope, internal_address_scope] = [external, internal].map(
    (one) => one?.['ipv6_address_scope'] ?? null,
  )
  if (ext_address_scope === internal_address_scope) return
  throw new ApiError('AddressScopeConflict', {
    ext_address_scope: ext_address_scope ?? 'None',
    internal_address_scope: internal_address_scope ?? 'None',
  })
}

function duplicate({ values }: Refused): ApiError {
  return new ApiError('NeutronDbObjectDuplicateEntry', {
    object_type: 'NDPProxy',
    attributes: 'router_id, ip_address',
    values: values.join(', '),
  })
}
