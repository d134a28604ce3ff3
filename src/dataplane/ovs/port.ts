/** The narrow access to the host that the engine works through; tests put memory in its place. */
import type { Flow } from '#protocol/openflow/flow.ts'
import type { Announcement } from './announce.ts'
import type { WantedSwitch } from './bridge-plan.ts'
import type { Slot, SlotOf } from './desired.ts'
import type { FlowPlan, SeenFlow } from './plan.ts'
import type { LocalView } from './view.ts'

/** Flows of the integration bridge. */
export interface Flows {
  readonly slotOf: SlotOf
  /** What a flow does, comparable with what is read back. */
  readonly instructionsOf: (flow: Flow) => string
  /** Resolves when there is a connection; rejects with one sentence when there is none within a few seconds. */
  ready(): Promise<void>
  /** Every flow that stands, foreign ones too. */
  readBack(): Promise<Map<Slot, SeenFlow>>
  /**
   * One atomic bundle, proven by a barrier when this resolves. A flow the switch refuses is left out and answered
   * with the switch's reason; the rest stands.
   */
  carryOut(plan: FlowPlan): Promise<ReadonlyMap<Slot, string>>
  /** Empties these conntrack zones. */
  forgetConnections(zones: readonly number[]): Promise<void>
  /** Sends these frames. */
  announce(frames: readonly Announcement[]): Promise<void>
  /** A new connection: nothing that was known of the bridge's flows holds any more. */
  onUp(listener: () => void): void
  /** Somebody else removed (null), changed or added these flows. */
  onForeign(listener: (changes: ReadonlyMap<Slot, SeenFlow | null>) => void): void
  close(): Promise<void>
}

/** Bridges, ports and interfaces in the switch database. */
export interface Switch {
  /** Ports of the integration bridge that have an OpenFlow number now. */
  local(): LocalView
  /**
   * Makes the database hold `want` and waits until its ports are open. Answers the names of what had to be written,
   * and what stands in the way, one sentence each.
   */
  ensure(want: WantedSwitch, inSync: boolean): Promise<Ensured>
  /** Makes the switch open these ports of ours anew: their devices went away without its notice. */
  renew(names: readonly string[], want: WantedSwitch): Promise<void>
  /** Called after each change of what `ensure` and `local` look at. */
  onChange(listener: () => void): () => void
  close(): Promise<void>
}

export interface Ensured {
  readonly touched: readonly string[]
  readonly conflicts: readonly string[]
}
