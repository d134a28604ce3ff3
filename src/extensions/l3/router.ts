/**
 * A router: connects subnets with each other and, by its gateway, with the outside.
 *
 * Locks are taken in one order: router, its ports, networks. A port of a router raises the router's revision whenever
 * it changes, so that the router's change row tells of its gateway too; a port that is changed by itself is locked
 * before its router, and a deadlock between the two runs again.
 */
import { ApiError } from '#kernel/errors.ts'
import {
  type Context,
  defineResource,
  type Draft,
  flag,
  oneOf,
  optional,
  type Resource,
  type Row,
  text,
  type Write,
} from '#model/define.ts'
import { port } from '#resources/port.ts'
import { identity, standard } from '#resources/standard.ts'
import { addressesOf, badRouter } from './addresses.ts'
import { changeGateway, firstGateway, removeGateway } from './gateway.ts'
import { gatewayInfo } from './gateway-info.ts'
import { interfaceActions } from './interfaces.ts'
import { zoneHints, zonesOf } from '../availability-zones/attributes.ts'
import { INTERFACE_OWNERS, interfaceOwnerOf } from './owners.ts'
import { checkRoutesBy, routeActions, routeList } from './routes.ts'

const attributes = {
  ...identity,
  name: text({ set: 'always', default: '', filter: true, sort: true }),
  admin_state_up: flag({ set: 'always', default: true, filter: true, sort: true }),
  status: oneOf(['ACTIVE', 'ALLOCATING', 'ERROR'], { sort: true }),
  external_gateway_info: gatewayInfo,
  enable_snat: flag({ visible: false, default: true }),
  routes: routeList({ set: 'update', default: [] }),
  distributed: optional(flag({ set: 'always', policy: true }), {}),
  ha: optional(flag({ set: 'always', policy: true }), {}),
  availability_zone_hints: zoneHints,
  availability_zones: zonesOf('router_bindings', 'router_id'),
  ...standard,
} as const
export type Router = Row<typeof attributes>

export const router: Resource = defineResource({
  name: 'router',
  plural: 'routers',
  table: 'routers',
  docs: 'Connects subnets with each other, and with an external network by its gateway.',
  notFound: { type: 'RouterNotFound', param: 'router_id' },
  quota: 'router',
  inUse: ({ id }) => new ApiError('RouterInUse', { router_id: id, reason: 'is still in use' }, { reason: 'in_use' }),
  conflicts: { routers_one_gateway: 'again' },
  attributes,
  actions: [...interfaceActions, ...routeActions(() => router)],
  inTx: async (context, write) => {
    if (write.op === 'create') return createRouter(context, write)
    if (write.op === 'update') return updateRouter(context, write)
    await deleteRouter(context, write.before as Router)
    return undefined
  },
}) as unknown as Resource

async function createRouter(context: Context, { after }: Write<Router>): Promise<Partial<Draft>> {
  const wanted = after as Router
  return {
    status: 'ACTIVE',
    distributed: wanted.distributed ?? false,
    ha: wanted.ha ?? false,
    ...(await firstGateway(context, wanted.id, wanted.external_gateway_info ?? null)),
  }
}

async function updateRouter(context: Context, { before, after, given }: Write<Router>): Promise<Partial<Draft>> {
  const [old, wanted] = [before as Router, after as Router]
  const flags = { distributed: wanted.distributed ?? old.distributed, ha: wanted.ha ?? old.ha }
  await convert(context, old, { ...wanted, ...flags })
  if (given.has('routes')) checkRoutesBy(old.id, wanted.routes, await addressesOf(context, old.id))
  if (!given.has('external_gateway_info')) return flags
  return {
    ...flags,
    ...(await changeGateway(context, wanted, old.external_gateway_info, wanted.external_gateway_info)),
  }
}

/** A router changes how it is realized only while it is down; its interfaces' owner says how. */
async function convert(context: Context, old: Router, wanted: Router): Promise<void> {
  const [distributed, ha] = [wanted.distributed !== old.distributed, wanted.ha !== old.ha]
  if (distributed && (old.admin_state_up || wanted.admin_state_up))
    throw badRouter(
      "Cannot change the 'distributed' attribute of active routers. Please set router admin_state_up to False prior to upgrade",
    )
  if (ha && wanted.admin_state_up)
    throw badRouter(
      'Cannot change HA attribute of active routers. Please set router admin_state_up to False prior to upgrade',
    )
  const device_owner = interfaceOwnerOf(wanted)
  if (device_owner === interfaceOwnerOf(old)) return
  const interfaces = await context.find('port', { router_id: old.id, device_owner: INTERFACE_OWNERS })
  for (const one of interfaces) await context.update(port, String(one['id']), { device_owner })
}

async function deleteRouter(context: Context, { id, external_gateway_info }: Router): Promise<void> {
  const interfaces = await context.find('port', { router_id: id, device_owner: INTERFACE_OWNERS })
  if (interfaces.length > 0) {
    const ports = interfaces.map((one) => String(one['id']))
    const reason = `has ports still attached: ${ports.join(', ')}`
    throw new ApiError('RouterInUse', { router_id: id, reason }, { reason: 'ports_in_use', ports })
  }
  if (external_gateway_info) await removeGateway(context, id, external_gateway_info)
}
