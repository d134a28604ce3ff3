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
import { recordingView, type Sources, type View } from './view.ts'

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
  /** Why `unit` could not be compiled; it then wants no flow at all. Null when it could. */
  problemOf(unit: Unit): string | null
}

export interface Changed {
  /** Units that were compiled again. */
  readonly units: ReadonlySet<Unit>
  /** Slots in which something else is wanted now. */
  readonly slots: ReadonlySet<Slot>
}

export const BASE: Unit = 'base'

export const createDesired = (slotOf: SlotOf, version: number): Desired => new Compiled(slotOf, version)

class Compiled implements Desired {
  readonly flows = new Map<Slot, Flow>()
  readonly #slotOf: SlotOf
  readonly #version: number
  readonly #wanted = new Map<Slot, Map<Unit, Flow>>()
  readonly #slots = new Map<Unit, readonly Slot[]>()
  readonly #dependencies = createDependencies<Unit>()
  readonly #problems = new Map<Unit, string>()

  constructor(slotOf: SlotOf, version: number) {
    this.#slotOf = slotOf
    this.#version = version
  }

  change(sources: Sources, facts: Iterable<string>): Changed {
    const units = new Set<Unit>()
    for (const name of facts) {
      if (isUnit(name)) units.add(name)
      for (const reader of this.#dependencies.readersOf(name)) units.add(reader)
    }
    const slots = new Set<Slot>()
    for (const unit of units) this.#recompile(unit, sources, slots)
    for (const slot of slots) this.#settle(slot)
    return { units, slots }
  }

  slotsOf(unit: Unit): readonly Slot[] {
    return this.#slots.get(unit) ?? []
  }

  unitsOf(slot: Slot): readonly Unit[] {
    return [...(this.#wanted.get(slot)?.keys() ?? [])]
  }

  problemOf(unit: Unit): string | null {
    return this.#problems.get(unit) ?? null
  }

  #recompile(unit: Unit, sources: Sources, touched: Set<Slot>): void {
    const reads = new Set<string>()
    const fresh = this.#attempt(unit, recordingView(sources, reads))
    this.#dependencies.note(unit, reads)
    for (const slot of this.slotsOf(unit)) {
      if (fresh.has(slot)) continue
      this.#withdraw(unit, slot)
      touched.add(slot)
    }
    for (const [slot, flow] of fresh) {
      const here = this.#wanted.get(slot) ?? new Map<Unit, Flow>()
      if (here.get(unit)?.cookie !== flow.cookie) touched.add(slot)
      this.#wanted.set(slot, here.set(unit, flow))
    }
    if (fresh.size > 0) this.#slots.set(unit, [...fresh.keys()])
    else this.#slots.delete(unit)
  }

  /** An object that cannot be written as flows must not stop the others. */
  #attempt(unit: Unit, view: View): ReadonlyMap<Slot, Flow> {
    this.#problems.delete(unit)
    try {
      return new Map(compile(unit, view, this.#version).map((flow) => [this.#slotOf(flow), flow]))
    } catch (error) {
      this.#problems.set(unit, (error as Error).message)
      return new Map()
    }
  }

  #withdraw(unit: Unit, slot: Slot): void {
    const here = this.#wanted.get(slot)
    here?.delete(unit)
    if (here?.size === 0) this.#wanted.delete(slot)
  }

  #settle(slot: Slot): void {
    let winner: Flow | undefined
    for (const flow of this.#wanted.get(slot)?.values() ?? []) if (!winner || flow.cookie < winner.cookie) winner = flow
    if (winner) this.flows.set(slot, winner)
    else this.flows.delete(slot)
  }
}

const UNIT = /^(base$|(port|network|neighbor|chassis|security_group|group_member|dhcp_client)\/)/
const isUnit = (name: string): name is Unit => UNIT.test(name)
