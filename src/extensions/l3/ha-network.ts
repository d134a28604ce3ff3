/**
 * The network of a project's highly available routers: on it the gateway hosts of a router tell each other that they
 * live (VRRP, RFC 5798). Made with the project's first such router, it goes with the last. It belongs to no project.
 */
import {
  type Context,
  defineResource,
  type ExtensionPart,
  type Resource,
  text,
  uuid,
  type Write,
} from '#model/define.ts'
import { network } from '#resources/network.ts'
import { standard } from '#resources/standard.ts'
import { subnet } from '#resources/subnet.ts'

/** As in Neutron, by whose name operators know it. */
const nameOf = (projectId: string): string => `HA network tenant ${projectId}`
const CIDR = '169.254.192.0/18'

const { revision_number, created_at, updated_at } = standard
export const haNetwork = defineResource({
  name: 'ha_network',
  plural: 'ha_networks',
  table: 'ha_networks',
  docs: "The network of a project's highly available routers.",
  notFound: { type: 'NetworkNotFound', param: 'net_id' },
  operations: [],
  // Two first routers at once: the second finds the network that the first one made.
  conflicts: { ha_networks_one_per_project: 'again' },
  attributes: {
    id: uuid({ filter: true }),
    project_id: text({ filter: true }),
    network_id: uuid({ filter: true }),
    revision_number,
    created_at,
    updated_at,
  },
}) as unknown as Resource

async function ensure(context: Context, project_id: string): Promise<void> {
  const [existing] = await context.find('ha_network', { project_id })
  if (existing) return
  const owner = { project_id: '', name: nameOf(project_id) }
  const { id: network_id } = await context.create(network as unknown as Resource, owner)
  await context.create(haNetwork, { project_id, network_id })
  await context.create(subnet as unknown as Resource, {
    project_id: '',
    network_id,
    name: `HA subnet tenant ${project_id}`,
    ip_version: 4,
    cidr: CIDR,
    gateway_ip: null,
    enable_dhcp: false,
  })
}

/** Removes the network when no other router of the project needs it. */
async function dismiss(context: Context, project_id: string, routerId: string): Promise<void> {
  const routers = await context.find('router', { project_id, ha: true })
  if (routers.some(({ id }) => id !== routerId)) return
  const [existing] = await context.find('ha_network', { project_id })
  if (!existing) return
  await context.remove(haNetwork, String(existing['id']))
  await context.remove(network as unknown as Resource, String(existing['network_id']))
}

/** What high availability adds to a router. */
export const haRouters: ExtensionPart = {
  async inTx(context, { before, after }: Write) {
    const router = after ?? before
    const [was, is] = [before?.['ha'] === true, after?.['ha'] === true]
    if (!router || was === is) return undefined
    const project_id = String(router['project_id'])
    if (is) await ensure(context, project_id)
    else await dismiss(context, project_id, String(router['id']))
    return undefined
  },
}
