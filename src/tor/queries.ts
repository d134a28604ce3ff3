/** What the ToRs' reconciler reads: networks with ports behind ToRs, and what is known of the ToRs themselves. */
import { TOR_AGENT } from '#drivers/mechanism/vtep/driver.ts'
import type { Database } from '#store/pool.ts'
import type { Known } from './report.ts'
import { NAME_AND_VNI, type Span } from './spans.ts'

/**
 * Bindings with their levels, active ones and, without a MAC, those that wait: also where a port has just left, until it
 * stands where it went.
 */
const boundIn = (networks: string, deep: (levels: string) => string): string => `
  select p.network_id, p.mac_address::text as mac, p.binding_host as host, p.binding_levels as levels
    from ports p where ${networks} and ${deep('p.binding_levels')}
  union all select p.network_id, null, w.host, w.levels
    from port_bindings w join ports p on p.id = w.port_id where ${networks} and ${deep('w.levels')}
      and (w.vif_type <> 'unbound' or p.status <> 'ACTIVE')`

const isBehindTor = (levels: string): string =>
  `jsonb_array_length(${levels}) > 1 and ${levels} -> 0 ->> 'driver' = 'vtep'`
const isOnSegment = (levels: string): string => `${levels} -> 0 ->> 'segment_id' = n.segment_id::text`

/** A segment's name at ToRs: the network's id, with the VNI behind it unless it is the network's first VXLAN. */
const NAME = `case when s.id = (select f.id from network_segments f where f.network_id = n.network_id
    and f.network_type = 'vxlan' and not f.is_dynamic order by f.segment_index, f.id limit 1)
  then n.network_id::text else concat(n.network_id, '${NAME_AND_VNI}', s.segmentation_id) end`

/** One statement, so that it shows all networks at one moment. */
const SPANS = `
  with spanned as (
    select distinct b.network_id, (b.levels -> 0 ->> 'segment_id')::uuid as segment_id
      from (${boundIn('($1::uuid[] is null or p.network_id = any($1))', isBehindTor)}) b)
  select n.network_id as id, ${NAME} as name, s.segmentation_id as vni,
    (select jsonb_agg(jsonb_build_object('mac', b.mac, 'host', b.host, 'physical_network', v.physical_network,
        'vlan', v.segmentation_id, 'tunnel_ip', a.configurations ->> 'tunneling_ip') order by b.mac, b.host)
      from (${boundIn('p.network_id = n.network_id', isOnSegment)}) b
        left join network_segments v on v.id = (b.levels -> 1 ->> 'segment_id')::uuid
        left join agents a on a.host = b.host and a.agent_type = 'Open vSwitch agent') as ports
  from spanned n join network_segments s on s.id = n.segment_id`

/** Of these networks (null: of all) the VXLAN segments with a port behind a ToR, or one expected there. */
export const readSpans = (database: Database, networks: readonly string[] | null): Promise<Span[]> =>
  database.query<Span & Record<string, unknown>>(SPANS, [networks])

/** What was said of ToRs when they were last seen, by name. */
export async function readKnown(database: Database): Promise<Map<string, Known>> {
  const rows = await database.query<Known & { host: string }>(
    `select host, configurations ->> 'tunnel_ip' as tunnel_ip,
        coalesce(configurations -> 'foreign_vlans', '[]') as foreign_vlans
      from agents where agent_type = $1`,
    [TOR_AGENT],
  )
  return new Map(rows.map(({ host, ...known }) => [host, known]))
}
