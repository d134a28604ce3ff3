/** Port binding: asks the mechanism drivers in order, segment by segment, and takes the first proposal. */
import type { BindingRequest, BindingResult, Context, Segment } from '#model/context.ts'
import type { Transaction } from '#store/transaction.ts'
import type { BindingAnswer, BoundAgent, MechanismDriver } from './contracts.ts'

export interface Attempt {
  readonly driver: string
  readonly segment_id: string
  readonly answer: BindingAnswer
}

/** Pure: every driver on every segment until one proposes; the attempts made say why the others did not. */
export function attemptBinding(
  drivers: readonly MechanismDriver[],
  request: BindingRequest,
  segments: readonly Segment[],
  agents: readonly BoundAgent[],
): { readonly bound: BindingResult | null; readonly attempts: readonly Attempt[] } {
  const attempts: Attempt[] = []
  for (const driver of drivers) {
    for (const segment of segments) {
      const { id, network_id, host, vnic_type, device_owner } = request
      const port = { id, network_id, vnic_type, device_owner, profile: {}, addressed: true }
      const answer = driver.bind({ port, host, level: 0, segment, agents, tors: [] }, undefined)
      attempts.push({ driver: driver.name, segment_id: segment.id, answer })
      if ('vif_type' in answer) {
        const vif_details = { ...answer.vif_details, bound_drivers: { 0: driver.name } }
        return { bound: { ...answer, vif_details }, attempts }
      }
    }
  }
  return { bound: null, attempts }
}

export function createBinding(tx: Transaction, drivers: readonly MechanismDriver[]): Context['binding'] {
  return {
    bind: async (request) => {
      // The distributed DHCP server stands on every host that has ports of the network.
      if (request.device_owner === 'network:dhcp') return { vif_type: 'distributed', vif_details: {} }
      if (request.host === '') return { vif_type: 'unbound', vif_details: {} }
      const facts = await tx.query<{ segments: Segment[]; agents: BoundAgent[] }>(
        `select (select coalesce(json_agg(s order by s.segment_index), '[]') from network_segments s where s.network_id = $1) as segments,
          (select coalesce(json_agg(a), '[]') from (select t.id, t.host, t.agent_type, t.configurations, t.heartbeat_timestamp,
            t.refused is null and t.heartbeat_timestamp > now() - current_setting('deuteron.agent_down_time')::interval as alive
            from agents t where t.host = $2) a) as agents`,
        [request.network_id, request.host],
      )
      const { segments = [], agents = [] } = facts[0] ?? {}
      return attemptBinding(drivers, request, segments, agents).bound ?? { vif_type: 'binding_failed', vif_details: {} }
    },
  }
}
