/**
 * Interfaces of routers: connecting a router to a subnet, or to a port that is there, and taking it off again. The
 * router is locked for update, then its ports; the floating IPs that stand on an interface refer to it, so that the
 * database refuses whoever comes second.
 */
import { ApiError } from '#kernel/errors.ts'
import { type Action, type Call, type Context, type Draft, uuid } from '#model/define.ts'
import { port } from '#resources/port.ts'
import { addressesOf, badRouter, blocksOf, inBlock, refuseOverlap, type RouterAddress, versionOf } from './addresses.ts'
import { checkPort, checkSubnet, type FixedIp, type Port, type Subnet } from './interface-checks.ts'
import { GATEWAY_OWNER, interfaceOwnerOf, isInterfaceOwner } from './owners.ts'
import type { Route } from './routes.ts'

interface Router {
  readonly id: string
  readonly project_id: string
  readonly routes: readonly Route[]
  readonly distributed: boolean
  readonly ha: boolean
}

interface Connection {
  readonly port: Port
  readonly subnets: readonly Subnet[]
}

const asked = ({ object, body }: Call) => ({
  router: object as unknown as Router,
  portId: body['port_id'] as string | undefined,
  subnetId: body['subnet_id'] as string | undefined,
})

const body = { subnet_id: uuid({ set: 'create' }), port_id: uuid({ set: 'create' }) }

export const interfaceActions: readonly Action[] = [
  {
    name: 'add_router_interface',
    method: 'PUT',
    path: 'add_router_interface',
    rule: 'add_router_interface',
    body,
    docs: 'Connects the router to a subnet, at the subnet’s gateway address, or to a port that is there.',
    run: async (context, call) => {
      const { router, portId, subnetId } = asked(call)
      requireOne(portId, subnetId)
      if (portId && subnetId) throw badRouter('Cannot specify both subnet-id and port-id')
      const made = portId
        ? await addPort(context, router, portId)
        : await addSubnet(context, router, subnetId as string)
      return answer(router, made, made.subnets.at(-1))
    },
  },
  {
    name: 'remove_router_interface',
    method: 'PUT',
    path: 'remove_router_interface',
    rule: 'remove_router_interface',
    body,
    docs: 'Takes the router off a subnet or a port; the port goes.',
    run: async (context, call) => {
      const { router, portId, subnetId } = asked(call)
      requireOne(portId, subnetId)
      const gone = portId
        ? await removePort(context, router, portId, subnetId)
        : await removeSubnet(context, router, subnetId as string)
      return answer(router, gone, gone.subnets[0])
    },
  },
]

function requireOne(portId: string | undefined, subnetId: string | undefined): void {
  if (!portId && !subnetId) throw badRouter('Either subnet_id or port_id must be specified')
}

const answer = ({ id }: Router, { port: one, subnets }: Connection, subnet: Subnet | undefined): Draft => ({
  id,
  tenant_id: one.project_id,
  project_id: one.project_id,
  port_id: one.id,
  network_id: one.network_id,
  subnet_id: subnet?.id ?? null,
  subnet_ids: subnets.map((each) => each.id),
})

async function visible<T>(context: Context, resource: 'subnet' | 'port', id: string): Promise<T> {
  const [found] = await context.visible(resource, [id])
  if (!found)
    throw resource === 'subnet'
      ? new ApiError('SubnetNotFound', { subnet_id: id })
      : new ApiError('PortNotFound', { port_id: id })
  return found as T
}

/** What the router is on: its interfaces' subnets, and every subnet of its gateway's network. */
async function connected(context: Context, addresses: readonly RouterAddress[]) {
  const inner = addresses.filter((one) => one.device_owner !== GATEWAY_OWNER)
  const gateway = addresses.find((one) => one.device_owner === GATEWAY_OWNER)
  const outside = gateway ? await context.find('subnet', { network_id: gateway.network_id }) : []
  return [...blocksOf(inner), ...(outside as unknown as readonly Subnet[])]
}

async function addSubnet(context: Context, router: Router, subnetId: string): Promise<Connection> {
  const subnet = await visible<Subnet>(context, 'subnet', subnetId)
  if (!subnet.gateway_ip) throw badRouter('Subnet for router interface must have a gateway IP')
  if (subnet.project_id !== context.caller.projectId && !context.isAdmin) await requireShared(context, subnet)
  checkSubnet(subnet)
  const addresses = await addressesOf(context, router.id)
  refuseOverlap([subnet], await connected(context, addresses))
  const fixed = { subnet_id: subnet.id, ip_address: subnet.gateway_ip }
  const owner = interfaceOwnerOf(router)
  // All IPv6 prefixes of one network are one port's.
  const neighbour =
    subnet.ip_version === 6
      ? addresses.find(
          (one) =>
            one.device_owner === owner && one.network_id === subnet.network_id && versionOf(one.ip_address) === 6,
        )
      : undefined
  const made = neighbour
    ? await context.update(port, neighbour.port_id, { fixed_ips: [...held(addresses, neighbour.port_id), fixed] })
    : await context.create(port, {
        project_id: router.project_id,
        network_id: subnet.network_id,
        fixed_ips: [fixed],
        device_id: router.id,
        device_owner: owner,
        router_id: router.id,
      })
  return { port: made as unknown as Port, subnets: [subnet] }
}

const held = (addresses: readonly RouterAddress[], portId: string): FixedIp[] =>
  addresses
    .filter((one) => one.port_id === portId)
    .map(({ subnet_id, ip_address }) => ({ subnet_id: subnet_id as string, ip_address: ip_address as string }))

/** Another project's subnet: only where its network is shared with this one by name. */
async function requireShared(context: Context, { id, network_id }: Subnet): Promise<void> {
  const network = await context.load('network', network_id)
  const projects = (network?.['shared_with'] ?? []) as readonly unknown[]
  if (projects.includes(context.caller.projectId)) return
  throw badRouter(`Cannot add interface to router because subnet ${id} is not owned by project making the request`)
}

async function addPort(context: Context, router: Router, portId: string): Promise<Connection> {
  await visible<Port>(context, 'port', portId)
  const one = (await context.load('port', portId, 'update')) as unknown as Port | undefined
  if (!one) throw new ApiError('PortNotFound', { port_id: portId })
  if (one.device_id !== '')
    throw new ApiError('PortInUse', { net_id: one.network_id, port_id: portId, device_id: one.device_id })
  const network = (await context.find('subnet', { network_id: one.network_id })) as unknown as readonly Subnet[]
  const subnets = one.fixed_ips.flatMap(({ subnet_id }) => network.find(({ id }) => id === subnet_id) ?? [])
  const addresses = await addressesOf(context, router.id)
  checkPort(one, subnets, addresses, { projectId: context.caller.projectId, isAdmin: context.isAdmin })
  refuseOverlap(subnets, await connected(context, addresses))
  const changed = { device_id: router.id, device_owner: interfaceOwnerOf(router), router_id: router.id }
  const made = await context.update(port, portId, changed)
  return { port: made as unknown as Port, subnets }
}

async function removePort(
  context: Context,
  router: Router,
  portId: string,
  subnetId: string | undefined,
): Promise<Connection> {
  const one = (await context.load('port', portId)) as unknown as (Port & { router_id: string | null }) | undefined
  if (!one || one.router_id !== router.id || !isInterfaceOwner(one.device_owner))
    throw new ApiError('RouterInterfaceNotFound', { router_id: router.id, port_id: portId })
  if (subnetId && !one.fixed_ips.some(({ subnet_id }) => subnet_id === subnetId))
    throw new ApiError('SubnetMismatchForPort', { port_id: portId, subnet_id: subnetId })
  const ids = one.fixed_ips.map(({ subnet_id }) => subnet_id)
  const subnets = (ids.length > 0 ? await context.find('subnet', { id: ids }) : []) as unknown as readonly Subnet[]
  await refuseInUse(context, router, subnets)
  await context.remove(port, portId)
  return { port: one, subnets }
}

async function removeSubnet(context: Context, router: Router, subnetId: string): Promise<Connection> {
  const subnet = await visible<Subnet>(context, 'subnet', subnetId)
  const addresses = await addressesOf(context, router.id)
  const address = addresses.find((one) => one.subnet_id === subnetId && isInterfaceOwner(one.device_owner))
  if (!address) throw new ApiError('RouterInterfaceNotFoundForSubnet', { router_id: router.id, subnet_id: subnetId })
  await refuseInUse(context, router, [subnet])
  const one = (await context.load('port', address.port_id)) as unknown as Port
  const rest = held(addresses, address.port_id).filter(({ subnet_id }) => subnet_id !== subnetId)
  if (rest.length > 0) await context.update(port, address.port_id, { fixed_ips: rest })
  else await context.remove(port, address.port_id)
  return { port: one, subnets: [subnet] }
}

/** Nothing may be left that needs the router on these subnets. */
async function refuseInUse(context: Context, router: Router, subnets: readonly Subnet[]): Promise<void> {
  const floating = await context.find('floatingip', { router_id: router.id })
  for (const { id, cidr } of subnets) {
    const facts = { router_id: router.id, subnet_id: id }
    if (floating.some((one) => inBlock(one['fixed_ip_address'] as string | null, cidr)))
      throw new ApiError('RouterInterfaceInUseByFloatingIP', facts)
    if (router.routes.some(({ nexthop }) => inBlock(nexthop, cidr)))
      throw new ApiError('RouterInterfaceInUseByRoute', facts)
  }
}
