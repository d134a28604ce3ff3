/** What to do to the flows of a bridge so that they become the wanted ones. Pure. */
import type { Flow } from '#protocol/openflow/flow.ts'
import { isOurs } from './cookie.ts'
import type { Slot } from './desired.ts'

/** A flow as it stands on a bridge; the cookie stands for its actions. */
export type SeenFlow = Omit<Flow, 'actions'>

export interface FlowPlan {
  /** Missing, or standing with another cookie: one add does both, and a replaced flow keeps its counters. */
  readonly add: readonly Flow[]
  readonly remove: readonly SeenFlow[]
}

/**
 * Wanted flows that stand are left untouched. Removed is only what is ours by its cookie and unwanted, and nothing at
 * all before the world is in sync. `slots` restricts the plan to these; without it all of both maps is compared.
 */
export function planFlows(
  want: ReadonlyMap<Slot, Flow>,
  seen: ReadonlyMap<Slot, SeenFlow>,
  inSync: boolean,
  slots?: Iterable<Slot>,
): FlowPlan {
  const add: Flow[] = []
  const remove: SeenFlow[] = []
  for (const slot of slots ?? new Set([...want.keys(), ...seen.keys()])) {
    const flow = want.get(slot)
    const there = seen.get(slot)
    if (flow && flow.cookie !== there?.cookie) add.push(flow)
    if (!flow && there && inSync && isOurs(there.cookie)) remove.push(there)
  }
  return { add, remove }
}

/** Changes `seen` as carrying out `plan` changes the bridge. */
export function noteCarriedOut(
  seen: Map<Slot, SeenFlow>,
  plan: FlowPlan,
  slotOf: (flow: SeenFlow) => Slot,
): Map<Slot, SeenFlow> {
  for (const flow of plan.remove) seen.delete(slotOf(flow))
  for (const flow of plan.add) seen.set(slotOf(flow), flow)
  return seen
}

export const isEmpty = ({ add, remove }: FlowPlan): boolean => add.length === 0 && remove.length === 0
