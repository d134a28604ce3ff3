/** An attachment to a network: addresses, security, and where it is bound. */
import { isDeepStrictEqual } from 'node:util'
import { ApiError } from '#kernel/errors.ts'
import type { BindingFailure, BindingLevel, BindingRequest, BindingResult } from '#model/context.ts'
import { parsePrefix } from '#kernel/ip.ts'
import {
  audienceList,
  type Context,
  defineResource,
  dictionary,
  type Draft,
  flag,
  list,
  mac,
  oneOf,
  optional,
  orAbsent,
  orNull,
  parseAddress,
  parseMac,
  parseText,
  parseUuid,
  Reject,
  type Row,
  structure,
  text,
  uuid,
  type Write,
} from '#model/define.ts'
import { checkPort } from './port-checks.ts'
import { settleOnHost } from './port-host.ts'
import { identity, isDistributedOwner, isServiceOwner, standard } from './standard.ts'

export const VNIC_TYPES = [
  'normal',
  'direct',
  'macvtap',
  'baremetal',
  'direct-physical',
  'virtio-forwarder',
  'smart-nic',
  'vdpa',
  'accelerator-direct',
  'accelerator-direct-physical',
  'remote-managed',
] as const

interface FixedIp {
  subnet_id?: string
  ip_address?: string
}
const fixedIp = structure<FixedIp>({
  subnet_id: { schema: { type: 'string', format: 'uuid' }, parse: parseUuid },
  ip_address: { schema: { type: 'string' }, parse: parseAddress },
})
const parsePairAddress = (value: unknown): string => {
  const given = parseText(64)(value)
  if (!parsePrefix(given)) throw new Reject(`'${given}' is not a valid IP address or CIDR`)
  return given
}
const addressPair = structure<{ ip_address?: string; mac_address?: string }>({
  ip_address: { schema: { type: 'string' }, parse: parsePairAddress },
  mac_address: { schema: { type: 'string' }, parse: parseMac },
})

/** Never given by clients. */
const bindingLevel = { schema: { type: 'object' }, parse: (value: unknown) => value as BindingLevel }

/** No text until one is drawn; every stored port has a MAC. */
const parseMacOrNone = (value: unknown): string => (value === null ? '' : parseMac(value))

const attributes = {
  ...identity,
  name: text({ set: 'always', default: '', filter: true, sort: true }),
  network_id: uuid({ set: 'create', required: true, filter: true, sort: true }),
  /** Null asks for one to be drawn, a new one in an update. */
  mac_address: { ...mac({ set: 'always', filter: true, sort: true, policy: true }), parse: parseMacOrNone },
  admin_state_up: flag({ set: 'always', default: true, filter: true, sort: true }),
  status: oneOf(['ACTIVE', 'BUILD', 'DOWN', 'ERROR'], { filter: true, sort: true }),
  device_id: text({ set: 'always', default: '', filter: true, sort: true }),
  device_owner: text({ set: 'always', default: '', filter: true, sort: true, policy: true }),
  fixed_ips: list(fixedIp, { set: 'always', policy: true, filter: true }),
  /** Null as if left out; in an update, none. */
  security_groups: orAbsent(
    list(
      { schema: { type: 'string', format: 'uuid' }, parse: parseUuid },
      {
        set: 'always',
        filter: true,
        column: 'security_group_ids',
        pg: 'uuid[]',
        unique: true,
        sql: 'to_jsonb(t.security_group_ids)',
      },
    ),
  ),
  port_security_enabled: flag({ set: 'always', policy: true }),
  allowed_address_pairs: list(addressPair, { set: 'always', default: [], policy: true }),
  // Nova unbinds with null.
  'binding:host_id': orNull(
    '',
    text({ set: 'always', default: '', filter: true, policy: true, column: 'binding_host' }),
  ),
  'binding:vnic_type': oneOf(VNIC_TYPES, { set: 'always', default: 'normal', policy: true }),
  'binding:profile': dictionary({ set: 'always', default: {}, max: 4095, policy: true }),
  'binding:vif_type': text({ policy: true }),
  'binding:vif_details': dictionary({ policy: true }),
  /** What carries it, the outermost first; empty unless it is bound to a host. */
  'binding:levels': list(bindingLevel, { visible: false, default: [] }),
  /** Who refused it and why, since when; null unless its binding failed. */
  'binding:failure': optional(dictionary({ visible: false })),
  'network:shared': flag({
    visible: false,
    audience: {
      list: 'network:shared_with',
      sql: '(select n.shared_with from networks n where n.id = t.network_id)',
    },
  }),
  'network:shared_with': audienceList({
    sql: '(select to_jsonb(n.shared_with) from networks n where n.id = t.network_id)',
  }),
  'network:project_id': text({
    visible: false,
    sql: '(select n.project_id from networks n where n.id = t.network_id)',
    equals: 't.network_id = any(array(select n.id from networks n where n.project_id = ?))',
  }),
  ...standard,
} as const
export type Port = Row<typeof attributes>

export const port = defineResource({
  name: 'port',
  plural: 'ports',
  table: 'ports',
  docs: 'An attachment of a device to a network: MAC, fixed IPs, security groups, and the binding to a host.',
  notFound: { type: 'PortNotFound', param: 'port_id' },
  quota: 'port',
  conflicts: {
    ip_allocations_pkey: ({ values: [subnet_id, ip] }) => new ApiError('IpAddressAlreadyAllocated', { ip, subnet_id }),
  },
  references: { network_id: { resource: 'network', policyAttributes: ['project_id', 'shared'] } },
  attributes,
  foresee: (context, op, ports) => {
    for (const { id, network_id, 'binding:host_id': host = '' } of ports) {
      if (host !== '')
        context.binding.expect(op === 'create' ? { network_id: network_id as string } : { port_id: id as string }, host)
    }
    if (op !== 'create') return
    for (const [networkId, asking] of Map.groupBy(ports, (one) => one.network_id)) {
      context.ahead(context.find('subnet', { network_id: networkId as string }))
      context.ipam.expect(networkId as string, asking.filter((one) => one.fixed_ips === undefined).length)
    }
    const guarded = ports.filter((one) => one.security_groups === undefined && one.port_security_enabled !== false)
    for (const projectId of new Set(guarded.map((one) => one.project_id))) context.expectDefaultGroup(String(projectId))
  },
  check: (write, limits) => (write.op === 'delete' || write.internal ? [] : checkPort(write, limits)),
  inTx: async (context, write) => {
    if (write.op === 'create') return createPort(context, write)
    if (write.op === 'update') return updatePort(context, write)
    const { id, fixed_ips, 'binding:levels': levels } = write.before as Port
    context.binding.release(levels)
    await context.ipam.release(id, fixed_ips as readonly Required<FixedIp>[])
    return undefined
  },
})

const ownerOf = (wanted: Port) => ({
  port_id: wanted.id,
  network_id: wanted.network_id,
  mac_address: wanted.mac_address,
  device_owner: wanted.device_owner,
  host: wanted['binding:host_id'],
})

async function createPort(context: Context, { after }: Write<Port>): Promise<Partial<Draft>> {
  const wanted = after as Port
  const mac_address = wanted.mac_address || context.newMac()
  const port_security_enabled = wanted.port_security_enabled ?? (await isSecureByDefault(context, wanted))
  const fixed_ips = await context.ipam.allocate(ownerOf({ ...wanted, mac_address }), wanted.fixed_ips)
  const decided = { ...wanted, mac_address, port_security_enabled, fixed_ips }
  return {
    status: 'DOWN',
    mac_address,
    port_security_enabled,
    fixed_ips,
    security_groups: await chooseGroups(context, decided),
    allowed_address_pairs: withMacs(decided),
    ...(await bound(context, decided, null)),
  }
}

const isSecureByDefault = async (context: Context, { network_id, device_owner }: Port): Promise<boolean> =>
  !isServiceOwner(device_owner) && (await context.load('network', network_id))?.['port_security_enabled'] === true

async function updatePort(context: Context, write: Write<Port>): Promise<Partial<Draft>> {
  const { before, after, given } = write
  const old = before as Port
  const wanted = { ...(after as Port), mac_address: after?.mac_address || context.newMac() }
  const patch: Partial<Draft> = { mac_address: wanted.mac_address }
  if (
    given.has('mac_address') &&
    wanted.mac_address !== old.mac_address &&
    old['binding:host_id'] !== '' &&
    old.device_owner.startsWith('compute:')
  ) {
    throw new ApiError('PortBound', {
      port_id: old.id,
      vif_type: old['binding:vif_type'],
      old_mac: old.mac_address,
      new_mac: wanted.mac_address,
    })
  }
  if (given.has('fixed_ips')) {
    patch['fixed_ips'] = await context.ipam.change(
      ownerOf(wanted),
      old.fixed_ips as readonly Required<FixedIp>[],
      wanted.fixed_ips,
    )
  }
  const held = (patch['fixed_ips'] ?? old.fixed_ips) as readonly Required<FixedIp>[]
  Object.assign(patch, await settleOnHost(context, old, wanted, held, given.has('fixed_ips')))
  if (given.has('security_groups')) {
    patch['security_groups'] = wanted.security_groups ?? []
    await requireGroups(context, wanted.security_groups ?? [])
  }
  if (given.has('allowed_address_pairs') || given.has('mac_address')) patch['allowed_address_pairs'] = withMacs(wanted)
  return { ...patch, ...(await rebound(context, old, { ...wanted, ...patch }, write)) }
}

/**
 * The binding anew, where something it follows from changed, or where it failed so far: whoever writes such a port has
 * it tried again, as in Neutron.
 */
async function rebound(
  context: Context,
  old: Port,
  wanted: Port,
  { given, internal }: Pick<Write, 'given' | 'internal'>,
): Promise<Partial<Draft>> {
  const changed = !isDeepStrictEqual(inputsOf(wanted), inputsOf(old))
  const brought = given.has('binding:vif_type')
  if (brought || changed) context.binding.release(old['binding:levels'])
  // The activation of a binding brings along what was bound.
  if (brought || (!changed && (internal || old['binding:vif_type'] !== 'binding_failed'))) return {}
  return { ...(changed && { status: 'DOWN' }), ...(await bound(context, wanted, old)) }
}

/** What a binding follows from, apart from the world. */
const inputsOf = (one: Port): readonly unknown[] => [
  one['binding:host_id'],
  one['binding:vnic_type'],
  one['binding:profile'],
  isDistributedOwner(one.device_owner, one['binding:host_id']),
]

/** Pairs without a MAC take the port's. */
const withMacs = (wanted: Port) =>
  (wanted.allowed_address_pairs ?? []).map((pair) => ({
    mac_address: pair.mac_address ?? wanted.mac_address,
    ip_address: pair.ip_address as string,
  }))

async function chooseGroups(context: Context, wanted: Port): Promise<readonly string[]> {
  if (wanted.security_groups !== undefined) {
    await requireGroups(context, wanted.security_groups)
    return wanted.security_groups
  }
  const guarded = wanted.port_security_enabled && !isServiceOwner(wanted.device_owner)
  return guarded ? [await context.defaultSecurityGroup(wanted.project_id)] : []
}

/** Groups named on a port must exist for the caller. */
async function requireGroups(context: Context, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return
  const found = new Set((await context.visible('security_group', ids)).map((one) => one['id']))
  const missing = ids.find((id) => !found.has(id))
  if (missing !== undefined) throw new ApiError('SecurityGroupNotFound', { id: missing })
}

async function bound(context: Context, wanted: Port, old: Port | null): Promise<Partial<Draft>> {
  const leaves = leftBy(old)
  const result = await context.binding.bind({ ...requestOf(wanted), ...(leaves && { leaves }) })
  return {
    ...bindingOf(result, old),
    ...(isUnattended(result.vif_type) && { status: 'ACTIVE' }),
    // It stands on every host of its router, as in Neutron whatever a client names.
    ...(wanted.device_owner === DVR_INTERFACE && { 'binding:host_id': '' }),
  }
}
const DVR_INTERFACE = 'network:router_interface_distributed'

/** A whole card is its server's to set up: no agent will say that the port stands, so it does once it is bound. */
export const isUnattended = (vif_type: string): boolean => vif_type === 'hostdev_physical'

/** Only what Nova writes beforehand tells a live migration from a server that begins anew elsewhere. */
const leftBy = (old: Port | null): BindingRequest['leaves'] =>
  old?.['binding:profile']['migrating_to']
    ? {
        host: old['binding:host_id'],
        vif_type: old['binding:vif_type'],
        vif_details: old['binding:vif_details'],
      }
    : undefined

/** What is asked when this port is bound. */
export const requestOf = (wanted: Port): BindingRequest => ({
  id: wanted.id,
  network_id: wanted.network_id,
  host: wanted['binding:host_id'],
  vnic_type: wanted['binding:vnic_type'],
  device_owner: wanted.device_owner,
  profile: wanted['binding:profile'],
  fixed_ips: wanted.fixed_ips ?? [],
})

/** The answer as the port keeps it. A failure for the same reasons as before is the same failure, and as old. */
export function bindingOf({ vif_type, vif_details, levels, failure }: BindingResult, old: Port | null) {
  const before = (old?.['binding:failure'] ?? null) as BindingFailure | null
  // What drivers say may hold more than JSON keeps.
  const same = before && isDeepStrictEqual(JSON.parse(JSON.stringify({ ...failure, at: before.at })), before)
  return {
    'binding:vif_type': vif_type,
    'binding:vif_details': vif_details,
    'binding:levels': levels,
    'binding:failure': (same ? before : failure) as Port['binding:failure'],
  }
}
