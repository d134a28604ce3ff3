/**
 * What drivers promise. Type drivers know one kind of segment; mechanism drivers propose how a port is bound on a
 * host. Both are pure: they see facts and answer values; storing, allocating and retrying are core's.
 */
import type { ApiError } from '#kernel/errors.ts'
import type { Context, IdRange, LeftBinding, Segment, SegmentRange, SegmentSpec } from '#model/context.ts'
import type { Draft, Write } from '#model/define.ts'

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

/** An agent as binding sees it. ToRs have agents too, of type `Hardware VTEP agent`. */
export interface BoundAgent {
  readonly id: string
  readonly host: string
  readonly agent_type: string
  readonly alive: boolean
  /** RFC 3339. */
  readonly heartbeat_timestamp: string
  readonly configurations: Readonly<Record<string, unknown>>
}

/** A segment a binding can stand on. Null id: it would be made for the binding, its segmentation id not drawn yet. */
export interface BindableSegment extends Omit<Segment, 'id'> {
  readonly id: string | null
  /** Of one that would be made: ids not to be drawn for it. */
  readonly without?: readonly IdRange[]
}

/** The port as it is wanted, as far as a binding may depend on it. */
export interface BindablePort {
  readonly id: string
  readonly network_id: string
  readonly vnic_type: string
  readonly device_owner: string
  readonly profile: Readonly<Record<string, unknown>>
  /** It has a fixed IP: without one only drivers of connectivity `l2` are asked. */
  readonly addressed: boolean
  /** The binding it leaves in a live migration that its profile spoke of (`migrating_to`). */
  readonly leaves?: LeftBinding
}

/** All that a driver may know when it is asked about one segment. */
export interface BindingFacts {
  readonly port: BindablePort
  readonly host: string
  /** 0 is the outermost; what the host's switch uses is the last. */
  readonly level: number
  readonly segment: BindableSegment
  /** The agents of the host. */
  readonly agents: readonly BoundAgent[]
  /** The agents of ToRs, wherever they are. */
  readonly tors: readonly BoundAgent[]
}

/** Reasons whose meaning and remedy are documented; a driver from outside may have others and brings a remedy along. */
export type RefusalReason =
  | 'vnic_unsupported'
  | 'agent_absent'
  | 'agent_dead'
  | 'physnet_not_mapped'
  | 'tunnel_type_unsupported'
  | 'segment_type_unsupported'
  | 'connectivity_unsuitable'
  | 'segment_not_of_fixed_ips'
  | 'device_not_found'
  | 'source_differs'
  | 'tor_absent'
  | 'tor_unreachable'
  | 'tor_not_configured'
  | 'segment_ids_exhausted'
  | 'provider_not_responsible'
  | 'driver_failed'
  | 'driver_timed_out'
  | 'contention'
  | 'loop'
  | 'too_many_levels'

export interface Refusal {
  readonly refused: RefusalReason | (string & {})
  readonly facts: Readonly<Record<string, unknown>>
  /** What to do about it, in one sentence; the documented reasons have theirs in core. */
  readonly remedy?: string
}

/** A segment that a driver wants below it: the one there is for the network, or one to be made. */
export interface Wish {
  readonly network_type: string
  readonly physical_network: string | null
  /** Ids that a new one is not to have: somebody else uses them there. */
  readonly without?: readonly IdRange[]
}

export type BindingAnswer =
  /** The port is bound on this segment. `bound_drivers` is added by core. */
  | { readonly vif_type: string; readonly vif_details: Readonly<Record<string, unknown>> }
  /** Carries the port up to here; the next level stands on one of these segments, found or made for the network. */
  | { readonly next: readonly Wish[] }
  | Refusal

/**
 * Binds ports to hosts. Drivers are asked in the configured order, each about the segments one after another. A driver
 * only proposes: it writes nothing, and whatever must be done elsewhere reads the change log (`follow`).
 */
export interface MechanismDriver {
  readonly name: string
  /** `l2` binds ports without addresses too. */
  readonly connectivity: 'l2' | 'l3' | 'legacy'
  /** The `vnic_type`s it can bind, where it says so: settings that forbid some are checked against it. */
  readonly vnicTypes?: readonly string[]
  /** Pure: what is wrong with a port as it is being written. */
  check?(write: Write): readonly ApiError[]
  /** In the port's transaction, before its row is written. */
  inTx?(context: Context, write: Write): Promise<void>
  /**
   * Pure: is what the port claimed of Placement (`allocation` in its profile) this driver's? A port with a claim is
   * bound by the one driver that says so. Absent: never.
   */
  responsible?(facts: BindingFacts): boolean
  /** Pure and quick. Proposes a binding on this segment, or says why it cannot. */
  bind(facts: BindingFacts, outside: unknown): BindingAnswer
  /**
   * For drivers whose answer depends on another system: asked outside any transaction, at most `ASK_LIMIT_MS`. What it
   * answers (JSON) is handed to `bind` as `outside`, and counts only for exactly the facts it was asked about, apart
   * from the times of heartbeats. `bind` is called before, without: what it refuses then needs no asking.
   */
  ask?(facts: BindingFacts): Promise<unknown>
  /**
   * Told of every change of ports and bindings once it is committed: at least once, in order for each object. One that
   * fails, or has not answered when `signal` aborts, is told the same change again; what it does then counts no more.
   */
  follow?(change: BindingChange, signal: AbortSignal): Promise<void>
}

/** A committed change of a port, a binding in waiting, a network or a segment. */
export interface BindingChange {
  readonly kind: string
  readonly id: string
  readonly op: 'create' | 'update' | 'delete'
  readonly generation: number
  readonly before: Readonly<Draft> | null
  readonly after: Readonly<Draft> | null
}
