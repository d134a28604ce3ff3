/** What would become of a port on each host, best first: the same plan as a binding, without a write. */
import { ApiError } from '#kernel/errors.ts'
import type { BindingLook, BindingRequest } from '#model/context.ts'
import {
  type Attributes,
  type Call,
  type Context,
  dictionary,
  type Draft,
  list,
  oneOf,
  optional,
  parseAddress,
  parseText,
  parseUuid,
  structure,
  uuid,
} from '#model/define.ts'
import { type Port, requestOf, VNIC_TYPES } from '#resources/port.ts'
import { shownLook } from './explain.ts'

interface Wanted {
  readonly network_id: string
  readonly device_owner?: string
  readonly fixed_ips?: readonly { readonly subnet_id?: string; readonly ip_address?: string }[]
  readonly 'binding:vnic_type'?: string
  readonly 'binding:profile'?: Readonly<Record<string, unknown>>
}

const id = { schema: { type: 'string', format: 'uuid' }, parse: parseUuid }
const name = { schema: { type: 'string', maxLength: 255 }, parse: parseText(255) }

/** Of a port that need not exist. */
const wanted = structure<Wanted>(
  {
    network_id: { ...id, required: true },
    device_owner: name,
    fixed_ips: list(
      structure<{ subnet_id?: string; ip_address?: string }>({
        subnet_id: id,
        ip_address: { schema: { type: 'string' }, parse: parseAddress },
      }),
    ),
    'binding:vnic_type': oneOf(VNIC_TYPES),
    'binding:profile': dictionary({ max: 4095 }),
  },
  { set: 'always' },
)

export const body: Attributes = {
  port_id: optional(uuid({ set: 'always' })),
  port: optional(wanted),
  hosts: optional(list(name, { set: 'always', max: 10_000, unique: true })),
}

export async function simulate(context: Context, { body: asked }: Call): Promise<Draft> {
  const request = await requestFor(context, asked)
  const looks = await context.binding.look(request, (asked['hosts'] ?? null) as readonly string[] | null)
  return { binding_simulation: { hosts: ranked(looks, context.now) } }
}

async function requestFor(context: Context, { port_id, port }: Readonly<Draft>): Promise<Omit<BindingRequest, 'host'>> {
  if ((port_id === null) === (port === null))
    throw new ApiError('HTTPBadRequest', { reason: 'Give either port_id or port' })
  if (port === null) {
    const [found] = await context.visible('port', [String(port_id)])
    if (!found) throw new ApiError('PortNotFound', { port_id })
    return requestOf(found as unknown as Port)
  }
  const { network_id, device_owner = '', fixed_ips, ...binding } = port as Wanted
  const [network] = await context.visible('network', [network_id])
  if (!network) throw new ApiError('NetworkNotFound', { net_id: network_id })
  return {
    id: '00000000-0000-0000-0000-000000000000',
    network_id,
    vnic_type: binding['binding:vnic_type'] ?? 'normal',
    device_owner,
    profile: binding['binding:profile'] ?? {},
    fixed_ips: fixed_ips ? await withSubnets(context, network_id, fixed_ips) : await anyAddress(context, network_id),
  }
}

/** Which address it would get is left open: one of any subnet. */
const anyAddress = async (context: Context, network_id: string) =>
  (await context.find('subnet', { network_id })).length > 0 ? [{}] : []

async function withSubnets(context: Context, network_id: string, fixed_ips: NonNullable<Wanted['fixed_ips']>) {
  const known = new Set((await context.find('subnet', { network_id })).map((one) => one['id']))
  const missing = fixed_ips.find(({ subnet_id }) => subnet_id !== undefined && !known.has(subnet_id))
  if (missing) throw new ApiError('SubnetNotFound', { subnet_id: missing.subnet_id })
  return fixed_ips
}

/**
 * Hosts that can bind come first: with the fewest levels, by the driver that is asked first and on the segment that is
 * looked at first, which shows in the fewest refusals before; then by name. `rank` is null for those that cannot.
 */
export function ranked(looks: readonly BindingLook[], at: string) {
  const able = looks.filter(({ levels }) => levels.length > 0)
  const unable = looks.filter(({ levels }) => levels.length === 0)
  const cost = ({ levels, attempts }: BindingLook): number => levels.length * 1_000_000 + attempts.length
  const byName = (a: BindingLook, b: BindingLook): number => (a.host < b.host ? -1 : a.host > b.host ? 1 : 0)
  const best = able.toSorted((a, b) => cost(a) - cost(b) || byName(a, b))
  const shown = (look: BindingLook, rank: number | null) => {
    const { vif_type, levels, attempts } = shownLook(look, at)
    return { host: look.host, bindable: rank !== null, rank, vif_type, levels, attempts }
  }
  return [
    ...best.map((look, index) => shown(look, index + 1)),
    ...unable.toSorted(byName).map((look) => shown(look, null)),
  ]
}
