/**
 * A floating IP: an address of an external network that leads to a port's fixed IP by a router.
 *
 * Locks: the floating IP, then ports (its own, the one it leads to, the router's two) by foreign keys alone. It takes no
 * lock of the router: while it is associated it refers to the router's ports, which therefore cannot go.
 */
import { ApiError } from '#kernel/errors.ts'
import {
  address,
  type Context,
  defineResource,
  type Draft,
  oneOf,
  optional,
  type Resource,
  type Row,
  text,
  uuid,
  type Write,
} from '#model/define.ts'
import { port } from '#resources/port.ts'
import { identity, standard } from '#resources/standard.ts'
import { versionOf } from './addresses.ts'
import { associate, type Association, badFloatingIp, NOTHING } from './association.ts'
import { dnsDomain, dnsName } from './dns.ts'
import { FLOATING_IP_OWNER } from './owners.ts'

/** Of the port it leads to, whose history is the port's own; null: it leads nowhere. */
const portDetails = `(select json_build_object('name', p.name, 'network_id', p.network_id, 'mac_address', p.mac_address,
  'admin_state_up', p.admin_state_up, 'status', p.status, 'device_id', p.device_id, 'device_owner', p.device_owner)
  from ports p where p.id = t.port_id)`

const attributes = {
  ...identity,
  floating_network_id: uuid({ set: 'create', required: true, filter: true, sort: true }),
  floating_ip_address: optional(address({ set: 'create', filter: true, sort: true, policy: true })),
  /** Where the address is taken from; only asked for. */
  subnet_id: optional(uuid({ set: 'create', visible: false, column: null })),
  /** The port that holds the address. */
  floating_port_id: uuid({ visible: false }),
  port_id: optional(uuid({ set: 'always', filter: true })),
  fixed_ip_address: optional(address({ set: 'always', filter: true, sort: true })),
  fixed_subnet_id: optional(uuid({ visible: false })),
  router_id: optional(uuid({ filter: true, sort: true })),
  interface_port_id: optional(uuid({ visible: false })),
  gateway_port_id: optional(uuid({ visible: false })),
  /** A host that has it in place makes it ACTIVE. */
  status: oneOf(['ACTIVE', 'DOWN', 'ERROR'], { filter: true, sort: true }),
  port_details: optional({ ...text({ sql: portDetails }), schema: { type: 'object' }, pg: 'jsonb' }),
  dns_name: dnsName,
  dns_domain: dnsDomain,
  ...standard,
} as const
export type FloatingIp = Row<typeof attributes>

export const floatingIp: Resource = defineResource({
  name: 'floatingip',
  plural: 'floatingips',
  table: 'floating_ips',
  docs: 'An address of an external network that leads to a fixed IP of a port.',
  notFound: { type: 'FloatingIPNotFound', param: 'floatingip_id' },
  quota: 'floatingip',
  references: { floating_network_id: { resource: 'network' } },
  conflicts: {
    floating_ips_one_per_fixed_ip: 'again',
    floating_ips_need_fixed_ip: 'again',
    floating_ips_need_interface: 'again',
    floating_ips_need_gateway: 'again',
    floating_ips_port_id_fkey: 'again',
    floating_ips_router_id_fkey: 'again',
  },
  attributes,
  check: ({ op, after }) => {
    if (op !== 'create' || !after || (after.dns_name === '') === (after.dns_domain === '')) return []
    const [missing, given] = after.dns_name === '' ? ['dns_name', 'dns_domain'] : ['dns_domain', 'dns_name']
    return [badFloatingIp(`${given} cannot be specified without a ${missing}`)]
  },
  inTx: async (context, write) => {
    if (write.op === 'create') return createFloatingIp(context, write)
    if (write.op === 'update') return write.internal ? undefined : updateFloatingIp(context, write)
    const { floating_port_id } = write.before as FloatingIp
    context.afterWrite(() => context.remove(port, floating_port_id))
    return undefined
  },
}) as unknown as Resource

async function createFloatingIp(context: Context, { after }: Write<FloatingIp>): Promise<Partial<Draft>> {
  const wanted = after as FloatingIp
  const network_id = wanted.floating_network_id
  const network = await context.load('network', network_id)
  if (network?.['router:external'] !== true)
    throw badFloatingIp(`Network ${network_id} is not a valid external network`)
  const subnets = await context.find('subnet', { network_id })
  if (!subnets.some((one) => one['ip_version'] === 4))
    throw badFloatingIp(`Network ${network_id} does not contain any IPv4 subnet`)
  const held = await context.create(port, externalPort(wanted))
  const fixed = held['fixed_ips'] as readonly { readonly ip_address: string }[]
  const floating_ip_address = fixed.find((one) => versionOf(one.ip_address) === 4)?.ip_address
  if (floating_ip_address === undefined) throw new ApiError('ExternalIpAddressExhausted', { net_id: network_id })
  const decided = { ...wanted, floating_ip_address }
  const association = await associationOf(context, decided)
  return { floating_ip_address, floating_port_id: held['id'], status: 'DOWN', ...association }
}

function externalPort({ id, floating_network_id, floating_ip_address, subnet_id }: FloatingIp): Draft {
  const request = {
    ...(subnet_id && { subnet_id }),
    ...(floating_ip_address && { ip_address: floating_ip_address }),
  }
  return {
    // Nobody's: clients see the floating IP, not the port that holds its address.
    project_id: '',
    network_id: floating_network_id,
    device_id: id,
    device_owner: FLOATING_IP_OWNER,
    ...(Object.keys(request).length > 0 && { fixed_ips: [request] }),
  }
}

const withoutPort = (): ApiError => badFloatingIp('fixed_ip_address cannot be specified without a port_id')

async function associationOf(context: Context, wanted: FloatingIp): Promise<Association> {
  const { port_id, fixed_ip_address } = wanted
  if (!port_id) {
    if (fixed_ip_address) throw withoutPort()
    return NOTHING
  }
  return associate(
    context,
    { ...wanted, floating_ip_address: wanted.floating_ip_address ?? '' },
    port_id,
    fixed_ip_address,
  )
}

/**
 * A port given, or null, or nothing at all given, changes where it leads; anything else leaves that as it is.
 */
async function updateFloatingIp(
  context: Context,
  { before, after, given }: Write<FloatingIp>,
): Promise<Partial<Draft> | undefined> {
  const [old, wanted] = [before as FloatingIp, after as FloatingIp]
  const asked = given.has('fixed_ip_address') ? wanted.fixed_ip_address : null
  if (given.has('port_id')) return { ...(await associationOf(context, { ...wanted, fixed_ip_address: asked })) }
  if (asked !== null) throw withoutPort()
  if (given.size > 0) return { fixed_ip_address: old.fixed_ip_address }
  // Port forwardings keep a router without a port.
  return old.port_id === null ? undefined : { ...NOTHING }
}
