/** Making the network of a project, its subnets and its router, in one transaction, and taking them down. */
import { ApiError } from '#kernel/errors.ts'
import type { Context, Draft, Resource } from '#model/define.ts'
import { network } from '#resources/network.ts'
import { port } from '#resources/port.ts'
import { subnet } from '#resources/subnet.ts'
import { interfaceActions } from '../l3/interfaces.ts'
import { INTERFACE_OWNERS } from '../l3/owners.ts'
import { router } from '../l3/router.ts'

type Found = Readonly<Draft>

export const firstOf = (all: readonly Found[]): Found | undefined => all[0]

const failure = (reason: string): ApiError => new ApiError('AutoAllocationFailure', { reason })

interface Requirements {
  readonly externalId: string
  /** The default pools the caller may use, IPv4 first. */
  readonly pools: readonly Found[]
}

/** What must be there first. Throws AutoAllocationFailure. */
export async function requirements(context: Context): Promise<Requirements> {
  const external = firstOf(await context.find('network', { is_default: true }))
  if (!external) throw failure('No default router:external network')
  const ids = (await context.find('subnetpool', { is_default: true })).map((one) => String(one['id']))
  const pools = ids.length > 0 ? await context.visible('subnetpool', ids) : []
  if (pools.length === 0) throw failure('No default subnetpools defined')
  const byVersion = [...pools].sort((a, b) => Number(a['ip_version']) - Number(b['ip_version']))
  return { externalId: String(external['id']), pools: byVersion }
}

/** Answers the ids of what it made. */
export async function provision(
  context: Context,
  project_id: string,
): Promise<{ readonly network_id: string; readonly router_id: string }> {
  const { externalId, pools } = await requirements(context)
  const made = await context.create(network as Resource, { project_id, name: 'auto_allocated_network' })
  const network_id = String(made['id'])
  const subnets: Found[] = []
  for (const pool of pools) subnets.push(await cutSubnet(context, { project_id, network_id }, pool))
  const values = { project_id, name: 'auto_allocated_router', external_gateway_info: { network_id: externalId } }
  const uplink = await context.create(router, values)
  for (const { id } of subnets) await plug(context, uplink, String(id))
  return { network_id, router_id: String(uplink['id']) }
}

async function cutSubnet(context: Context, on: Readonly<Draft>, pool: Found): Promise<Found> {
  const { id, ip_version } = pool
  const values = { ...on, ip_version, subnetpool_id: id, name: `auto_allocated_subnet_v${String(ip_version)}` }
  try {
    return await context.create(subnet as Resource, values)
  } catch (error) {
    if (error instanceof ApiError && error.type === 'SubnetAllocationError')
      throw failure('Unable to provide tenant private network')
    throw error
  }
}

const plugAction = interfaceActions.find(({ name }) => name === 'add_router_interface')

/** As a client would. */
async function plug(context: Context, uplink: Found, subnet_id: string): Promise<void> {
  const current = (await context.load('router', String(uplink['id']), 'update')) ?? uplink
  await plugAction?.run(context, {
    object: current,
    params: {},
    query: {},
    body: { subnet_id },
    given: new Set(['subnet_id']),
  })
}

/** Takes down what is still there; refused while ports of others are on the network. */
export async function dismantle(context: Context, networkId: string, routerId: string | null): Promise<void> {
  if (routerId !== null) {
    const interfaces = await context.find('port', { device_id: routerId, device_owner: INTERFACE_OWNERS })
    for (const one of interfaces) await context.remove(port as Resource, String(one['id']))
    await context.remove(router, routerId)
  }
  await context.remove(network as Resource, networkId)
}
