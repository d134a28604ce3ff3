/**
 * A local IP: one address that, on every host, is the port of that host which is associated with it. The address is
 * held by a port: one that is there, or one of its own that goes with it.
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
} from '#model/define.ts'
import { port } from '#resources/port.ts'
import { identity, standard } from '#resources/standard.ts'
import { versionOf } from '../l3/addresses.ts'
import { addressOf, badRequest, type FixedIp } from './address.ts'

export const LOCAL_IP_OWNER = 'network:local_ip'

const attributes = {
  ...identity,
  name: text({ set: 'always', default: '', filter: true, sort: true }),
  local_port_id: optional(uuid({ set: 'create', filter: true, sort: true }), {}),
  network_id: optional(uuid({ set: 'create', filter: true, sort: true }), {}),
  local_ip_address: optional(address({ set: 'create', filter: true, sort: true, policy: true }), {}),
  ip_mode: oneOf(['translate', 'passthrough'], { set: 'create', default: 'translate', filter: true, sort: true }),
  ...standard,
  description: { ...standard.description, sort: true },
} as const
type LocalIp = Row<typeof attributes>

export const localIp: Resource = defineResource({
  name: 'local_ip',
  plural: 'local_ips',
  path: 'local_ips',
  table: 'local_ips',
  docs: 'An address that on every host leads to the port there that is associated with it.',
  notFound: { type: 'LocalIPNotFound', param: 'id' },
  references: { network_id: { resource: 'network' } },
  inUse: ({ id }) => new ApiError('LocalIPInUse', { id }),
  conflicts: { local_ips_local_port_id_fkey: 'again', local_ips_network_id_fkey: 'again' },
  attributes,
  inTx: async (context, { op, before, after }) => {
    if (op === 'create') return decided(context, after as LocalIp)
    if (op === 'delete') removeLocalPort(context, before as LocalIp)
    return undefined
  },
}) as unknown as Resource

async function decided(context: Context, wanted: LocalIp): Promise<Partial<Draft>> {
  const { local_port_id, network_id, local_ip_address = null } = wanted
  if (local_port_id) {
    const [held] = await context.visible('port', [local_port_id])
    if (!held) throw badRequest('local_ip', `Port ${local_port_id} not found`)
    const { ip_address } = addressOf(held, local_ip_address)
    return { local_ip_address: ip_address, network_id: held['network_id'] }
  }
  if (!network_id) throw new ApiError('LocalIPPortOrNetworkRequired')
  const subnets = await context.find('subnet', { network_id })
  if (!subnets.some((one) => one['ip_version'] === 4))
    throw badRequest('local_ip', `Network ${network_id} does not contain any IPv4 subnet`)
  const made = await context.create(port, localPort(wanted))
  const fixed = made['fixed_ips'] as readonly FixedIp[]
  const chosen =
    local_ip_address ?? (fixed.find((one) => versionOf(one.ip_address) === 4) ?? fixed[0])?.ip_address ?? null
  return { local_port_id: made['id'], local_ip_address: chosen }
}

const localPort = ({ id, project_id, network_id, local_ip_address }: LocalIp): Draft => ({
  project_id,
  network_id,
  device_id: id,
  device_owner: LOCAL_IP_OWNER,
  ...(local_ip_address && { fixed_ips: [{ ip_address: local_ip_address }] }),
})

/** A port of its own goes with it. */
function removeLocalPort(context: Context, { local_port_id }: LocalIp): void {
  context.afterWrite(async () => {
    const held = await context.load('port', String(local_port_id))
    if (held?.['device_owner'] === LOCAL_IP_OWNER) await context.remove(port, String(local_port_id))
  })
}
