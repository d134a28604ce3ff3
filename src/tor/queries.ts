/** What the ToRs' reconciler reads: networks with ports behind ToRs, and what is known of the ToRs themselves. */
import { TOR_AGENT } from '#drivers/mechanism/vtep/driver.ts'
import type { Database } from '#store/pool.ts'
import type { Span } from './spans.ts'

/** One statement, so that it shows all networks at one moment. A network on several VXLANs: the first that a ToR carries. */
const SPANS = `
  with spanned as (
    select p.network_id, (array_agg(s.id order by s.segment_index, s.id))[1] as segment_id
      from ports p join network_segments s on s.id = (p.binding_levels -> 0 ->> 'segment_id')::uuid
      where jsonb_array_length(p.binding_levels) > 1 and p.binding_levels -> 0 ->> 'driver' = 'vtep'
        and ($1::uuid[] is null or p.network_id = any($1))
      group by p.network_id)
  select n.network_id as id, s.segmentation_id as vni,
    (select jsonb_agg(jsonb_build_object('mac', p.mac_address::text, 'host', p.binding_host,
        'physical_network', b.physical_network, 'vlan', b.segmentation_id,
        'tunnel_ip', a.configurations ->> 'tunneling_ip') order by p.mac_address)
      from ports p
        left join network_segments b on b.id = (p.binding_levels -> 1 ->> 'segment_id')::uuid
        left join agents a on a.host = p.binding_host and a.agent_type = 'Open vSwitch agent'
      where p.network_id = n.network_id and p.binding_levels -> 0 ->> 'segment_id' = n.segment_id::text) as ports
  from spanned n join network_segments s on s.id = n.segment_id`

/** Of these networks (null: of all) those with a port behind a ToR. */
export const readSpans = (database: Database, networks: readonly string[] | null): Promise<Span[]> =>
  database.query<Span & Record<string, unknown>>(SPANS, [networks])

/** The tunnel addresses that ToRs had when they were last seen, by name. */
export async function readTunnelIps(database: Database): Promise<Readonly<Record<string, string>>> {
  const rows = await database.query<{ host: string; tunnel_ip: string }>(
    `select host, configurations ->> 'tunnel_ip' as tunnel_ip from agents
      where agent_type = $1 and configurations ->> 'tunnel_ip' is not null`,
    [TOR_AGENT],
  )
  return Object.fromEntries(rows.map(({ host, tunnel_ip }) => [host, tunnel_ip]))
}
