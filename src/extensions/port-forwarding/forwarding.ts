/**
 * A port forwarding: some ports of a floating IP lead to ports of a fixed IP.
 *
 * Whoever makes, changes or removes one holds its floating IP, so that a floating IP's forwardings are looked at one at
 * a time; what they have inside is kept apart by the database. The first of a floating IP gives it its router, the last
 * one takes it away.
 */
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
  whole,
  type Write,
} from '#model/define.ts'
import { floatingIp } from '../l3/floating-ip.ts'
import { checkRanges, chosenRange, type Ranges, refuseCollision, storedRanges } from './collisions.ts'
import { portRange } from './port-range.ts'
import { badForwarding, wayIn } from './way.ts'

const PROTOCOLS = ['dccp', 'icmp', 'ipv6-icmp', 'sctp', 'tcp', 'udp'] as const

const ofFloatingIp = '(select f.project_id from floating_ips f where f.id = t.floatingip_id)'
const single = (side: string): string =>
  `(case when t.${side}_port_start = t.${side}_port_end then t.${side}_port_start end)`
const range = (side: string): string => `(t.${side}_port_start || ':' || t.${side}_port_end)`
const port = { set: 'always', min: 1, max: 65_535 } as const

const attributes = {
  id: uuid({ filter: true, sort: true }),
  /** The floating IP's. */
  project_id: text({ set: 'create', visible: false }),
  'ext_parent:project_id': text({ visible: false, sql: ofFloatingIp }),
  floatingip_id: uuid({ visible: false }),
  external_port: optional(whole({ ...port, filter: true, sort: true, sql: single('external') })),
  external_port_range: portRange({ set: 'always', filter: true, sort: true, sql: range('external') }),
  internal_port: optional(whole({ ...port, sql: single('internal') })),
  internal_port_range: portRange({ set: 'always', sql: range('internal') }),
  internal_ip_address: address({ set: 'always', required: true }),
  internal_port_id: uuid({ set: 'always', required: true, filter: true, sort: true }),
  protocol: oneOf(PROTOCOLS, { set: 'always', required: true, filter: true, sort: true }),
  description: text({ set: 'always', default: '', max: 1024, filter: true }),
  external_port_start: whole({ visible: false }),
  external_port_end: whole({ visible: false }),
  internal_port_start: whole({ visible: false }),
  internal_port_end: whole({ visible: false }),
  internal_subnet_id: uuid({ visible: false }),
  interface_port_id: uuid({ visible: false }),
  revision_number: whole({ visible: false, max: Number.MAX_SAFE_INTEGER }),
} as const
export type PortForwarding = Row<typeof attributes>

export const portForwarding: Resource = defineResource({
  name: 'floatingip_port_forwarding',
  singular: 'port_forwarding',
  plural: 'port_forwardings',
  policyName: 'floatingip_port_forwarding',
  path: 'port_forwardings',
  parent: { resource: 'floatingip', attribute: 'floatingip_id' },
  table: 'port_forwardings',
  docs: 'Ports of a floating IP that lead to ports of a fixed IP behind a router.',
  notFound: { type: 'PortForwardingNotFound', param: 'id' },
  references: {
    // In the order in which a port that goes takes its forwardings along.
    internal_port_id: { resource: 'port', lock: 'share' },
    floatingip_id: { resource: 'floatingip', policyAttributes: ['project_id'], lock: 'update' },
  },
  bumps: ['floatingip_id'],
  conflicts: {
    port_forwardings_free_floating_ip: 'again',
    port_forwardings_need_interface: 'again',
    port_forwardings_need_fixed_ip: 'again',
    port_forwardings_one_outside: 'again',
    port_forwardings_one_inside: 'again',
    port_forwardings_floatingip_id_fkey: 'again',
    port_forwardings_internal_port_id_fkey: 'again',
  },
  attributes,
  checkTogether: (forwardings) =>
    forwardings.flatMap((one, index) => {
      const ranges = wantedRanges(one, new Set(Object.keys(one)), null)
      const others = forwardings
        .slice(0, index)
        .map((other) => ({ ...other, ...storedRanges(wantedRanges(other, new Set(Object.keys(other)), null)) }))
      return refuseCollision({ ...one, ...ranges }, others) ?? []
    }),
  inTx: async (context, write) => {
    if (write.op === 'delete') return removed(context, write.before as PortForwarding)
    return write.internal ? undefined : decided(context, write)
  },
}) as unknown as Resource

/** What was given counts; a single port before a range. What is missing stays as it is, or is refused. */
function wantedRanges(wanted: PortForwarding, given: ReadonlySet<string>, before: PortForwarding | null): Ranges {
  const side = (name: 'external' | 'internal') => {
    const chosen = chosenRange(
      given.has(`${name}_port`) ? wanted[`${name}_port`] : null,
      given.has(`${name}_port_range`) ? wanted[`${name}_port_range`] : null,
    )
    if (chosen) return chosen
    if (before) return { start: before[`${name}_port_start`], end: before[`${name}_port_end`] }
    throw badForwarding(`${name}_port or ${name}_port_range must be specified`)
  }
  return { external: side('external'), internal: side('internal') }
}

async function decided(context: Context, { before, after, given }: Write<PortForwarding>): Promise<Partial<Draft>> {
  const wanted = after as PortForwarding
  const { floatingip_id, internal_port_id } = wanted
  const ranges = wantedRanges(wanted, given, before)
  checkRanges(ranges)
  const floating = (await context.load('floatingip', floatingip_id, 'update')) as Readonly<Draft>
  const way = movesInside(before, wanted)
    ? await wayIn(context, floating, internal_port_id, inside(before, wanted, given))
    : undefined
  const settled = { ...wanted, ...way?.forwarding }
  await refuseTaken(context, settled, ranges)
  if (way) {
    context.afterWrite(() => giveRouter(context, floatingip_id, internal_port_id, way.route))
  }
  return { project_id: floating['project_id'], ...way?.forwarding, ...storedRanges(ranges) }
}

/** Does it lead to another address than before? */
const movesInside = (before: PortForwarding | null, wanted: PortForwarding): boolean =>
  before?.internal_port_id !== wanted.internal_port_id || before.internal_ip_address !== wanted.internal_ip_address

/** The address asked for; another port without one: any of its own. */
const inside = (
  before: PortForwarding | null,
  { internal_port_id, internal_ip_address }: PortForwarding,
  given: ReadonlySet<string>,
): string | null =>
  before && before.internal_port_id !== internal_port_id && !given.has('internal_ip_address')
    ? null
    : internal_ip_address

/** Other forwardings of the floating IP, which is held, and others that lead to the same address. */
async function refuseTaken(context: Context, wanted: PortForwarding, ranges: Ranges): Promise<void> {
  const { floatingip_id, internal_port_id, internal_ip_address, protocol } = wanted
  const [outside, inner] = await Promise.all(
    [
      { floatingip_id, protocol },
      { internal_port_id, internal_ip_address, protocol },
    ].map((where) => context.find('floatingip_port_forwarding', where)),
  )
  const others = [...(inner ?? []), ...(outside ?? [])] as unknown as readonly PortForwarding[]
  const refused = refuseCollision({ ...wanted, ...ranges }, others)
  if (refused) throw refused
}

interface Route {
  readonly router_id: string | null
  readonly gateway_port_id: string | null
}

/** All forwardings of a floating IP go by one router. */
async function giveRouter(context: Context, id: string, internalPortId: string, route: Route): Promise<void> {
  const { router_id, gateway_port_id } = route
  const held = (await context.load('floatingip', id, 'update'))?.['router_id']
  if (held === router_id) return
  if (held)
    throw badForwarding(
      `The Floating IP ${id} had been set on router ${String(held)}, the internal Neutron port ${internalPortId} can not reach it`,
    )
  await context.update(floatingIp, id, { router_id, gateway_port_id })
}

/** The floating IP is held by then: it is changed with its forwardings. */
async function removed(context: Context, { floatingip_id }: PortForwarding): Promise<undefined> {
  context.afterWrite(async () => {
    const [left] = await context.find('floatingip_port_forwarding', { floatingip_id })
    if (!left) await context.update(floatingIp, floatingip_id, { router_id: null, gateway_port_id: null })
  })
}
