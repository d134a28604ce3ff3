/**
 * What a hook may do inside its operation's transaction. The types stand here, the implementation is core's.
 */
import type { Caller } from '#kernel/caller.ts'
import type { Draft, Limits, Resource } from './define.ts'

/** Equality filter on stored attributes; an array means any of them. */
export type Where = Readonly<Record<string, string | number | boolean | null | readonly (string | number)[]>>

/** Locks are held to the end of the transaction. */
export type Lock = 'none' | 'share' | 'update'

export interface AddressRequest {
  readonly subnet_id?: string
  readonly ip_address?: string
  /** Gives up the addresses in the subnet, automatic ones too. */
  readonly delete_subnet?: boolean
}
export interface FixedIp {
  readonly subnet_id: string
  readonly ip_address: string
}

/** The owner of addresses, as IPAM needs to know it. */
export interface AddressOwner {
  readonly port_id: string
  readonly network_id: string
  readonly mac_address: string
  readonly device_owner: string
  /** Where it is, if that is known: on routed networks its addresses follow from it. */
  readonly host?: string
}

export interface SegmentSpec {
  readonly network_type: string | null
  readonly physical_network: string | null
  readonly segmentation_id: number | null
  /** With a physical network: ids that are not to be drawn, though they are free here. */
  readonly without?: readonly IdRange[]
}
/** Segmentation ids, inclusive. */
export type IdRange = readonly [first: number, last: number]
export interface Segment {
  readonly id: string
  readonly network_type: string
  readonly physical_network: string | null
  readonly segmentation_id: number | null
}

/** Segmentation ids, inclusive, that networks of a project (null: of any) may draw. */
export interface SegmentRange {
  readonly network_type: string
  readonly physical_network: string | null
  readonly project_id: string | null
  readonly minimum: number
  readonly maximum: number
}

/** A port as it is to be bound. */
export interface BindingRequest {
  readonly id: string
  readonly network_id: string
  readonly host: string
  readonly vnic_type: string
  readonly device_owner: string
  readonly profile: Readonly<Record<string, unknown>>
  readonly fixed_ips: readonly { readonly subnet_id?: string }[]
  /** Where it migrates from. */
  readonly leaves?: LeftBinding
}
export interface LeftBinding {
  readonly host: string
  readonly vif_type: string
  readonly vif_details: Readonly<Record<string, unknown>>
}
export interface BindingLevel {
  /** 0 is the outermost. */
  readonly level: number
  readonly driver: string
  readonly segment_id: string
}
/** A segment in an answer about binding; null id: it would be made. */
export type BindingSegment = Omit<Segment, 'id'> & { readonly id: string | null }

/** A driver asked about a segment. */
export interface BindingAttempt {
  readonly level: number
  readonly driver: string
  readonly segment: BindingSegment
  /** `continued`: it carries the port, another driver is needed below. */
  readonly result: 'bound' | 'continued' | 'refused'
  /** Null unless it refused. */
  readonly reason: string | null
  readonly facts: Readonly<Record<string, unknown>>
  /** Of a driver with reasons of its own. */
  readonly remedy?: string
}
export interface BindingFailure {
  /** Since when it fails like this, RFC 3339. */
  readonly at: string
  readonly host: string
  readonly attempts: readonly BindingAttempt[]
}
export interface BindingResult {
  readonly vif_type: string
  readonly vif_details: Readonly<Record<string, unknown>>
  /** Empty unless it is bound to a host. */
  readonly levels: readonly BindingLevel[]
  /** Null unless it is refused. */
  readonly failure: BindingFailure | null
}
/** A binding looked at without being made. */
export interface BindingLook {
  readonly host: string
  readonly vif_type: string
  readonly levels: readonly { readonly level: number; readonly driver: string; readonly segment: BindingSegment }[]
  readonly attempts: readonly BindingAttempt[]
}

export interface Context {
  readonly caller: Caller
  /** The operation's instant, RFC 3339 UTC, whole seconds. */
  readonly now: string
  /** A random address below the configured base. */
  newMac(): string
  /** The object, or undefined; sees what this transaction wrote. */
  load(resource: string, id: string, lock?: Lock): Promise<Readonly<Draft> | undefined>
  find(resource: string, where: Where): Promise<readonly Readonly<Draft>[]>
  /** What `find` would give is known, until something is written: it need not be asked. */
  know(resource: string, where: Where, objects: readonly Readonly<Draft>[]): void
  /** The projects that own the objects `find` would give: one statement, however many objects there are. */
  owners(resource: string, where: Where): Promise<ReadonlySet<string>>
  /** Does the policy's rule hold for the caller and this target? */
  allows(rule: string, target: Readonly<Draft>): boolean
  readonly limits: Limits
  /** An administrator, by the rule `context_is_admin`. */
  readonly isAdmin: boolean
  /** The object as the caller sees it: without what policy hides, `shared` worked out. */
  shown(resource: string, object: Readonly<Draft>): Draft
  /** Those of the objects that exist and that the caller may see. */
  visible(resource: string, ids: readonly string[]): Promise<readonly Readonly<Draft>[]>
  /**
   * Writes another object in this transaction: its own hooks run, policy does not; quota counts it without refusing,
   * unless the caller is charged for it.
   */
  create(resource: Resource, values: Draft, options?: { readonly charged?: boolean }): Promise<Readonly<Draft>>
  /** `create` without waiting for the object: whatever is asked or written next finds it. */
  add(resource: Resource, values: Draft, options?: { readonly charged?: boolean }): Promise<void>
  update(resource: Resource, id: string, values: Draft): Promise<Readonly<Draft>>
  remove(resource: Resource, id: string): Promise<void>
  /**
   * Runs in this transaction once the object being written stands in its table, with all objects of that write as hooks
   * decided them. Of several with the same key the first runs, and speaks for them all.
   */
  afterWrite(task: (written: readonly Readonly<Draft>[]) => Promise<void>, key?: string): void
  readonly ipam: {
    /** So many ports of the network are about to ask for any address: they are drawn together. */
    expect(networkId: string, ports: number): void
    /** Is an address of the subnet left that nobody has to name? */
    anyLeft(subnetId: string): Promise<boolean>
    /** Every address once; throws IpAddressGenerationFailure, InvalidIpForNetwork, InvalidIpForSubnet, IpAddressAlreadyAllocated. */
    allocate(owner: AddressOwner, requests: readonly AddressRequest[] | undefined): Promise<readonly FixedIp[]>
    /** Keeps what `requests` names again, and automatic addresses; takes what is new, gives back the rest. */
    change(
      owner: AddressOwner,
      held: readonly FixedIp[],
      requests: readonly AddressRequest[],
    ): Promise<readonly FixedIp[]>
    release(portId: string, held: readonly FixedIp[]): Promise<void>
    /** Makes a subnet's addresses allocatable: inclusive ranges, minus those already held. */
    setPools(subnetId: string, pools: readonly { readonly start: string; readonly end: string }[]): Promise<void>
    /**
     * Nobody takes or gives back addresses of the subnet, or of the network's subnets, until the end of the transaction.
     * Who takes addresses locks the pool first and the network last: so does whoever ends either.
     */
    closePools(where: { readonly id: string } | { readonly network_id: string }): void
    /** A subnet that goes, its pools closed, has none. */
    dropPools(subnetId: string): void
    /** The same for a subnet that is being made: nobody has addresses of it yet. */
    newPools(subnetId: string, pools: readonly { readonly start: string; readonly end: string }[]): void
  }
  /** What is free of subnet pools. The pool's row must be locked for update. */
  readonly prefixes: {
    /** The first free prefix of this length, out of the smallest free block; undefined: there is none. */
    take(poolId: string, length: number): Promise<string | undefined>
    /** False: not all of it is free. */
    takeExactly(poolId: string, prefix: string): Promise<boolean>
    giveBack(poolId: string, prefix: string): Promise<void>
    /** Makes these the pool's prefixes: free is what its subnets do not have. */
    reset(poolId: string, prefixes: readonly string[]): Promise<void>
    /** What the project's subnets have of the pool, in prefixes of `unit` bits. */
    used(poolId: string, projectId: string, unit: number): Promise<number>
  }
  readonly segments: {
    /** Reserves a segment: with the id asked for, or any of the project's or the common ones. */
    reserve(spec: SegmentSpec, projectId: string): Promise<Omit<Segment, 'id'>>
    /** An id is still to be drawn for it. */
    isPartial(spec: SegmentSpec): boolean
    /** Would a segment of this kind be reserved now, with any id? */
    anyLeft(
      spec: Pick<Segment, 'network_type' | 'physical_network'> & Pick<SegmentSpec, 'without'>,
      projectId: string,
    ): Promise<boolean>
    /** The largest MTU a network on these segments may have, tunnel overhead taken off. */
    maxMtu(segments: readonly Omit<Segment, 'id' | 'segmentation_id'>[]): number
    /** Gives the ids back. */
    release(segments: readonly Omit<Segment, 'id'>[]): Promise<void>
    /**
     * Makes the pools of a kind of segment anew, with `changed` in place of the range of this id (null: without it).
     * Answers the ids that segments of the kind hold; nobody takes or gives back until the end of the transaction.
     */
    remakePools(
      kind: Pick<SegmentRange, 'network_type' | 'physical_network'>,
      id: string,
      changed: Pick<SegmentRange, 'project_id' | 'minimum' | 'maximum'> | null,
    ): Promise<readonly number[]>
  }
  readonly binding: {
    /** A port, or one of a network, is about to be bound on the host: what that depends on is asked for now. */
    expect(at: { readonly port_id: string } | { readonly network_id: string }, host: string): void
    /** The segments that subnets of the port's network stand on, by subnet; those that stand on none are not in it. */
    places(port: Pick<BindingRequest, 'id' | 'network_id' | 'host'>): Promise<Readonly<Record<string, string>>>
    /**
     * Asks the mechanism drivers; never throws for a refused binding: vif_type says binding_failed. Makes the segments
     * the binding needs; whoever does not store its levels gives them to `release`.
     */
    bind(request: BindingRequest): Promise<BindingResult>
    /** These levels are given up in this operation: what was made for bindings and has no user left at its end goes. */
    release(levels: readonly BindingLevel[]): void
    /**
     * Looks again at a port that is bound to a host, or fails to be: a failure is tried anew, a binding that does not
     * hold any more moves to where it would be made now, and stays when that is nowhere. Answers whether it changed.
     */
    rebind(portId: string): Promise<boolean>
    /** What `bind` would answer for each of these hosts, all hosts with agents by default. Writes nothing. */
    look(request: Omit<BindingRequest, 'host'>, hosts: readonly string[] | null): Promise<readonly BindingLook[]>
  }
  /**
   * What is being written may help ports whose binding failed: those on these hosts, of this network, or any. Once it
   * is committed they are bound anew, each by itself.
   */
  retryBindings(of: { readonly hosts?: readonly string[]; readonly network_id?: string }): Promise<void>
  /** What was asked for early, to travel with what is sent first: whoever needs it asks again, and hears of a failure. */
  ahead(asked: Promise<unknown>): void
  /** The project's default security group is about to be asked for: it is looked for now, and waited for then. */
  expectDefaultGroup(projectId: string): void
  /** The project's default security group, made when it is missing. Answers its id. */
  defaultSecurityGroup(projectId: string): Promise<string>
}
