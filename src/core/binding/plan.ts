/**
 * How a port is bound on a host: pure. Level by level the drivers are asked in the configured order, each about the
 * segments one after another, as Neutron's ML2 does; the first that binds ends it, one that only carries the port leads
 * a level deeper. Every question asked is an attempt with its answer, so that "why not?" needs no second look.
 */
import type { BindingAttempt, BindingLevel, BindingSegment } from '#model/context.ts'
import type {
  BindableSegment,
  BindablePort,
  BindingAnswer,
  BindingFacts,
  BoundAgent,
  MechanismDriver,
  Refusal,
  Wish,
} from '../contracts.ts'

export const MAX_LEVELS = 10

/** What another system said to a driver that has to ask, or why it said nothing. */
export type OutsideAnswer = { readonly said: unknown } | Refusal

export interface PlanFacts {
  readonly port: BindablePort
  readonly host: string
  /** The network's own segments, in their order. */
  readonly segments: readonly BindableSegment[]
  /** Those made for bindings. */
  readonly dynamic: readonly BindableSegment[]
  readonly agents: readonly BoundAgent[]
  readonly tors: readonly BoundAgent[]
  /** The segments its addresses are of; null: any. */
  readonly addressedOn: readonly string[] | null
  /** Wishes for which no segmentation id is left. */
  readonly exhausted: readonly Wish[]
  /** By `questionOf`. */
  readonly outside: ReadonlyMap<string, OutsideAnswer>
}

/** A level as planned: its segment may still have to be made. */
export interface PlannedLevel {
  readonly driver: string
  readonly segment: BindableSegment
}

export interface Asked {
  readonly driver: MechanismDriver
  readonly facts: BindingFacts
}

export type Plan = { readonly attempts: readonly BindingAttempt[] } & (
  | {
      readonly result: 'bound'
      readonly levels: readonly PlannedLevel[]
      readonly vif_type: string
      readonly vif_details: Readonly<Record<string, unknown>>
    }
  | { readonly result: 'failed' }
  /** A driver has to ask another system first. */
  | { readonly result: 'ask'; readonly asked: Asked }
)

export function planBinding(drivers: readonly MechanismDriver[], facts: PlanFacts): Plan {
  const attempts: BindingAttempt[] = []
  const end = bindLevel({ drivers, facts, attempts }, [], facts.segments, drivers, false)
  return { attempts, ...(end ?? { result: 'failed' }) }
}

interface Search {
  /** All that are configured. */
  readonly drivers: readonly MechanismDriver[]
  readonly facts: PlanFacts
  readonly attempts: BindingAttempt[]
}
type Bound = Extract<Plan, { result: 'bound' }>
/** What ends the search; undefined: nobody binds at this level. */
type End = Omit<Bound, 'attempts'> | { readonly result: 'ask'; readonly asked: Asked } | undefined

/** `settled`: these drivers are already what the port's claims on Placement leave. */
function bindLevel(
  search: Search,
  above: readonly PlannedLevel[],
  segments: readonly BindableSegment[],
  drivers: readonly MechanismDriver[],
  settled: boolean,
): End {
  for (const driver of drivers) {
    for (const segment of segments) {
      const note = (answer: Noted): void => void search.attempts.push(attemptOf(above.length, driver, segment, answer))
      const facts = factsFor(search.facts, above.length, segment)
      const answer =
        refusedBefore(search.facts, above, driver, segment) ?? answerOf(driver, facts, search.facts.outside)
      if ('ask' in answer) return { result: 'ask', asked: { driver, facts } }
      if ('refused' in answer) {
        note(answer)
        continue
      }
      const levels = [...above, { driver: driver.name, segment }]
      if ('next' in answer) {
        const below = segmentsBelow(search.facts, answer.next)
        note('refused' in below ? below : 'continued')
        if ('refused' in below) continue
        const end = descend(search, levels, below.segments, driver, segment)
        if (end) return end
        continue
      }
      const steered = settled ? null : steer(search, facts, driver)
      if (steered && 'refused' in steered) {
        note(steered)
        if (!steered.to) break
        // One that stands before this one has refused already.
        const rest = drivers.slice(drivers.indexOf(driver) + 1)
        return bindLevel(search, above, segments, rest.includes(steered.to) ? [steered.to] : [], true)
      }
      note('bound')
      return { result: 'bound', levels, vif_type: answer.vif_type, vif_details: answer.vif_details }
    }
  }
  return undefined
}

function descend(
  search: Search,
  levels: readonly PlannedLevel[],
  segments: readonly BindableSegment[],
  driver: MechanismDriver,
  segment: BindableSegment,
): End {
  if (levels.length < MAX_LEVELS) return bindLevel(search, levels, segments, search.drivers, false)
  const refusal = { refused: 'too_many_levels', facts: { most: MAX_LEVELS } }
  search.attempts.push(attemptOf(levels.length, driver, segment, refusal))
  return undefined
}

/** What can be said without the driver. */
function refusedBefore(
  { port, addressedOn }: PlanFacts,
  above: readonly PlannedLevel[],
  driver: MechanismDriver,
  segment: BindableSegment,
): Refusal | null {
  if (!port.addressed && driver.connectivity !== 'l2')
    return { refused: 'connectivity_unsuitable', facts: { connectivity: driver.connectivity, fixed_ips: 0 } }
  if (above.some((one) => one.driver === driver.name && keyOf(one.segment) === keyOf(segment)))
    return { refused: 'loop', facts: { level: above.findIndex((one) => one.driver === driver.name) } }
  // Addresses are of the network's own segments: what is below one of them only carries it.
  if (above.length === 0 && addressedOn !== null && !addressedOn.includes(segment.id ?? ''))
    return { refused: 'segment_not_of_fixed_ips', facts: { segments: addressedOn } }
  return null
}

/** Of two segments still to be made, those with the same physical network are one. */
const keyOf = ({ id, network_type, physical_network }: BindableSegment): string =>
  id ?? `new ${network_type} ${physical_network ?? ''}`

/** A driver that asks another system may refuse before it does. */
function answerOf(
  driver: MechanismDriver,
  facts: BindingFacts,
  outside: PlanFacts['outside'],
): BindingAnswer | { readonly ask: true } {
  if (!driver.ask) return called(driver, facts, undefined)
  const answer = outside.get(questionOf(driver, facts))
  if (answer) return 'refused' in answer ? answer : called(driver, facts, answer.said)
  const early = called(driver, facts, undefined)
  return 'refused' in early && early.refused !== 'driver_failed' ? early : { ask: true }
}

function called(driver: MechanismDriver, facts: BindingFacts, outside: unknown): BindingAnswer {
  try {
    const answer: unknown = driver.bind(facts, outside)
    if (isAnswer(answer)) return answer
    // Nobody waits for it, whatever becomes of it.
    if (answer instanceof Promise) answer.catch(() => undefined)
    return { refused: 'driver_failed', facts: { error: NO_ANSWER } }
  } catch (error) {
    return { refused: 'driver_failed', facts: { error: error instanceof Error ? error.message : String(error) } }
  }
}

const NO_ANSWER = 'It answered neither a binding, nor segments to go on with, nor a refusal with its facts.'

/** Drivers come from anywhere. */
function isAnswer(answer: unknown): answer is BindingAnswer {
  if (typeof answer !== 'object' || answer === null) return false
  const { vif_type, vif_details, next, refused, facts } = answer as Readonly<Record<string, unknown>>
  if (refused !== undefined) return typeof refused === 'string' && isObject(facts)
  return next !== undefined ? Array.isArray(next) : typeof vif_type === 'string' && isObject(vif_details)
}

const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null && !Array.isArray(value)

/** Exactly what was asked: the answer to it counts for nothing else. When agents spoke last is not part of it. */
export function questionOf({ name }: MechanismDriver, facts: BindingFacts): string {
  const still = (agents: readonly BoundAgent[]) => agents.map((one) => ({ ...one, heartbeat_timestamp: '' }))
  return JSON.stringify([name, { ...facts, agents: still(facts.agents), tors: still(facts.tors) }])
}

const factsFor = ({ port, host, agents, tors }: PlanFacts, level: number, segment: BindableSegment): BindingFacts => ({
  port,
  host,
  level,
  segment,
  agents,
  tors,
})

/** Found among those made for bindings, or to be made. */
function segmentsBelow(
  { dynamic, exhausted }: PlanFacts,
  wishes: readonly Wish[],
): { readonly segments: readonly BindableSegment[] } | Refusal {
  const same = (wish: Wish) => (one: Wish) =>
    one.network_type === wish.network_type && one.physical_network === wish.physical_network
  const segments = wishes.flatMap((wish) => {
    const there = dynamic.find(same(wish))
    if (there) return [there]
    return exhausted.some(same(wish)) ? [] : [{ ...wish, id: null, segmentation_id: null }]
  })
  if (segments.length > 0) return { segments }
  if (wishes.length > 0) return { refused: 'segment_ids_exhausted', facts: { wanted: wishes } }
  return { refused: 'driver_failed', facts: { error: 'It names no segment to go on with.' } }
}

/**
 * A port that claimed resources of Placement is plugged by the driver whose they are. Null: by this one, or nothing was
 * claimed, or no driver can say.
 */
function steer(
  { drivers }: Search,
  facts: BindingFacts,
  driver: MechanismDriver,
): (Refusal & { readonly to?: MechanismDriver }) | null {
  const { allocation } = facts.port.profile
  if (!allocation || !drivers.some((one) => one.responsible)) return null
  const wanted = typeof allocation === 'object' ? Object.values(allocation) : [allocation]
  const able = drivers.filter((one) => isResponsible(one, facts))
  const refused = 'provider_not_responsible'
  const [only] = able
  if (!only) return { refused, facts: { error: 'UnknownResourceProvider', wanted } }
  const responsible = able.map((one) => one.name)
  if (able.length > 1)
    return { refused, facts: { error: 'AmbiguousResponsibilityForResourceProvider', wanted, responsible } }
  return only === driver ? null : { refused, facts: { wanted, responsible }, to: only }
}

function isResponsible(driver: MechanismDriver, facts: BindingFacts): boolean {
  try {
    return driver.responsible?.(facts) ?? false
  } catch {
    return false
  }
}

type Noted = Refusal | 'bound' | 'continued'

function attemptOf(level: number, { name }: MechanismDriver, segment: BindableSegment, noted: Noted): BindingAttempt {
  const about = { level, driver: name, segment: shownSegment(segment) }
  if (typeof noted === 'string') return { ...about, result: noted, reason: null, facts: {} }
  const { refused, facts, remedy } = noted
  return { ...about, result: 'refused', reason: refused, facts, ...(remedy !== undefined && { remedy }) }
}

export const shownSegment = (segment: BindableSegment): BindingSegment => {
  const { id, network_type, physical_network, segmentation_id } = segment
  return { id, network_type, physical_network, segmentation_id }
}

/** The levels as stored, once every segment is there. */
export const storedLevels = (levels: readonly PlannedLevel[]): BindingLevel[] =>
  levels.map(({ driver, segment }, level) => ({ level, driver, segment_id: segment.id as string }))
