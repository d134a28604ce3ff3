/**
 * ToRs as operators and binding see them: each an agent of type `Hardware VTEP agent`, alive while its database is
 * connected. A heartbeat alone is no change; what is said of the ToR is.
 */
import { SYSTEM } from '#core/hosts/agents.ts'
import { type Core, operateInternally } from '#core/operation.ts'
import { TOR_AGENT, type TorConfigurations } from '#drivers/mechanism/vtep/driver.ts'
import type { TorProblem } from '#drivers/mechanism/vtep/plan.ts'
import type { TorStatus } from '#drivers/mechanism/vtep/tor.ts'
import { canonical } from '#drivers/mechanism/vtep/want.ts'
import type { Draft, Resource } from '#model/define.ts'
import { agent } from '#resources/agent.ts'
import type { TorSetting } from './spans.ts'

/** What a ToR's agent says of it in its configurations. */
export interface TorReport extends TorConfigurations {
  /** Where its database is: for whoever clears it once it is not configured any more. */
  readonly target: string
  /** Why its database is not connected; null while it is. */
  readonly unreachable: string | null
  /** Networks that are not, or not wholly, in the ToR. */
  readonly problems: readonly (TorProblem & {
    /** What an operator can do about it; absent while it is being mended. */
    readonly remedy?: string
  })[]
  readonly vlan_bindings: number
  readonly remote_macs: number
  /** When it was last compared with what is wanted, RFC 3339. */
  readonly reconciled_at: string | null
  readonly last_error: { readonly at: string; readonly message: string } | null
}

/** How it fares, which nothing depends on: a change of these alone is a heartbeat. */
const NEWS = ['vlan_bindings', 'remote_macs', 'reconciled_at', 'last_error'] as const satisfies (keyof TorReport)[]

/** Pure. What others may depend on. */
export const lasting = (report: TorReport): Readonly<Partial<TorReport>> =>
  Object.fromEntries(Object.entries(report).filter(([name]) => !(NEWS as readonly string[]).includes(name)))

/** Problems named in a row; there may be as many as networks. */
const NAMED = 20

/** Pure. `known` is what was last said of it, `remedies` belong to its problems. */
export function torReport(
  tor: TorSetting,
  status: TorStatus,
  known: Known,
  remedies: (problem: TorProblem) => string | undefined = () => undefined,
): TorReport {
  const own = status.switch?.tunnelIps[0]
  return {
    physical_network: tor.physicalNetwork,
    tunnel_ip: own === undefined ? known.tunnel_ip : canonical(own),
    switch: tor.switch,
    ports: tor.ports,
    target: tor.target,
    configured: true,
    foreign_vlans: status.switch ? foreignTo(tor, status.switch.foreign) : known.foreign_vlans,
    unreachable: status.state === 'unreachable' ? (status.reason ?? 'no connection') : null,
    problems: status.problems.slice(0, NAMED).map((problem) => {
      const remedy = remedies(problem)
      return remedy === undefined ? problem : { ...problem, remedy }
    }),
    vlan_bindings: status.held.vlanBindings,
    remote_macs: status.held.remoteMacs,
    reconciled_at: status.reconciledAt?.toISOString() ?? null,
    last_error: status.lastError && { at: status.lastError.at.toISOString(), message: status.lastError.message },
  }
}

/** What of a ToR is still believed while its database is away: it may well go on forwarding. */
export type Known = Pick<TorConfigurations, 'tunnel_ip' | 'foreign_vlans'>
export const UNKNOWN: Known = { tunnel_ip: null, foreign_vlans: [] }

/** Pure. The VLANs of others on ports that lead to hosts, as ranges in order. */
export function foreignTo(
  { ports }: Pick<TorSetting, 'ports'>,
  foreign: Readonly<Record<string, readonly number[]>>,
): TorConfigurations['foreign_vlans'] {
  const all = new Set(Object.values(ports).flatMap((port) => foreign[port] ?? []))
  const ranges: [number, number][] = []
  for (const vlan of [...all].toSorted((a, b) => a - b)) {
    const last = ranges.at(-1)
    if (last && last[1] + 1 === vlan) last[1] = vlan
    else ranges.push([vlan, vlan])
  }
  return ranges
}

/** Of one that is new, back, or says something else, others must hear: that is a change. */
const HEARTBEAT = `update agents set heartbeat_timestamp = now(), configurations = $3::jsonb
  where host = $1 and agent_type = $2 and configurations - $4::text[] = $3::jsonb - $4::text[] and refused is null
  and heartbeat_timestamp > now() - current_setting('deuteron.agent_down_time')::interval returning 1`

/** Before it was ever connected it was not heard of since then. */
const NEVER = '1970-01-01T00:00:00Z'

/** Says it; alive it is as of now, unless it is unreachable: then its last heartbeat stays. */
export async function storeReport(core: Core, host: string, report: TorReport, startedAt: string): Promise<void> {
  const alive = report.unreachable === null
  const beat = [host, TOR_AGENT, JSON.stringify(report), NEWS]
  if (alive && (await core.database.query(HEARTBEAT, beat)).length > 0) return
  await operateInternally(core, SYSTEM, `agent ${host}`, async ({ context }) => {
    const [known] = await context.find('agent', { host, agent_type: TOR_AGENT })
    const facts: Draft = { configurations: report, ...(alive && { heartbeat_timestamp: context.now }) }
    if (known) await context.update(agent as unknown as Resource, String(known['id']), facts)
    else await context.create(agent as unknown as Resource, { ...fixed(host, startedAt), ...facts })
  })
}

const UNCONFIGURED = `select id, host, configurations from agents
  where agent_type = $1 and not host = any($2::text[]) order by host`

/**
 * ToRs that are known and not configured (any more): each is dead from now on, and says so. They keep what they hold.
 * Answers all of them as they were configured.
 */
export async function retire(core: Core, configured: readonly string[]): Promise<TorSetting[]> {
  const params = [TOR_AGENT, configured]
  const rows = await core.database.query<{ id: string; host: string; configurations: Partial<TorReport> }>(
    UNCONFIGURED,
    params,
  )
  for (const { id, host, configurations } of rows.filter((row) => row.configurations.configured !== false))
    await operateInternally(core, SYSTEM, `agent ${host}`, ({ context }) =>
      context.update(agent as unknown as Resource, id, {
        configurations: { ...configurations, configured: false, unreachable: 'not in the settings', problems: [] },
        heartbeat_timestamp: NEVER,
      }),
    )
  return rows.map(({ host, configurations: { target = '', physical_network = '', switch: own = '', ports = {} } }) => ({
    name: host,
    target,
    physicalNetwork: physical_network,
    switch: own,
    ports,
  }))
}

const fixed = (host: string, started_at: string): Draft => ({
  host,
  agent_type: TOR_AGENT,
  binary: 'deuteron-server',
  topic: 'N/A',
  availability_zone: null,
  admin_state_up: true,
  description: null,
  resources_synced: null,
  started_at,
  heartbeat_timestamp: NEVER,
})
