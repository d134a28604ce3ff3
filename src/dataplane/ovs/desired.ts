/**
 * The flows this host should have, kept up to date fact by fact.
 *
 * Each unit (an object of the world, or the base) is compiled through a view that notes what it read; a changed fact
 * compiles its readers again and nobody else. Two units may want the very same flow (one address brought to a group by
 * two ports): it stands once, under the lower cookie, for as long as either wants it. The result depends on the
 * sources alone, never on the order in which they changed.
 */
import type { Flow } from '#protocol/openflow/flow.ts'
import { compile, type Unit } from './compile/index.ts'
import { createDependencies } from './dependencies.ts'
import { recordingView, type Sources } from './view.ts'

/** Where a flow stands: table, priority and canonical match. Two flows never share a slot on a bridge. */
export type Slot = string
export type SlotOf = (flow: Flow) => Slot

export interface Desired {
  /** The flow wanted in each slot. */
  readonly flows: ReadonlyMap<Slot, Flow>
  /** Compiles again what read one of `facts` (names as in relations.ts and view.ts). */
  change(sources: Sources, facts: Iterable<string>): Changed
  /** The slots `unit` has a part in. */
  slotsOf(unit: Unit): readonly Slot[]
  /** The units that want what stands in `slot`. */
  unitsOf(slot: Slot): readonly Unit[]
}

export interface Changed {
  /** Units that were compiled again. */
  readonly units: ReadonlySet<Unit>
  /** Slots in which something else is wanted now. */
  readonly slots: ReadonlySet<Slot>
}

export const BASE: Unit = 'base'

export function createDesired(slotOf: SlotOf, version: number): Desired {
  const flows = new Map<Slot, Flow>()
  const wanted = new Map<Slot, Map<Unit, Flow>>()
  const slots = new Map<Unit, readonly Slot[]>()
  const dependencies = createDependencies<Unit>()

  const withdraw = (unit: Unit, slot: Slot): void => {
    const here = wanted.get(slot)
    here?.delete(unit)
    if (here?.size === 0) wanted.delete(slot)
  }

  const recompile = (unit: Unit, sources: Sources, touched: Set<Slot>): void => {
    const seen = new Set<string>()
    const fresh = new Map(compile(unit, recordingView(sources, seen), version).map((flow) => [slotOf(flow), flow]))
    dependencies.note(unit, seen)
    for (const slot of slots.get(unit) ?? []) {
      if (fresh.has(slot)) continue
      withdraw(unit, slot)
      touched.add(slot)
    }
    for (const [slot, flow] of fresh) {
      const here = wanted.get(slot) ?? new Map<Unit, Flow>()
      if (here.get(unit)?.cookie !== flow.cookie) touched.add(slot)
      wanted.set(slot, here.set(unit, flow))
    }
    if (fresh.size > 0) slots.set(unit, [...fresh.keys()])
    else slots.delete(unit)
  }

  const settle = (slot: Slot): void => {
    let winner: Flow | undefined
    for (const flow of wanted.get(slot)?.values() ?? []) if (!winner || flow.cookie < winner.cookie) winner = flow
    if (winner) flows.set(slot, winner)
    else flows.delete(slot)
  }

  return {
    flows,
    change: (sources, facts) => {
      const units = new Set<Unit>()
      for (const name of facts) {
        if (isUnit(name)) units.add(name)
        for (const reader of dependencies.readersOf(name)) units.add(reader)
      }
      const touched = new Set<Slot>()
      for (const unit of units) recompile(unit, sources, touched)
      for (const slot of touched) settle(slot)
      return { units, slots: touched }
    },
    slotsOf: (unit) => slots.get(unit) ?? [],
    unitsOf: (slot) => [...(wanted.get(slot)?.keys() ?? [])],
  }
}

const UNIT = /^(base$|(port|network|neighbor|chassis|security_group|group_member)\/)/
const isUnit = (name: string): name is Unit => UNIT.test(name)
