/** The order of questions and answers when a port is bound: by property, with drivers that answer whatever they like. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { BindingAttempt } from '#model/context.ts'
import type { BindableSegment, BindingAnswer, BindingFacts, MechanismDriver } from '../contracts.ts'
import { MAX_LEVELS, planBinding, type Plan, type PlanFacts, questionOf } from './plan.ts'

const PHYSNETS = ['p0', 'p1', 'p2'] as const
const segment = (index: number): BindableSegment => ({
  id: `s${index}`,
  network_type: index % 2 === 0 ? 'vxlan' : 'vlan',
  physical_network: index % 2 === 0 ? null : (PHYSNETS[index % 3] as string),
  segmentation_id: index + 1,
})
const factsOf = (more: Partial<PlanFacts> = {}): PlanFacts => ({
  port: { id: 'p', network_id: 'n', vnic_type: 'normal', device_owner: '', profile: {}, addressed: true },
  host: 'h',
  segments: [segment(0), segment(1)],
  dynamic: [],
  agents: [],
  tors: [],
  addressedOn: null,
  exhausted: [],
  outside: new Map(),
  ...more,
})

/** What a driver does with a segment, by level and kind of segment; `throw` stands for a bug. */
type Move = 'bind' | 'refuse' | 'throw' | 'none' | { readonly next: readonly string[] }
const move: fc.Arbitrary<Move> = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Move>('refuse') },
  { weight: 1, arbitrary: fc.constantFrom<Move>('bind', 'throw', 'none') },
  { weight: 2, arbitrary: fc.record({ next: fc.subarray([...PHYSNETS], { minLength: 1, maxLength: 2 }) }) },
)
const table = fc.array(move, { minLength: 4, maxLength: 4 })
const answers =
  (moves: readonly Move[]) =>
  (facts: BindingFacts): BindingAnswer => {
    const { level, segment: one } = facts
    const chosen =
      moves[(level + (one.physical_network === null ? 0 : PHYSNETS.indexOf(one.physical_network as 'p0') + 1)) % 4]
    if (chosen === 'throw') throw new Error('a bug')
    if (chosen === 'bind') return { vif_type: 'ovs', vif_details: { level } }
    if (chosen === 'none') return { next: [] }
    if (typeof chosen === 'object')
      return { next: chosen.next.map((name) => ({ network_type: 'vlan', physical_network: name })) }
    return { refused: 'device_not_found', facts: { level } }
  }
const driver = (name: string, bind: MechanismDriver['bind'], more: Partial<MechanismDriver> = {}): MechanismDriver => ({
  name,
  connectivity: 'l2',
  bind,
  ...more,
})
const world = fc.record({
  tables: fc.array(fc.tuple(table, fc.constantFrom('l2', 'l3')), { minLength: 1, maxLength: 3 }),
  segments: fc.integer({ min: 0, max: 3 }),
  dynamic: fc.subarray([...PHYSNETS]),
  exhausted: fc.subarray([...PHYSNETS]),
  addressed: fc.boolean(),
})
type World = typeof world extends fc.Arbitrary<infer T> ? T : never
const vlan = (physical_network: string) => ({ network_type: 'vlan', physical_network })
const setUp = ({ tables, segments, dynamic, exhausted, addressed }: World): [MechanismDriver[], PlanFacts] => [
  tables.map(([moves, connectivity], index) =>
    driver(`d${index}`, answers(moves), { connectivity: connectivity as 'l2' }),
  ),
  factsOf({
    segments: Array.from({ length: segments }, (_, index) => segment(index)),
    dynamic: dynamic.map((name, index) => ({ ...vlan(name), id: `dyn${index}`, segmentation_id: 100 + index })),
    exhausted: exhausted.map(vlan),
    port: { ...factsOf().port, addressed },
  }),
]

const nameOf = ({ segment: { id, physical_network } }: Pick<BindingAttempt, 'segment'>): string =>
  id ?? `new ${physical_network}`

/** What Neutron's loop asks, written down naively: the questions at one level are drivers × segments, a carrier descends at once. */
function expected(drivers: readonly MechanismDriver[], facts: PlanFacts): string[] {
  const out: string[] = []
  const at = (segments: readonly BindableSegment[], above: readonly string[]): boolean => {
    for (const one of drivers)
      for (const there of segments) {
        const step = `${one.name} ${nameOf({ segment: there })}`
        out.push(`${above.length} ${step}`)
        if (!facts.port.addressed && one.connectivity !== 'l2') continue
        if (above.includes(step)) continue
        let said: BindingAnswer
        try {
          said = one.bind({ ...facts, level: above.length, segment: there }, undefined)
        } catch {
          continue
        }
        if ('vif_type' in said) return true
        if (!('next' in said)) continue
        const below = said.next.flatMap((wish) => {
          const made = facts.dynamic.find((two) => two.physical_network === wish.physical_network)
          if (made) return [made]
          const none = facts.exhausted.some((two) => two.physical_network === wish.physical_network)
          return none ? [] : [{ ...wish, id: null, segmentation_id: null }]
        })
        if (below.length === 0) continue
        if (above.length + 1 === MAX_LEVELS) out.push(`${MAX_LEVELS} ${step}`)
        else if (at(below, [...above, step])) return true
      }
    return false
  }
  at(facts.segments, [])
  return out
}

test('every driver is asked about every segment in order, carriers are followed at once, and nothing else is asked', () => {
  fc.assert(
    fc.property(world, (one) => {
      const [drivers, facts] = setUp(one)
      const { attempts } = planBinding(drivers, facts)
      assert.deepEqual(
        attempts.map((two) => `${two.level} ${two.driver} ${nameOf(two)}`),
        expected(drivers, facts),
      )
    }),
    { numRuns: 2000 },
  )
})

test('a plan is bound by its last attempt or has no attempt that bound; every refusal has a reason', () => {
  fc.assert(
    fc.property(world, (one) => {
      const [drivers, facts] = setUp(one)
      const plan = planBinding(drivers, facts)
      assert.deepEqual(planBinding(drivers, facts), plan)
      const bound = plan.attempts.filter(({ result }) => result === 'bound')
      for (const { result, reason } of plan.attempts) assert.equal(reason === null, result !== 'refused')
      if (plan.result !== 'bound') return void assert.deepEqual(bound, [])
      assert.deepEqual(bound, [plan.attempts.at(-1)])
      const { levels } = plan
      assert.ok(levels.length >= 1 && levels.length <= MAX_LEVELS)
      assert.equal(plan.vif_details['level'], levels.length - 1)
      const steps = levels.map((level) => `${level.driver} ${nameOf(level)}`)
      assert.equal(new Set(steps).size, steps.length, 'a driver stands twice on one segment')
      const own = new Set(facts.segments)
      for (const [index, level] of levels.entries()) assert.equal(own.has(level.segment), index === 0)
    }),
    { numRuns: 2000 },
  )
})

test('drivers that only carry end at ten levels', () => {
  // Each level has a physical network of its own, so that nothing repeats.
  const on = driver('on', ({ level }) => ({ next: [vlan(`deep${level}`)] }))
  const { result, attempts } = planBinding([on], factsOf({ segments: [segment(0)] }))
  assert.equal(result, 'failed')
  assert.deepEqual(attempts.map(({ level, reason }) => [level, reason]).at(-1), [MAX_LEVELS, 'too_many_levels'])
  assert.equal(attempts.length, MAX_LEVELS + 1)
})

const reasons = ({ attempts }: Plan) => attempts.map((one) => `${one.driver}: ${one.reason ?? one.result}`)
const binds = () => ({ vif_type: 'ovs', vif_details: {} })

test('a driver that throws refuses with its error, and the next is asked', () => {
  const broken = driver('broken', () => {
    throw new Error('out of order')
  })
  const plan = planBinding([broken, driver('good', binds)], factsOf({ segments: [segment(0)] }))
  assert.deepEqual(reasons(plan), ['broken: driver_failed', 'good: bound'])
  assert.deepEqual(plan.attempts[0]?.facts, { error: 'out of order' })
})

test('addresses say on which of the network’s own segments a port may stand, not what is below', () => {
  const carrier = driver('carrier', ({ level }) => (level === 0 ? { next: [vlan('p0')] } : { refused: 'x', facts: {} }))
  const last = driver('last', ({ level }) => (level === 1 ? binds() : { refused: 'y', facts: {} }))
  const plan = planBinding([carrier, last], factsOf({ addressedOn: ['s1'] }))
  assert.deepEqual(reasons(plan), [
    'carrier: segment_not_of_fixed_ips',
    'carrier: continued',
    'carrier: x',
    'last: bound',
  ])
})

test('a claim on Placement is for the one driver whose it is', () => {
  const port = { ...factsOf().port, profile: { allocation: { group: 'provider' } } }
  const facts = factsOf({ port, segments: [segment(0)] })
  const mine = { responsible: () => true }
  const [first, second, third] = [driver('a', binds), driver('b', binds, mine), driver('c', binds, mine)]
  assert.deepEqual(reasons(planBinding([first, second], facts)), ['a: provider_not_responsible', 'b: bound'])
  assert.deepEqual(reasons(planBinding([second, first], facts)), ['b: bound'])
  // As in Neutron: nobody's and two drivers' are failures.
  const none = planBinding([driver('a', binds, { responsible: () => false })], facts)
  assert.deepEqual(
    [reasons(none), none.attempts[0]?.facts['error']],
    [['a: provider_not_responsible'], 'UnknownResourceProvider'],
  )
  const two = planBinding([second, third], facts)
  assert.equal(two.result, 'failed')
  assert.equal(two.attempts[0]?.facts['error'], 'AmbiguousResponsibilityForResourceProvider')
  // Whose it is has refused already: nobody is asked twice.
  const refusing = driver('r', () => ({ refused: 'agent_dead', facts: {} }), mine)
  assert.deepEqual(reasons(planBinding([refusing, first], facts)), ['r: agent_dead', 'a: provider_not_responsible'])
  assert.deepEqual(reasons(planBinding([first, refusing], facts)), ['a: provider_not_responsible', 'r: agent_dead'])
})

test('a driver that must ask is asked once it does not refuse by itself; an answer is for exactly its facts', () => {
  const remote = driver('remote', ({ port }, outside) =>
    port.vnic_type === 'direct'
      ? { refused: 'vnic_unsupported', facts: {} }
      : { vif_type: String(outside), vif_details: {} },
  )
  const asking = { ...remote, ask: async () => 'tap' }
  const facts = factsOf({ segments: [segment(0)] })
  const plan = planBinding([asking], facts)
  assert.equal(plan.result, 'ask')
  if (plan.result !== 'ask') return
  const key = questionOf(asking, plan.asked.facts)
  const known = (said: unknown) => ({ ...facts, outside: new Map([[key, { said }]]) })
  const bound = planBinding([asking], known('tap'))
  assert.equal(bound.result === 'bound' && bound.vif_type, 'tap')
  assert.equal(planBinding([asking], { ...known('tap'), host: 'other' }).result, 'ask')
  const late = { refused: 'driver_timed_out', facts: {} }
  assert.deepEqual(reasons(planBinding([asking], { ...facts, outside: new Map([[key, late]]) })), [
    'remote: driver_timed_out',
  ])
  const direct = planBinding([asking], { ...facts, port: { ...facts.port, vnic_type: 'direct' } })
  assert.deepEqual(reasons(direct), ['remote: vnic_unsupported'])
})

test('when agents spoke last is no part of a question', () => {
  const one = driver('d', binds)
  const agent = {
    id: 'a',
    host: 'h',
    agent_type: 't',
    alive: true,
    heartbeat_timestamp: '2026-01-01T00:00:00Z',
    configurations: {},
  }
  const facts = { ...factsOf(), level: 0, segment: segment(0) }
  const at = (more: object) => questionOf(one, { ...facts, agents: [{ ...agent, ...more }] })
  assert.equal(at({}), at({ heartbeat_timestamp: '2026-01-02T00:00:00Z' }))
  assert.notEqual(at({}), at({ alive: false }))
  assert.notEqual(at({}), at({ configurations: { bridge_mappings: {} } }))
})
