/**
 * The feed's reads of desired state, by topic. One statement reads all ports of a round: two statements could show
 * one port in two states, the older one last.
 */
import type { Database } from '#store/pool.ts'
import { type GroupRow, type NetworkRow, type PortRow, type RouterRow, SWITCHED } from './derive.ts'

/** Segments by level, the outermost first. */
export const segmentIds = (levels: string): string => `(select coalesce(jsonb_agg(l->'segment_id' order by n), '[]')
  from jsonb_array_elements(${levels}) with ordinality x (l, n))`

/**
 * Bindings that are not active. The host of the one that was until the last activation keeps the port until it stands
 * where it went.
 */
export const expectedOn = (ports: string): string => `(select coalesce(jsonb_agg(jsonb_build_object(
    'host', b.host, 'vif_type', b.vif_type, 'vnic_type', b.vnic_type, 'segment_ids', ${segmentIds('b.levels')},
    'device', ${deviceOf('b.', ports)})
    order by b.host), '[]')
  from port_bindings b where b.port_id = ${ports}.id and ${expects(ports)})`
export const expects = (ports: string): string =>
  `(b.vif_type <> 'unbound' or ${ports}.status <> 'ACTIVE') and b.vif_type <> 'binding_failed' and b.host <> ${ports}.binding_host`

/** What a binding, whose columns begin like this, says of the device that carries the port; null where the switch does. */
export function deviceOf(binding: string, ports: string): string {
  return `case when ${binding}vif_type in ('hw_veb', 'hostdev_physical', 'macvtap')
  then jsonb_build_object('pci_slot', ${binding}profile->>'pci_slot', 'vlan', ${binding}vif_details->>'vlan',
    'source', ${binding}vif_details->>'macvtap_source', 'follows_uplink', ${ports}.propagate_uplink_status) end`
}

const PORT = `id, network_id, revision_number as generation, mac_address, admin_state_up, status, device_owner, fixed_ips,
  security_group_ids, port_security_enabled, allowed_address_pairs, dns_name,
  extra_dhcp_opts, binding_host, binding_vif_type, binding_vnic_type, ${deviceOf('ports.binding_', 'ports')} as binding_device,
  ${segmentIds('binding_levels')} as binding_segment_ids, ${expectedOn('ports')} as expected_on`

const PORTS_BY_ID = `select ${PORT} from ports where id = any($1::uuid[])`
const PORTS_OF_TOPICS = `${PORTS_BY_ID}
  union all select ${PORT} from ports where binding_host <> '' and binding_host = any($2::text[])
  union all select ${PORT} from ports where id in (select b.port_id from port_bindings b where b.host = any($2::text[]))
  union all select ${PORT} from ports where binding_host <> '' and network_id = any($3::uuid[])
  union all select ${PORT} from ports where security_group_ids && $4::uuid[]
  union all select ${PORT} from ports where network_id = any($5::uuid[]) and binding_vif_type <> all($6::text[])
    and device_owner not like 'network:%'`

export interface PortTopics {
  readonly ids: readonly string[]
  readonly hosts: readonly string[]
  readonly networks: readonly string[]
  /** Security groups whose members are wanted. */
  readonly groups: readonly string[]
  /** Networks whose ports are wanted that no switch carries. */
  readonly clientsOf: readonly string[]
}

/** By id; a port of several topics appears once. */
export async function readPorts(database: Database, topics: PortTopics): Promise<ReadonlyMap<string, PortRow>> {
  const { ids, hosts, networks, groups, clientsOf } = topics
  const lone = hosts.length + networks.length + groups.length + clientsOf.length === 0
  const rows = lone
    ? await database.query<PortRow>(PORTS_BY_ID, [ids])
    : await database.query<PortRow>(PORTS_OF_TOPICS, [ids, hosts, networks, groups, clientsOf, SWITCHED])
  return new Map(rows.map((row) => [row.id, row]))
}

/** Of the hosts that the network's DHCP is bound to and that reach the segment, the one that is bound for longest. */
const WIRES = `select coalesce(json_agg(json_build_object('segment_id', w.segment_id, 'host', w.host) order by w.segment_id), '[]') from (
  select distinct on (s.id) s.id as segment_id, b.host
    from network_segments s join dhcp_bindings b on b.network_id = s.network_id
    where s.network_id = n.id and s.physical_network is not null and exists (
      select from agents l where l.host = b.host and l.configurations -> 'bridge_mappings' ? s.physical_network)
    order by s.id, b.created_at, b.id) w`

const NETWORKS = `
  select n.id, n.revision_number as generation, n.project_id, n.admin_state_up, n.mtu,
    rtrim(coalesce(nullif(n.dns_domain, ''), $3), '.') as dns_domain,
    (select coalesce(json_agg(json_build_object(
        'id', s.id, 'network_type', s.network_type, 'physical_network', s.physical_network,
        'segmentation_id', s.segmentation_id) order by s.segment_index, s.id), '[]')
      from network_segments s where s.network_id = n.id) as segments,
    (select coalesce(json_agg(json_build_object(
        'id', b.id, 'ip_version', b.ip_version, 'cidr', b.cidr::text, 'gateway_ip', host(b.gateway_ip),
        'enable_dhcp', b.enable_dhcp, 'ipv6_ra_mode', b.ipv6_ra_mode, 'ipv6_address_mode', b.ipv6_address_mode,
        'dns_nameservers', b.dns_nameservers, 'host_routes', b.host_routes) order by b.id), '[]')
      from subnets b where b.network_id = n.id) as subnets,
    (select json_build_object('port_id', p.id, 'mac_address', p.mac_address, 'fixed_ips', p.fixed_ips)
      from ports p where p.network_id = n.id and p.device_owner = 'network:dhcp' order by p.id limit 1) as dhcp,
    (select p.status from ports p where p.network_id = n.id and p.device_owner = 'network:dhcp'
      order by p.id limit 1) as dhcp_status,
    (select coalesce(json_agg(b.host order by b.host), '[]') from dhcp_bindings b where b.network_id = n.id) as served_on,
    (${WIRES}) as wires
  from networks n where n.id = any($1::uuid[])
    or n.id in (select b.network_id from dhcp_bindings b where b.host = any($2::text[]))`

/** The networks with these ids, and those whose DHCP these hosts are to serve; without a domain they have `dnsDomain`. */
export async function readNetworks(
  database: Database,
  dnsDomain: string,
  ids: readonly string[],
  hosts: readonly string[] = [],
): Promise<ReadonlyMap<string, NetworkRow>> {
  const rows = await database.query<NetworkRow>(NETWORKS, [ids, hosts, dnsDomain])
  return new Map(rows.map((row) => [row.id, row]))
}

const ROUTER_PORT = `json_build_object(
  'port_id', p.id, 'network_id', p.network_id, 'mac_address', p.mac_address, 'admin_state_up', p.admin_state_up,
  'fixed_ips', (select coalesce(json_agg(json_build_object(
      'subnet_id', s.id, 'ip_address', f.fixed->>'ip_address', 'prefix_length', masklen(s.cidr)) order by f.n), '[]')
    from jsonb_array_elements(p.fixed_ips) with ordinality f (fixed, n) join subnets s on s.id = (f.fixed->>'subnet_id')::uuid))`
const GATEWAY = "'network:router_gateway'"

const ROUTERS = `
  select r.id, r.revision_number as generation, r.project_id, r.name, r.admin_state_up, r.distributed, r.routes,
    r.enable_snat,
    (select coalesce(json_agg(${ROUTER_PORT} order by p.id), '[]')
      from ports p where p.router_id = r.id and p.device_owner <> ${GATEWAY}) as interfaces,
    (select ${ROUTER_PORT} from ports p where p.router_id = r.id and p.device_owner = ${GATEWAY}) as gateway,
    (select coalesce(json_agg(b.host order by b.slot), '[]') from router_bindings b where b.router_id = r.id) as hosts,
    (select coalesce(json_agg(p.status), '[]') from ports p where p.router_id = r.id) as statuses
  from routers r where r.id = any($1::uuid[])
    or r.id in (select b.router_id from router_bindings b where b.host = any($2::text[]))
    or r.id in (select p.router_id from ports p
      where p.router_id is not null and p.device_owner <> ${GATEWAY} and p.network_id = any($3::uuid[]))`

/** The routers with these ids, those placed on these hosts, and those with an interface in these networks. */
export async function readRouters(
  database: Database,
  ids: readonly string[],
  hosts: readonly string[],
  networks: readonly string[],
): Promise<ReadonlyMap<string, RouterRow>> {
  const rows = await database.query<RouterRow>(ROUTERS, [ids, hosts, networks])
  return new Map(rows.map((row) => [row.id, row]))
}

/** A rule that names an address group is, for hosts, one rule for each of its prefixes of the rule's IP version. */
const RULES = `
  select r.id, null as prefix, r.remote_ip_prefix as remote from security_group_rules r
    where r.security_group_id = g.id and r.remote_address_group_id is null
  union all select r.id, a.prefix, a.prefix from security_group_rules r
    join address_groups n on n.id = r.remote_address_group_id, jsonb_array_elements_text(n.addresses) a (prefix)
    where r.security_group_id = g.id and 'IPv' || family(a.prefix::cidr) = r.ethertype`

const GROUPS = `
  select g.id, g.revision_number as generation, g.stateful,
    (select coalesce(json_agg(json_build_object(
        'id', concat_ws(' ', r.id, x.prefix), 'direction', r.direction, 'ethertype', r.ethertype, 'protocol', r.protocol,
        'port_range_min', r.port_range_min, 'port_range_max', r.port_range_max,
        'remote_ip_prefix', x.remote, 'remote_group_id', r.remote_group_id) order by r.id, x.prefix), '[]')
      from (${RULES}) x join security_group_rules r on r.id = x.id) as rules
  from security_groups g where g.id = any($1::uuid[])
    or g.id in (select r.security_group_id from security_group_rules r where r.remote_address_group_id = any($2::uuid[]))`

/** The groups with these ids, and those whose rules name one of the address groups. */
export async function readGroups(
  database: Database,
  ids: readonly string[],
  addressGroups: readonly string[] = [],
): Promise<ReadonlyMap<string, GroupRow>> {
  const rows = await database.query<GroupRow>(GROUPS, [ids, addressGroups])
  return new Map(rows.map((row) => [row.id, row]))
}

const CHASSIS = `
  with below as (
    select b.host, max(t.configurations->>'tunnel_ip') as tunnel_ip
      from agents t, jsonb_object_keys(case when jsonb_typeof(t.configurations->'ports') = 'object'
        then t.configurations->'ports' else '{}' end) b (host)
      where t.agent_type = 'Hardware VTEP agent' and b.host = any($1::text[]) group by b.host)
  select h.host, coalesce((select max(a.configurations->>'tunneling_ip') from agents a where a.host = h.host),
      (select b.tunnel_ip from below b where b.host = h.host)) as tunnel_ip
    from unnest($1::text[]) h (host)`

/** Tunnel addresses by host: its own, else that of the ToR it is below; null where there is neither. */
export async function readChassis(
  database: Database,
  hosts: readonly string[],
): Promise<ReadonlyMap<string, string | null>> {
  const rows = await database.query<{ host: string; tunnel_ip: string | null }>(CHASSIS, [hosts])
  return new Map(rows.map(({ host, tunnel_ip }) => [host, tunnel_ip]))
}

export interface Horizon {
  /** Everything committed so far lies below this transaction. */
  readonly xmax: bigint
  /** The last row of the change log so far. */
  readonly position: string
  /** What agents call each era, by its number: the millisecond in which it began. */
  readonly eras: Readonly<Record<string, string>>
}

/** What an agent that says hello now must be told at least. Its place is a row's, for only those outlive a crash. */
export async function readHorizon(database: Database): Promise<Horizon> {
  const [row] = await database.query<{ xmax: string; position: string; eras: Record<string, string> }>(
    `select pg_snapshot_xmax(pg_current_snapshot())::text as xmax,
       (select concat(n.era, '.', coalesce(last.xid::text, '0'), '.', coalesce(last.seq, 0))
         from (select max(era) as era from eras) n left join lateral (
           select c.xid, c.seq from change c where c.era = n.era order by c.xid desc, c.seq desc limit 1) last on true) as position,
       (select coalesce(jsonb_object_agg(era, (extract(epoch from began_at) * 1000)::bigint::text), '{}') from eras) as eras`,
  )
  if (!row) throw new Error('PostgreSQL gave no snapshot')
  return { ...row, xmax: BigInt(row.xmax) }
}
