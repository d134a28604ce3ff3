/**
 * Binding inside the port's transaction: reads the facts, has them planned, makes what the plan needs, and gives back
 * what nobody uses any more. Nothing has to be undone: a plan is carried out only as a whole, or with the transaction.
 */
import { ApiError } from '#kernel/errors.ts'
import type { BindingLevel, BindingLook, BindingRequest, BindingResult, Context } from '#model/context.ts'
import type { Resource } from '#model/define.ts'
import { segment as segmentResource } from '#resources/segment.ts'
import { isDistributedOwner } from '#resources/standard.ts'
import type { Transaction } from '#store/transaction.ts'
import { RunAgain } from '../conflicts.ts'
import type { BindableSegment, MechanismDriver, Wish } from '../contracts.ts'
import { type At, factsOf, type Ground, readGround } from './facts.ts'
import { AskFirst, type Outside } from './outside.ts'
import {
  type Asked,
  type Plan,
  planBinding,
  type PlanFacts,
  type PlannedLevel,
  shownSegment,
  storedLevels,
} from './plan.ts'
import { rebindPort } from './rebind.ts'

export interface BindingParts {
  readonly tx: Transaction
  readonly drivers: readonly MechanismDriver[]
  readonly outside: Outside
  /** The operation's context, of which binding is a part. */
  readonly context: () => Context
  /** What was read under a key, until the operation writes something. */
  remember<T>(key: string, read: () => Promise<T>): Promise<T>
  /** Runs once the operation has written all it writes. */
  atEnd(task: () => Promise<void>): void
}

/** How often a plan is made anew within one transaction before the transaction begins again. */
const MAX_PLANS = 10

type Binding = Context['binding']

/** What is written must not rest on a binding that a driver has yet to be asked about. */
export interface PendingBinding extends Binding {
  /** @throws AskFirst with all that `bind` could not answer so far. */
  requireAnswers(): void
}

/** With what an operation may have left behind. */
interface Binder extends BindingParts {
  /** To be asked before the operation runs again. */
  readonly asked: Asked[]
  /** Looked at when the operation ends: segments that nobody stands on any more go, if they were made for bindings. */
  doubt(segmentIds: readonly string[]): void
  /** Something will be looked at. */
  inDoubt(): boolean
}

export function createBinding(parts: BindingParts): PendingBinding {
  const doubted = new Set<string>()
  const doubt: Binder['doubt'] = (segmentIds) => {
    if (doubted.size === 0) parts.atEnd(() => removeUnused(parts, doubted))
    for (const id of segmentIds) doubted.add(id)
  }
  const asked: Asked[] = []
  const binder = { ...parts, asked, doubt, inDoubt: () => doubted.size > 0 }
  return {
    requireAnswers: () => {
      if (asked.length > 0) throw new AskFirst(asked)
    },
    expect: (at, host) => void groundAt(parts, at, host),
    places: async (port) => (await groundUnder(parts, port)).places,
    bind: (request) => bind(binder, request),
    release: (levels) => {
      // What carries a port alone is the network's own.
      if (levels.length > 1) doubt(levels.map((one) => one.segment_id))
    },
    rebind: (portId) => rebindPort(parts.context(), portId, (request, levels) => holds(parts, request, levels)),
    look: (request, hosts) => look(parts, request, hosts),
  }
}

async function bind(parts: Binder, request: BindingRequest): Promise<BindingResult> {
  const { host, device_owner } = request
  if (isDistributedOwner(device_owner, host)) return { ...NOWHERE, vif_type: 'distributed' }
  if (host === '') return { ...NOWHERE, vif_type: 'unbound' }
  const { tx, drivers, outside } = parts
  for (let round = 1; round <= MAX_PLANS; round++) {
    const ground = await (round === 1 ? groundUnder(parts, request) : readGround(tx, request, [host]))
    const facts = factsOf(ground, request, [host], outside.answers).get(host) as PlanFacts
    const plan = await carryOut(parts, request, ground.project_id, facts)
    if (plan?.result === 'failed') return failed(parts, host, plan)
    if (plan?.result === 'bound') return bound(plan)
    if (plan?.result === 'ask') {
      // Nothing comes of this run: the other ports of the request say what they have to ask.
      parts.asked.push(plan.asked)
      return { ...NOWHERE, vif_type: 'unbound' }
    }
  }
  throw new RunAgain(`the segments under ${drivers.length} drivers keep changing`)
}

const groundAt = (parts: BindingParts, at: At, host: string): Promise<Ground> =>
  parts.remember(`binding at ${Object.values(at).join()} on ${host}`, () => readGround(parts.tx, at, [host]))

/** Read ahead for the port, or for its network, or now. */
const groundUnder = (
  parts: BindingParts,
  { id, network_id, host }: Pick<BindingRequest, 'id' | 'network_id' | 'host'>,
) => parts.remember(`binding at ${id} on ${host}`, () => groundAt(parts, { network_id }, host))

const NOWHERE = { vif_details: {}, levels: [], failure: null } as const

const failed = ({ context }: BindingParts, host: string, { attempts }: Plan): BindingResult => ({
  ...NOWHERE,
  vif_type: 'binding_failed',
  failure: { at: context().now, host, attempts },
})

type Bound = Extract<Plan, { result: 'bound' }>

const bound = ({ vif_type, vif_details, levels }: Bound): BindingResult => ({
  vif_type,
  vif_details: { ...vif_details, bound_drivers: driversOf(levels) },
  levels: storedLevels(levels),
  failure: null,
})

/** As Neutron shows them: driver by level. */
const driversOf = (levels: readonly PlannedLevel[]): Readonly<Record<string, string>> =>
  Object.fromEntries(levels.map(({ driver }, level) => [String(level), driver]))

/** The plan once all its segments are there and held; undefined: what it stood on is gone, look again. */
async function carryOut(
  parts: Binder,
  { network_id }: BindingRequest,
  projectId: string,
  first: PlanFacts,
): Promise<Plan | undefined> {
  let facts = first
  for (;;) {
    const plan = planBinding(parts.drivers, facts)
    if (plan.result !== 'bound') return plan
    const missing = plan.levels.find(({ segment }) => segment.id === null)?.segment
    if (!missing) return (await hold(parts, network_id, facts, plan.levels)) ? plan : undefined
    const made = await make(parts, network_id, projectId, missing)
    if (made?.id) parts.doubt([made.id])
    facts = made
      ? { ...facts, dynamic: [...facts.dynamic, made] }
      : { ...facts, exhausted: [...facts.exhausted, missing] }
  }
}

/** Keeps the dynamic segments it stands on from going before this transaction ends. False: one is gone. */
async function hold(
  { tx, context, inDoubt }: Binder,
  network_id: string,
  { dynamic }: PlanFacts,
  levels: readonly PlannedLevel[],
): Promise<boolean> {
  const made = levels.map(({ segment }) => segment).filter(({ id }) => dynamic.some((one) => one.id === id))
  if (made.length === 0) return true
  // Whoever also gives one up locks in the order of those who take one away: the network, then its segments.
  if (inDoubt()) await context().load('network', network_id, 'update')
  const held = await tx.query(HOLD, [made.map(({ id }) => id), made.map((one) => one.segmentation_id)])
  return held.length === new Set(made.map(({ id }) => id)).size
}

/** As they were read: one that took another id meanwhile is another. */
const HOLD = `select s.id from network_segments s join unnest($1::uuid[], $2::int[]) h (id, segmentation_id)
  on h.id = s.id and h.segmentation_id is not distinct from s.segmentation_id for key share of s`

const DYNAMIC = `select id, network_type, physical_network, segmentation_id from network_segments
  where network_id = $1 and is_dynamic and network_type = $2 and physical_network is not distinct from $3`

/** A dynamic segment of the network: the one that somebody else made meanwhile, or a new one. Null: no id is left. */
async function make(
  { tx, context }: BindingParts,
  network_id: string,
  projectId: string,
  wish: Wish,
): Promise<BindableSegment | null> {
  const { network_type, physical_network, without } = wish
  const { load, create, segments } = context()
  // Whoever makes one and whoever takes one away come one after another.
  await load('network', network_id, 'update')
  const [there] = await tx.query<BindableSegment & Record<string, unknown>>(DYNAMIC, [
    network_id,
    network_type,
    physical_network,
  ])
  if (there) return there
  const reserved = await segments
    .reserve({ network_type, physical_network, segmentation_id: null, ...(without && { without }) }, projectId)
    .catch(async (error: unknown) => {
      // Whatever else is wrong with a wish is no want of ids, unless a look would say so as well.
      if (!(error instanceof ApiError)) throw error
      if (error.type === 'NoNetworkAvailable' || !(await segments.anyLeft(wish, projectId))) return null
      throw error
    })
  if (!reserved) return null
  const [last] = await tx.query<{ index: number }>(
    'select coalesce(max(segment_index), -1) + 1 as index from network_segments where network_id = $1',
    [network_id],
  )
  const values = { network_id, segment_index: last?.index ?? 0, is_dynamic: true, ...reserved }
  const { id } = await create(segmentResource as Resource, values)
  return { ...reserved, id: String(id) }
}

/** Dynamic segments go with the last binding that stands on them. The written rows say who still does. */
async function removeUnused({ tx, context }: BindingParts, doubted: Set<string>): Promise<void> {
  const ids = [...doubted]
  doubted.clear()
  const made = await tx.query<{ id: string; network_id: string }>(
    'select id, network_id from network_segments where id = any($1::uuid[]) and is_dynamic order by id',
    [ids],
  )
  const { load, remove } = context()
  for (const network of new Set(made.map((one) => one.network_id))) await load('network', network, 'update')
  for (const { id } of made) {
    // Whoever is about to stand on it holds it: wait for them, and look in a statement of its own.
    await tx.query('select id from network_segments where id = $1 for update', [id])
    const [unused] = await tx.query('select 1 where not segment_is_bound($1::uuid)', [id])
    if (unused) await remove(segmentResource as Resource, id)
  }
}

/** Would these very drivers bind the port on these very segments again? */
async function holds(parts: BindingParts, request: BindingRequest, levels: readonly BindingLevel[]): Promise<boolean> {
  const { host } = request
  const facts = factsOf(await groundUnder(parts, request), request, [host], parts.outside.answers)
  const only = parts.drivers.map((driver) => onlyAt(driver, levels))
  const plan = planBinding(only, facts.get(host) as PlanFacts)
  if (plan.result === 'ask') throw new AskFirst([plan.asked])
  return plan.result === 'bound'
}

/** The driver, asked about nothing but its part in these levels. */
const onlyAt = (driver: MechanismDriver, levels: readonly BindingLevel[]): MechanismDriver => ({
  name: driver.name,
  connectivity: driver.connectivity,
  ...(driver.responsible && { responsible: (facts) => driver.responsible?.(facts) ?? false }),
  ...(driver.ask && { ask: async (facts) => driver.ask?.(facts) }),
  bind: (facts, outside) => {
    const level = levels[facts.level]
    const mine = level?.driver === driver.name && level.segment_id === facts.segment.id
    return mine ? driver.bind(facts, outside) : { refused: 'not_its_part', facts: {} }
  },
})

/** Plans without a write: what would have to be made is looked up among what is left. */
async function look(
  { tx, drivers, outside, context }: BindingParts,
  request: Omit<BindingRequest, 'host'>,
  hosts: readonly string[] | null,
): Promise<readonly BindingLook[]> {
  const ground = await readGround(tx, request, hosts)
  const { project_id } = ground
  const byHost = factsOf(ground, request, hosts, outside.answers)
  const left = new Map<string, boolean>()
  for (;;) {
    const exhausted = [...left].filter(([, any]) => !any).map(([wish]) => JSON.parse(wish) as Wish)
    const plans = [...byHost].map(([host, facts]) => ({ host, plan: planBinding(drivers, { ...facts, exhausted }) }))
    const asked = plans.flatMap(({ plan }) => (plan.result === 'ask' ? [plan.asked] : []))
    if (asked.length > 0) throw new AskFirst(asked)
    const unknown = new Set(plans.flatMap(({ plan }) => missingIn(plan)).filter((wish) => !left.has(wish)))
    if (unknown.size === 0) return plans.map(({ host, plan }) => lookOf(host, plan))
    for (const wish of unknown) left.set(wish, await context().segments.anyLeft(JSON.parse(wish) as Wish, project_id))
  }
}

/** The segments that a plan would have made. */
const missingIn = (plan: Plan): string[] =>
  plan.result === 'bound'
    ? plan.levels.flatMap(({ segment: { id, network_type, physical_network, without } }) =>
        id === null ? [JSON.stringify({ network_type, physical_network, without })] : [],
      )
    : []

const lookOf = (host: string, plan: Plan): BindingLook =>
  plan.result === 'bound'
    ? {
        host,
        vif_type: plan.vif_type,
        levels: plan.levels.map(({ driver, segment }, level) => ({ level, driver, segment: shownSegment(segment) })),
        attempts: plan.attempts,
      }
    : { host, vif_type: 'binding_failed', levels: [], attempts: plan.attempts }
