/** What to do to the flows of a bridge so that they become the wanted ones. Pure. */
import type { Flow } from '#protocol/openflow/flow.ts'
import { isOurs } from './cookie.ts'
import type { Slot } from './desired.ts'

/** A flow as it stands on a bridge. */
export interface SeenFlow {
  readonly table: number
  readonly cookie: bigint
  /** What it does, in the switch's bytes; absent when we wrote it on this connection and nobody touched it. */
  readonly instructions?: string
}

export interface FlowPlan {
  /** Missing or different; one add does both, and a replaced flow keeps its counters. */
  readonly add: ReadonlyMap<Slot, Flow>
  readonly remove: ReadonlyMap<Slot, SeenFlow>
}

/** Whether a flow that stands is the wanted one. */
export type Same = (wanted: Flow, seen: SeenFlow) => boolean

/**
 * Wanted flows that stand are left untouched. Removed is only what is ours by its cookie and unwanted, and nothing at
 * all before the world is in sync. `slots` restricts the plan to these; without it all of both maps is compared.
 */
export function planFlows(
  want: ReadonlyMap<Slot, Flow>,
  seen: ReadonlyMap<Slot, SeenFlow>,
  same: Same,
  inSync: boolean,
  slots?: Iterable<Slot>,
): FlowPlan {
  const add = new Map<Slot, Flow>()
  const remove = new Map<Slot, SeenFlow>()
  for (const slot of slots ?? new Set([...want.keys(), ...seen.keys()])) {
    const flow = want.get(slot)
    const there = seen.get(slot)
    if (flow && !(there && same(flow, there))) add.set(slot, flow)
    if (!flow && there && inSync && isOurs(there.cookie)) remove.set(slot, there)
  }
  return { add, remove }
}

/** Changes `seen` as carrying out `plan` changes the bridge. */
export function noteCarriedOut(seen: Map<Slot, SeenFlow>, { add, remove }: FlowPlan): Map<Slot, SeenFlow> {
  for (const slot of remove.keys()) seen.delete(slot)
  for (const [slot, { table, cookie }] of add) seen.set(slot, { table, cookie })
  return seen
}

export const isEmpty = ({ add, remove }: FlowPlan): boolean => add.size === 0 && remove.size === 0
