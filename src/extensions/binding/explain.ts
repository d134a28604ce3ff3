/** Why a port is bound as it is, or not: what was tried last, and what trying now would give. */
import type { BindingAttempt, BindingFailure, BindingLevel, BindingLook, BindingSegment } from '#model/context.ts'
import type { Context, Draft } from '#model/define.ts'
import { type Port, requestOf } from '#resources/port.ts'
import { isDistributedOwner } from '#resources/standard.ts'
import { nearest, remedyOf } from './remedies.ts'

/** An attempt as it is answered: with its remedy, and how old heartbeats were when it was made. */
export interface ExplainedAttempt extends Omit<BindingAttempt, 'remedy'> {
  readonly remedy: string | null
}

/** Pure. `at`: when the attempts were made, RFC 3339. */
export const explained = (attempts: readonly BindingAttempt[], host: string, at: string): ExplainedAttempt[] =>
  attempts.map((one) => ({ ...one, facts: withAge(one.facts, at), remedy: remedyOf(one, host) }))

/** An error's detail says so much; its facts say all. */
const MOST_LINES = 20

/** Who refused what and why, and what to do about it: a line for each, what to mend first at the top. Pure. */
export function refusalsInWords(attempts: readonly ExplainedAttempt[]): string {
  const first = nearest(attempts)
  const ordered = first ? [first, ...attempts.filter((one) => one !== first)] : []
  const lines = ordered.flatMap(({ driver, level, segment, result, reason, remedy }) =>
    result === 'refused'
      ? [`${driver} on ${inWords(segment)}${level > 0 ? `, level ${level}` : ''}: ${reason}. ${remedy ?? ''}`.trim()]
      : [],
  )
  const more = lines.length - MOST_LINES
  return [...lines.slice(0, MOST_LINES), ...(more > 0 ? [`… and ${more} more.`] : [])].join('\n')
}

const inWords = ({ network_type, physical_network, segmentation_id }: BindingSegment): string =>
  [network_type, physical_network, segmentation_id].filter((one) => one !== null).join(' ')

function withAge(facts: BindingAttempt['facts'], at: string): BindingAttempt['facts'] {
  const { last_heartbeat } = facts
  return typeof last_heartbeat === 'string' ? { ...facts, heartbeat_age_seconds: ageOf(last_heartbeat, at) } : facts
}

/** Whole seconds, never less than none: clocks of hosts differ. */
const ageOf = (then: string, at: string): number => Math.max(0, Math.floor((Date.parse(at) - Date.parse(then)) / 1000))

export async function explain(context: Context, object: Readonly<Draft>): Promise<Draft> {
  const port = object as unknown as Port
  const host = port['binding:host_id']
  const distributed = isDistributedOwner(port.device_owner, host)
  const asked = host !== '' && !distributed
  const levels = await segmentsOf(context, port['binding:levels'])
  return {
    port_id: port.id,
    network_id: port.network_id,
    host,
    vnic_type: port['binding:vnic_type'],
    vif_type: port['binding:vif_type'],
    status: port.status,
    levels,
    last: lastOf(port, levels, levels.length > 0 ? await boundAt(context, port.id) : null),
    fresh: asked ? await freshOf(context, port) : null,
    agents: asked ? await agentsOf(context, host) : [],
    ...(distributed && { hosts: await hostsOf(context, port.id) }),
  }
}

type ShownLevel = BindingLook['levels'][number]

async function segmentsOf(context: Context, levels: readonly BindingLevel[]): Promise<readonly ShownLevel[]> {
  if (levels.length === 0) return []
  const found = await context.find('segment', { id: levels.map((one) => one.segment_id) })
  const byId = new Map(found.map((one) => [one['id'], one as unknown as BindingSegment]))
  return levels.map(({ level, driver, segment_id }) => {
    const { network_type = '', physical_network = null, segmentation_id = null } = byId.get(segment_id) ?? {}
    return { level, driver, segment: { id: segment_id, network_type, physical_network, segmentation_id } }
  })
}

/** Null: before the change log begins. */
async function boundAt(context: Context, id: string): Promise<unknown> {
  const [found] = await context.find('bound_port', { id })
  return found?.['bound_at'] ?? null
}

/**
 * When it was tried, for which host, and what came of it. Of a binding that was made only the way that led to it is
 * kept, its drivers and segments; of one that failed, every answer.
 */
function lastOf(port: Port, levels: readonly ShownLevel[], bound_at: unknown): Draft {
  const failure = port['binding:failure'] as BindingFailure | null
  if (failure) {
    const { at, host } = failure
    return { at, host, result: 'failed', attempts: explained(failure.attempts, host, at) }
  }
  const attempts = levels.map(
    (one): ExplainedAttempt => ({
      ...one,
      result: one.level === levels.length - 1 ? 'bound' : 'continued',
      reason: null,
      facts: {},
      remedy: null,
    }),
  )
  const result = levels.length > 0 ? 'bound' : port['binding:vif_type']
  return { at: bound_at, host: port['binding:host_id'], result, attempts }
}

async function freshOf(context: Context, port: Port): Promise<Draft> {
  const host = port['binding:host_id']
  const [look] = await context.binding.look(requestOf(port), [host])
  return look ? { at: context.now, ...shownLook(look, context.now) } : {}
}

/** What a look at a host gave, as it is answered. */
export const shownLook = ({ host, vif_type, levels, attempts }: BindingLook, at: string) => ({
  result: levels.length > 0 ? 'bound' : 'failed',
  vif_type,
  levels,
  attempts: explained(attempts, host, at),
})

/** What the host's agents say of it, as far as bindings depend on it. */
async function agentsOf(context: Context, host: string): Promise<readonly Draft[]> {
  const agents = await context.find('agent', { host })
  return agents.map(({ id, agent_type, alive, admin_state_up, heartbeat_timestamp, configurations }) => {
    const { bridge_mappings, device_mappings, interface_mappings, tunnel_types } = configurations as Draft
    const last = `${String(heartbeat_timestamp).replace(' ', 'T')}Z`
    return {
      id,
      agent_type,
      alive,
      admin_state_up,
      heartbeat_age_seconds: ageOf(last, context.now),
      ...given({ bridge_mappings, device_mappings, interface_mappings, tunnel_types }),
    }
  })
}

const given = (values: Readonly<Draft>): Draft =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined))

/** Where a port that stands on many hosts really stands. */
async function hostsOf(context: Context, port_id: string): Promise<readonly Draft[]> {
  const rows = await context.find('distributed_port_host', { port_id })
  return rows
    .map(({ host, status, generation, reported_at, message }) => ({ host, status, generation, reported_at, message }))
    .toSorted((a, b) => (String(a.host) < String(b.host) ? -1 : 1))
}
