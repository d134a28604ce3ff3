/**
 * What a binding depends on, read in one statement, for one host or for many; and what follows from it for one port.
 * One host's is read ahead where it can be: it travels with the lock of the port that is about to be bound.
 */
import type { BindingRequest } from '#model/context.ts'
import type { Transaction } from '#store/transaction.ts'
import type { BindableSegment, BoundAgent } from '../contracts.ts'
import type { OutsideAnswer, PlanFacts } from './plan.ts'

/** How ToRs are known among the agents. */
export const TOR_AGENT = 'Hardware VTEP agent'

const AGENT = `t.id, t.host, t.agent_type, t.configurations, t.heartbeat_timestamp,
  t.refused is null and t.heartbeat_timestamp > now() - current_setting('deuteron.agent_down_time')::interval as alive`

/** The network is named itself, or by a port of it. */
const groundOf = (agents: string): string => `select n.project_id,
    (select coalesce(json_agg(s order by s.segment_index), '[]') from (
      select id, network_type, physical_network, segmentation_id, segment_index, is_dynamic
      from network_segments where network_id = n.id) s) as segments,
    (select coalesce(json_agg(a order by a.agent_type), '[]') from (select ${AGENT} from agents t where ${agents}) a) as agents,
    (select coalesce(json_agg(a order by a.host), '[]') from (
      select ${AGENT} from agents t where t.agent_type = '${TOR_AGENT}') a) as tors,
    (select coalesce(json_object_agg(s.id, s.segment_id), '{}') from subnets s
      where s.network_id = n.id and s.segment_id is not null) as places
  from networks n where n.id = coalesce($1::uuid, (select p.network_id from ports p where p.id = $2::uuid))`

const OF_HOSTS = groundOf('t.host = any($3::text[])')
const OF_ALL = groundOf(`$3::text[] is null and t.agent_type <> '${TOR_AGENT}'`)

/** What bindings on a network stand on. */
export interface Ground {
  /** Whose network it is: segmentation ids are drawn for it. */
  readonly project_id: string
  readonly segments: readonly (BindableSegment & { readonly is_dynamic: boolean })[]
  readonly agents: readonly BoundAgent[]
  readonly tors: readonly BoundAgent[]
  /** Segment by subnet, of the subnets that stand on one. */
  readonly places: Readonly<Record<string, string>>
}

/** A network, or the port whose network is meant. */
export type At = { readonly network_id: string } | { readonly port_id: string }

/** Null hosts: all that have agents. A network that is gone has no segments. */
export async function readGround(tx: Transaction, at: At, hosts: readonly string[] | null): Promise<Ground> {
  const [network, port] = 'network_id' in at ? [at.network_id, null] : [null, at.port_id]
  const params = [network, port, hosts]
  const [row] = await tx.query<Ground & Record<string, unknown>>(hosts ? OF_HOSTS : OF_ALL, params)
  return row ?? NOTHING
}

const NOTHING: Ground = { project_id: '', segments: [], agents: [], tors: [], places: {} }

/** What is known of one port's binding on each of the hosts, in this order; null: on all with agents, by name. */
export function factsOf(
  { segments, agents, tors, places }: Ground,
  request: Omit<BindingRequest, 'host'>,
  hosts: readonly string[] | null,
  outside: ReadonlyMap<string, OutsideAnswer>,
): ReadonlyMap<string, PlanFacts> {
  const { id, network_id, vnic_type, device_owner, profile, fixed_ips, leaves } = request
  const common = {
    port: {
      id,
      network_id,
      vnic_type,
      device_owner,
      profile,
      addressed: fixed_ips.length > 0,
      ...(leaves && { leaves }),
    },
    segments: segments.filter((one) => !one.is_dynamic).map(bare),
    dynamic: segments.filter((one) => one.is_dynamic).map(bare),
    tors,
    addressedOn: standingOf(places, fixed_ips),
    exhausted: [],
    outside,
  }
  const byHost = Map.groupBy(agents, (one) => one.host)
  const names = hosts ?? [...byHost.keys()].sort()
  return new Map(names.map((host) => [host, { ...common, host, agents: byHost.get(host) ?? [] }]))
}

/** The segments that the addresses are of; null: one of them may be anywhere, or there is none. */
function standingOf(places: Ground['places'], fixed_ips: BindingRequest['fixed_ips']): readonly string[] | null {
  const standing = fixed_ips.flatMap(({ subnet_id }) => (subnet_id ? [places[subnet_id]] : []))
  return standing.length === 0 || standing.includes(undefined) ? null : [...new Set(standing as readonly string[])]
}

const bare = ({ id, network_type, physical_network, segmentation_id }: BindableSegment): BindableSegment => ({
  id,
  network_type,
  physical_network,
  segmentation_id,
})
