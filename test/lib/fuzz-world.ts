/**
 * The objects that generated requests speak of: every kind of them, connected as in a cloud that is used, and the ids
 * of what the requests themselves made.
 */
import { newId } from '#kernel/ids.ts'
import type { ComposedResource } from '#model/compose.ts'
import { collectionPath } from '#model/paths.ts'
import { hostReports } from './agents.ts'
import type { TestServer } from './server.ts'

/** An object; `parent` is the id of the object it is a part of. */
export interface Known {
  readonly id: string
  readonly parent: string | undefined
}

export interface World {
  /** One of the kind that exists, most likely; now and then one that does not. `seed` decides. */
  draw(kind: string, seed: number): Known
  remember(kind: string, id: string, parent?: string): void
  /** A set of objects of all kinds more, of project p1 but for what administrators make. */
  furnish(): Promise<void>
}

/** How many of a kind are remembered: the latest. */
const MEMORY = 30

/** Networks with the outside are a kind of their own: few objects can be connected to another. */
export const OUTSIDE = 'network outside'

export function createWorld(server: TestServer): World {
  const seen = new Map<string, Known[]>()
  const remember: World['remember'] = (kind, id, parent) =>
    void seen.set(kind, [...(seen.get(kind) ?? []), { id, parent }].slice(-MEMORY))
  let round = 0
  return {
    remember,
    draw: (kind, seed) => {
      const known = seen.get(kind) ?? []
      return (seed % 11 === 0 ? undefined : known[seed % known.length]) ?? { id: newId(), parent: undefined }
    },
    furnish: () => furnish(server, remember, round++),
  }
}

type Values = Readonly<Record<string, unknown>>
/** Makes one object; its id. What is refused (a quota is used up) has an id that nothing has. */
type Connect = (router: string, subnet: string) => Promise<unknown>
type Make = (kind: string, values: Values, parent?: string) => Promise<string>

async function furnish(server: TestServer, remember: World['remember'], round: number): Promise<void> {
  const { admin, core } = server
  const make: Make = async (kind, values, parent) => {
    const resource: ComposedResource = core.model.resource(kind)
    const path = collectionPath(core.model, resource).replace(':parent_id', parent ?? '')
    const { status, body } = await admin.post(path, { [resource.singular]: values })
    if (status !== 201) return newId()
    const id = body[resource.singular][resource.key]
    remember(kind, id, parent)
    return id
  }
  const connect: Connect = (router, subnet_id) => admin.put(`routers/${router}/add_router_interface`, { subnet_id })
  for (const host of ['h1', 'h2']) await hostReports(server, host)
  for (const { id } of (await admin.get('agents?fields=id')).body.agents) remember('agent', id)
  const own = { project_id: 'p1' }
  await standAlone(make, own, round)
  const outside = await make('network', { 'router:external': true })
  remember(OUTSIDE, outside)
  await make('subnet', { network_id: outside, ip_version: 4, cidr: '192.0.2.0/24' })
  const network = await make('network', own)
  const subnet = await make('subnet', { ...own, network_id: network, ip_version: 4, cidr: '10.0.0.0/24' })
  const six = { ipv6_ra_mode: 'slaac', ipv6_address_mode: 'slaac' }
  await make('subnet', { ...own, network_id: network, ip_version: 6, cidr: '2001:db8::/64', ...six })
  const router = await make('router', { ...own, external_gateway_info: { network_id: outside } })
  await connect(router, subnet)
  await make('router_conntrack_helper', { protocol: 'udp', port: 69, helper: 'tftp' }, router)
  await portsAndTheirUsers(make, { own, network, outside })
  await proxied(make, connect, own, round)
}

/** A port that a router answers for on the outside: both in one address scope. */
async function proxied(make: Make, connect: Connect, own: Values, round: number): Promise<void> {
  const scope = await make('address_scope', { name: 's', ip_version: 6, shared: true })
  const prefixes = [`2001:db8:${(round + 1).toString(16)}::/48`]
  const pool = { name: 'p', prefixes, default_prefixlen: 64, shared: true, address_scope_id: scope }
  const from = { ip_version: 6, subnetpool_id: await make('subnetpool', pool) }
  const outside = await make('network', { 'router:external': true })
  await make('subnet', { ...from, network_id: outside })
  const network = await make('network', own)
  const subnet = await make('subnet', { ...own, ...from, network_id: network })
  const gateway = { external_gateway_info: { network_id: outside }, enable_ndp_proxy: true }
  const router = await make('router', { ...own, ...gateway })
  await connect(router, subnet)
  const port = await make('port', { ...own, network_id: network })
  await make('ndp_proxy', { ...own, router_id: router, port_id: port })
}

/** What needs nothing else. */
async function standAlone(make: Make, own: Values, round: number): Promise<void> {
  const policy = await make('qos_policy', own)
  await make('qos_bandwidth_limit_rule', { max_kbps: 1000 }, policy)
  await make('qos_dscp_marking_rule', { dscp_mark: 10 }, policy)
  await make('qos_minimum_bandwidth_rule', { min_kbps: 10 }, policy)
  await make('qos_packet_rate_limit_rule', { max_kpps: 1000 }, policy)
  await make('qos_minimum_packet_rate_rule', { min_kpps: 10 }, policy)
  const scope = await make('address_scope', { ...own, name: 's', ip_version: 4 })
  await make('subnetpool', { ...own, name: 'p', prefixes: [`10.${round % 200}.0.0/16`], address_scope_id: scope })
  const addresses = await make('address_group', { ...own, addresses: ['10.0.0.0/24'] })
  const group = await make('security_group', { ...own, name: 'g' })
  const rule = { security_group_id: group, direction: 'ingress' }
  await make('security_group_rule', { ...rule, remote_address_group_id: addresses })
  await make('security_group_rule', { ...rule, protocol: 'tcp', port_range_min: 1, port_range_max: 9 })
  await make('default_security_group_rule', {
    direction: 'ingress',
    protocol: 'udp',
    port_range_min: round + 1,
    port_range_max: 9999,
  })
  await make('rbac_policy', {
    object_type: 'qos_policy',
    object_id: policy,
    action: 'access_as_shared',
    target_tenant: 'p2',
  })
  await make('log', { ...own, resource_type: 'security_group', resource_id: group })
  const label = await make('metering_label', own)
  await make('metering_label_rule', { metering_label_id: label, direction: 'ingress', remote_ip_prefix: '10.0.0.0/24' })
  await make('service_profile', { metainfo: '{}', driver: '' })
  await make('flavor', { service_type: 'L3_ROUTER_NAT', name: `f${round}` })
  await make('bgp_peer', { name: 'b', peer_ip: '192.0.2.77', remote_as: 65_001 + round, auth_type: 'none' })
  await make('bgp_speaker', { name: 'b', local_as: 65_000, ip_version: 4 })
  const [minimum, maximum] = [5000 + 10 * round, 5005 + 10 * round]
  await make('network_segment_range', { name: 'r', shared: true, network_type: 'vxlan', minimum, maximum })
  const segmented = await make('network', { ...own, 'provider:network_type': 'vxlan' })
  await make('segment', { network_id: segmented, network_type: 'vxlan' })
}

interface Place {
  readonly own: Values
  readonly network: string
  readonly outside: string
}

async function portsAndTheirUsers(make: Make, { own, network, outside }: Place): Promise<void> {
  const port = (values: Values = {}) => make('port', { ...own, network_id: network, ...values })
  const instance = await port({ 'binding:host_id': 'h1', device_owner: 'compute:nova', device_id: newId() })
  const floating = { ...own, floating_network_id: outside }
  await make('floatingip', { ...floating, port_id: instance })
  const forwarded = await port({ fixed_ips: [{ ip_address: '10.0.0.77' }] })
  const forwarding = { protocol: 'tcp', internal_port: 22, external_port: 2222, internal_ip_address: '10.0.0.77' }
  const free = await make('floatingip', floating)
  await make('floatingip_port_forwarding', { ...forwarding, internal_port_id: forwarded }, free)
  const [trunk, sub] = [await port(), await port()]
  await make('trunk', {
    ...own,
    port_id: trunk,
    sub_ports: [{ port_id: sub, segmentation_type: 'vlan', segmentation_id: 7 }],
  })
  const local = await make('local_ip', { ...own, network_id: network })
  await make('local_ip_port_association', { fixed_port_id: forwarded }, local)
}
