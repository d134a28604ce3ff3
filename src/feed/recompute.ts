/**
 * The oracle: what a host is to have, from SQL alone and in one snapshot, following the definition and not the
 * topics. Whatever the feed has told an agent, after convergence it must equal this.
 *
 * The closure of a host: its bound ports, and those expected on it; their networks, and those whose DHCP it serves; every port bound elsewhere
 * in those networks, and the chassis of the hosts these are on or expected on; the routers placed on it, and those with an interface in those
 * networks; the security groups of its ports; the members of every group those name as remote; the ports that no switch
 * carries on the segments whose wire it serves.
 */
import type { Database } from '#store/pool.ts'
import type { PortObject, WireKey, WireObject } from '#wire/objects.ts'
import {
  clientObject,
  expectedObject,
  type GroupRow,
  groupObject,
  hostOf,
  hostsOf,
  memberObject,
  type NetworkRow,
  neighborObject,
  networkObject,
  type PortRow,
  portObject,
  type RouterRow,
  remotesOf,
  routerObject,
  servedOn,
  wiresOf,
} from './derive.ts'
import { createItem, type Item } from './item.ts'
import {
  deviceOf,
  expectedOn,
  expects,
  readChassis,
  readGroups,
  readNetworks,
  readRouters,
  segmentIds,
} from './queries.ts'

const BOUND = `p.binding_host <> '' and p.binding_vif_type not in ('unbound', 'binding_failed') and p.device_owner <> 'network:dhcp'`
const ROW = `jsonb_build_object('id', p.id, 'network_id', p.network_id, 'generation', p.revision_number, 'mac_address', p.mac_address,
  'admin_state_up', p.admin_state_up, 'status', p.status, 'device_owner', p.device_owner, 'fixed_ips', p.fixed_ips,
  'security_group_ids', p.security_group_ids, 'port_security_enabled', p.port_security_enabled,
  'allowed_address_pairs', p.allowed_address_pairs, 'dns_name', p.dns_name, 'extra_dhcp_opts', p.extra_dhcp_opts,
  'binding_host', p.binding_host, 'expected_on', ${expectedOn('p')},
  'binding_vif_type', p.binding_vif_type, 'binding_vnic_type', p.binding_vnic_type,
  'binding_device', ${deviceOf('p.binding_', 'p')}, 'binding_segment_ids', ${segmentIds('p.binding_levels')})`
const CLOSURE = `
  with mine as (select p.* from ports p where p.binding_host = $1 and ${BOUND} or exists (
      select from port_bindings b where b.port_id = p.id and b.host = $1 and ${expects('p')})),
    near as (select network_id from mine union select b.network_id from dhcp_bindings b where b.host = $1),
    remote as (
      select distinct r.remote_group_id as id from security_group_rules r
      where r.remote_group_id is not null and r.security_group_id in (select unnest(security_group_ids) from mine))
  select
    (select coalesce(jsonb_agg(${ROW}), '[]') from mine p) as ports,
    (select coalesce(jsonb_agg(network_id), '[]') from near) as networks,
    (select coalesce(jsonb_agg(${ROW}), '[]') from ports p
      where p.network_id in (select network_id from near) and p.binding_host <> $1 and ${BOUND}) as neighbors,
    (select coalesce(jsonb_agg(jsonb_build_object('group', g.id, 'port', ${ROW})), '[]')
      from remote g join ports p on g.id = any(p.security_group_ids)) as members,
    (select coalesce(jsonb_agg(${ROW}), '[]') from ports p
      where p.network_id in (select network_id from near) and not (${BOUND} and p.binding_vif_type in ('ovs', 'vhostuser', 'tap'))
        and p.device_owner not like 'network:%' and p.fixed_ips <> '[]') as unswitched`

interface Closure {
  readonly ports: readonly PortRow[]
  readonly networks: readonly string[]
  readonly neighbors: readonly PortRow[]
  readonly members: readonly { readonly group: string; readonly port: PortRow }[]
  /** In its networks, wherever. */
  readonly unswitched: readonly PortRow[]
}

/** By key; `dnsDomain` is the server's setting. Reads in several statements: compare only while nobody writes. */
export async function recompute(
  database: Database,
  host: string,
  dnsDomain: string,
): Promise<ReadonlyMap<WireKey, WireObject>> {
  const [closure] = await database.query<Record<keyof Closure, never>>(CLOSURE, [host])
  const { ports, networks: near, neighbors, members, unswitched } = closure as unknown as Closure
  const networks = await readNetworks(database, dnsDomain, near)
  const routers = await readRouters(database, [], [host], near)
  const groups = await readGroups(database, [...new Set(ports.flatMap(({ security_group_ids }) => security_group_ids))])
  const bound = [...neighbors, ...ports].filter((row) => hostOf(row) !== null)
  const hosts = [...new Set(bound.flatMap(hostsOf))].filter((one) => one !== host)
  const chassis = await readChassis(database, hosts)
  const items: Item[] = [
    ...ports.map((row) => createItem('port', objectFor(row, host))),
    ...[...networks.values()].map((row: NetworkRow) => createItem('network', networkObject(row))),
    ...neighbors.map((row) => createItem('neighbor', neighborObject(row, row.binding_host))),
    ...hosts.map((id) => createItem('chassis', { id, tunnel_ip: chassis.get(id) ?? null })),
    ...[...routers.values()].map((row: RouterRow) => createItem('router', routerObject(row))),
    ...[...groups.values()].map((row: GroupRow) => createItem('security_group', groupObject(row))),
    ...members.map(({ group, port }) => createItem('group_member', memberObject(port, group))),
    ...unswitched.flatMap((row) => clientsFor(row, host, networks.get(row.network_id) ?? null)),
  ]
  assertClosed(items)
  return new Map(items.map(({ key, object }) => [key, object]))
}

function objectFor(row: PortRow, host: string): PortObject {
  const expected = row.expected_on.find((one) => one.host === host)
  return expected ? expectedObject(row, expected) : portObject(row)
}

function clientsFor(row: PortRow, host: string, network: NetworkRow | null): Item[] {
  const segments = servedOn(row, wiresOf(network), host)
  const object = segments.length > 0 ? clientObject(row, segments) : null
  return object ? [createItem('dhcp_client', object)] : []
}

/** The closure has no loose ends: every remote group's members were asked for. */
function assertClosed(items: readonly Item[]): void {
  const groups = items.filter((item): item is Item<'security_group'> => item.key.startsWith('security_group/'))
  const remotes = new Set(groups.flatMap(({ object }) => [...remotesOf(object)]))
  const loose = items.find(
    (item) =>
      item.key.startsWith('group_member/') && !remotes.has((item as Item<'group_member'>).object.security_group_id),
  )
  if (loose) throw new Error(`${loose.key} is in the closure and no rule names its group`)
}
