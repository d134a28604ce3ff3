/** What a binding depends on, read in one statement, for one host or for many. */
import type { BindingRequest } from '#model/context.ts'
import type { Transaction } from '#store/transaction.ts'
import type { BindableSegment, BoundAgent } from '../contracts.ts'
import type { OutsideAnswer, PlanFacts } from './plan.ts'

/** How ToRs are known among the agents. */
export const TOR_AGENT = 'Hardware VTEP agent'

const AGENT = `t.id, t.host, t.agent_type, t.configurations, t.heartbeat_timestamp,
  t.refused is null and t.heartbeat_timestamp > now() - current_setting('deuteron.agent_down_time')::interval as alive`

const factsOf = (agents: string): string => `select n.project_id,
    (select coalesce(json_agg(s order by s.segment_index), '[]') from (
      select id, network_type, physical_network, segmentation_id, segment_index, is_dynamic
      from network_segments where network_id = n.id) s) as segments,
    (select coalesce(json_agg(a order by a.agent_type), '[]') from (select ${AGENT} from agents t where ${agents}) a) as agents,
    (select coalesce(json_agg(a order by a.host), '[]') from (
      select ${AGENT} from agents t where t.agent_type = '${TOR_AGENT}') a) as tors,
    (select coalesce(json_agg(s.segment_id), '[]') from subnets s where s.id = any($3::uuid[])) as standing
  from networks n where n.id = $1`

const OF_HOSTS = factsOf('t.host = any($2::text[])')
const OF_ALL = factsOf(`$2::text[] is null and t.agent_type <> '${TOR_AGENT}'`)

interface Row {
  readonly project_id: string
  readonly segments: readonly (BindableSegment & { readonly is_dynamic: boolean })[]
  readonly agents: readonly BoundAgent[]
  readonly tors: readonly BoundAgent[]
  /** Segments of the subnets of its addresses; null: on none. */
  readonly standing: readonly (string | null)[]
}

export interface NetworkFacts {
  /** Whose network it is: segmentation ids are drawn for it. */
  readonly project_id: string
  /** By host, in the order asked for; else by name. */
  readonly byHost: ReadonlyMap<string, PlanFacts>
}

/** Null hosts: all that have agents. A network that is gone has no segments. */
export async function readFacts(
  tx: Transaction,
  request: Omit<BindingRequest, 'host'>,
  hosts: readonly string[] | null,
  outside: ReadonlyMap<string, OutsideAnswer>,
): Promise<NetworkFacts> {
  const { id, network_id, vnic_type, device_owner, profile, fixed_ips } = request
  const subnets = [...new Set(fixed_ips.flatMap((one) => one.subnet_id ?? []))]
  const [row] = await tx.query<Row & Record<string, unknown>>(hosts ? OF_HOSTS : OF_ALL, [network_id, hosts, subnets])
  const { project_id, segments, agents, tors, standing } = row ?? EMPTY
  const common = {
    port: { id, network_id, vnic_type, device_owner, profile, addressed: fixed_ips.length > 0 },
    segments: segments.filter((one) => !one.is_dynamic).map(bare),
    dynamic: segments.filter((one) => one.is_dynamic).map(bare),
    tors,
    addressedOn: standing.length === 0 || standing.includes(null) ? null : (standing as readonly string[]),
    exhausted: [],
    outside,
  }
  const byHost = Map.groupBy(agents, (one) => one.host)
  const names = hosts ?? [...byHost.keys()].sort()
  return {
    project_id,
    byHost: new Map(names.map((host) => [host, { ...common, host, agents: byHost.get(host) ?? [] }])),
  }
}

const EMPTY: Row = { project_id: '', segments: [], agents: [], tors: [], standing: [] }

const bare = ({ id, network_type, physical_network, segmentation_id }: BindableSegment): BindableSegment => ({
  id,
  network_type,
  physical_network,
  segmentation_id,
})
