/**
 * What drivers promise. Type drivers know one kind of segment; mechanism drivers propose how a port is bound on a
 * host. Both are pure: they see facts and answer values; storing, allocating and retrying are core's.
 */
import type { ApiError } from '#kernel/errors.ts'
import type { Segment, SegmentRange, SegmentSpec } from '#model/context.ts'

export interface TypeDriver {
  readonly type: string
  /** Bytes of encapsulation in an underlay packet beside the outer IP header; 0 where there is none. */
  readonly overhead: number
  /** The ranges of ids the configuration gives, inclusive. */
  readonly ranges: readonly Pick<SegmentRange, 'physical_network' | 'minimum' | 'maximum'>[]
  /** Where to draw an id when none is asked for, in this order; null: segments of this type have no ids. */
  readonly tenantPools: readonly { readonly physical_network: string | null }[] | null
  /** What is wrong with a wish. `ranged`: physical networks that stored ranges make known. */
  check(spec: SegmentSpec, ranged: readonly string[]): readonly ApiError[]
  /** The error for a segment that another network has. */
  taken(spec: SegmentSpec): ApiError
}

export interface BoundAgent {
  readonly id: string
  readonly host: string
  readonly agent_type: string
  readonly alive: boolean
  readonly heartbeat_timestamp: string
  readonly configurations: Readonly<Record<string, unknown>>
}

export interface BindingFacts {
  readonly port_id: string
  readonly host: string
  readonly vnic_type: string
  readonly segment: Segment
  /** The agents of the host. */
  readonly agents: readonly BoundAgent[]
}

export type RefusalReason =
  | 'vnic_unsupported'
  | 'agent_absent'
  | 'agent_dead'
  | 'physnet_not_mapped'
  | 'tunnel_type_unsupported'

export type BindingAnswer =
  | { readonly vif_type: string; readonly vif_details: Readonly<Record<string, unknown>> }
  | { readonly refused: RefusalReason; readonly facts: Readonly<Record<string, unknown>> }

export interface MechanismDriver {
  readonly name: string
  /** Proposes a binding on this segment, or says why it cannot. */
  bind(facts: BindingFacts): BindingAnswer
}
