/**
 * What an agent asks of a data plane. Implementations: `ovs` (Open vSwitch + Linux) and `sim` (memory).
 *
 * The agent owns the world, decides when it is in sync and which keys are dirty, and reports outcomes upwards. A data
 * plane turns the world into host state and keeps it there: it never talks to a server and remembers nothing but
 * what the host itself stores (and ids that must be stable, on disk).
 */
import type { Realization } from '#wire/realization.ts'
import type { WireKey, World } from '#wire/objects.ts'

/** What this host can do; sent in the agent's heartbeat as Neutron's `configurations`. */
export interface Capabilities {
  readonly datapath: 'ovs' | 'sim'
  readonly tunnel_types: readonly ('vxlan' | 'geneve' | 'gre')[]
  /** Physical network → bridge. */
  readonly bridge_mappings: Readonly<Record<string, string>>
  readonly tunneling_ip: string | null
  readonly vnic_types: readonly string[]
  readonly datapath_type: string
  /** Which bridge virtual machines are plugged into. */
  readonly integration_bridge: string
  /** Jobs this host does beside switching, with what clients read of each. */
  readonly services: {
    readonly dhcp?: { readonly dhcp_driver: string }
    /** `dvr_snat`: it routes between ports here, and may have the outside of routers. */
    readonly l3?: { readonly agent_mode: 'dvr_snat' | 'dvr' | 'legacy' }
  }
}

export interface DataplaneEvents {
  /** Something on the host changed that concerns these keys (a VM was plugged, a foreign hand deleted a flow). */
  dirty(keys: readonly WireKey[]): void
  /** Realizations that came about outside `reconcile` (repairs, plugs). */
  realized(reports: readonly Realization[]): void
  /** The data plane cannot go on (OVS gone for good, another agent took over): the agent exits with this sentence. */
  fatal(message: string): void
}

export interface Dataplane {
  readonly capabilities: Capabilities
  /** Connects, reads back what stands on the host, takes ownership marks; touches nothing. */
  start(events: DataplaneEvents): Promise<void>
  /**
   * Brings the host in line with `world` for these keys. Called with every key of the world once after start, then
   * with what changed. `inSync` false: nothing that is ours may be removed yet; additions are fine, and a port stays
   * closed while something it refers to is missing. Answers what is now realized; the reports are true when they are
   * made: flows are proven by a barrier, the DHCP server answers.
   */
  reconcile(world: World, keys: readonly WireKey[], inSync: boolean): Promise<readonly Realization[]>
  /** Stops watching. Leaves everything on the host as it is. */
  stop(): Promise<void>
}
