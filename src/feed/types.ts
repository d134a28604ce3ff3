/**
 * What the feed needs from the rest of the server, as narrow interfaces: a source of changes, and effects that are
 * operations of their own. `bin/server.ts` wires both.
 */

/** One row of the change log; the feed takes it as a hint that an object is dirty, never as its state. */
export interface ChangeRow {
  readonly kind: string
  readonly id: string
  readonly before: Readonly<Record<string, unknown>> | null
  readonly after: Readonly<Record<string, unknown>> | null
}

/**
 * The change log, read behind the fence. Every committed row arrives exactly once, in order of (xid, seq), never
 * before all earlier transactions have ended. `position` is `era.xid.seq` (see `wire/position.ts`).
 */
export interface ChangeSource {
  /** Delivers batches one at a time, awaiting `onBatch`; ends when closed. */
  run(onBatch: (rows: readonly ChangeRow[], position: string) => Promise<void>): Promise<void>
  position(): string
  /** Resolves when every row of transactions below `xmax` has been delivered and its `onBatch` has resolved. */
  waitUntil(xmax: bigint): Promise<void>
  close(): void | Promise<void>
}

export interface AgentReport {
  readonly host: string
  readonly configurations: Readonly<Record<string, unknown>>
  /** RFC 3339. */
  readonly started_at: string
}

/** A port, and the host that speaks of it. */
export interface PortAt {
  readonly id: string
  readonly host: string
}

/** API-visible consequences of what hosts say. All are idempotent: they may be called again after a failure. */
export interface FeedEffects {
  /**
   * Takes a heartbeat: the host's agent is alive, refused no longer, and created when new. A change row is written
   * only when something changed that others depend on, such as the tunnel address. Never called twice at once for
   * one host by one feed.
   */
  agentReported(report: AgentReport): Promise<unknown>
  /** The flows of these ports are proven on their binding host (`up`), or are not in place any more. */
  portsRealized(ports: readonly PortAt[], up: boolean): Promise<unknown>
  /** All that these ports need stands on a host where they are expected, or does not any more. */
  portsAwaited(ports: readonly PortAt[], ready: boolean): Promise<unknown>
  /** Hosts said something new of these networks, stored by now: their DHCP may be served, or not any more. */
  networksRealized(ids: readonly string[]): Promise<unknown>
  /** Hosts said something new of these routers, stored by now: they may stand, or not any more. */
  routersRealized(ids: readonly string[]): Promise<unknown>
}
