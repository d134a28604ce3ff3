/** Properties of the flow planner: it converges at once, spares foreign flows, and removes nothing before sync. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Flow } from '#protocol/openflow/flow.ts'
import { isOurs, OWNER, packCookie, unpackCookie } from './cookie.ts'
import { isEmpty, noteCarriedOut, planFlows, type Same, type SeenFlow } from './plan.ts'

const same: Same = (flow, there) => flow.cookie === there.cookie
const slotOf = (f: Flow): string => `${f.table} ${f.priority} ${f.match}`

const anyFlow = (owners: readonly number[]): fc.Arbitrary<Flow> =>
  fc
    .record({
      table: fc.integer({ min: 0, max: 2 }),
      priority: fc.integer({ min: 0, max: 2 }),
      match: fc.constantFrom('', 'ip', 'arp', 'in_port=1'),
      owner: fc.constantFrom(...owners),
      version: fc.integer({ min: 1, max: 2 }),
      object: fc.integer({ min: 1, max: 2 }),
      content: fc.integer({ min: 1, max: 2 }),
    })
    .map(({ owner, version, object, content, ...it }) => ({
      ...it,
      cookie: packCookie({ owner, version, object, content }),
      actions: `output:${content}`,
    }))

const bySlot = (flows: readonly Flow[]): ReadonlyMap<string, Flow> => new Map(flows.map((flow) => [slotOf(flow), flow]))
const want = fc.array(anyFlow([OWNER]), { maxLength: 20 }).map(bySlot)
const seen = fc.array(anyFlow([OWNER, 0, 0x7f]), { maxLength: 20 }).map(bySlot)

test('carried out once, the plan is empty, and every wanted flow stands', () => {
  fc.assert(
    fc.property(want, seen, fc.boolean(), (want, seen, inSync) => {
      const after = noteCarriedOut(new Map<string, SeenFlow>(seen), planFlows(want, seen, same, inSync))
      assert.ok(isEmpty(planFlows(want, after, same, inSync)))
      for (const [slot, flow] of want) assert.equal(after.get(slot)?.cookie, flow.cookie)
    }),
  )
})

test('foreign flows outside our slots are untouched, standing ones are not written, nothing goes before sync', () => {
  fc.assert(
    fc.property(want, seen, fc.boolean(), (want, seen, inSync) => {
      const plan = planFlows(want, seen, same, inSync)
      assert.ok([...plan.remove.values()].every(({ cookie }) => isOurs(cookie)))
      if (!inSync) assert.equal(plan.remove.size, 0)
      for (const [slot, flow] of plan.add) assert.notEqual(seen.get(slot)?.cookie, flow.cookie)
      const after = noteCarriedOut(new Map<string, SeenFlow>(seen), plan)
      for (const [slot, flow] of seen) {
        if (!isOurs(flow.cookie) && !want.has(slot)) assert.equal(after.get(slot), flow)
      }
    }),
  )
})

test('a cookie is its four parts', () => {
  const part = (bits: number) => fc.integer({ min: 0, max: 2 ** bits - 1 })
  const cookie = fc.record(
    { owner: part(8), version: part(8), object: part(24), content: part(24) },
    { noNullPrototype: true },
  )
  fc.assert(fc.property(cookie, (it) => assert.deepEqual(unpackCookie(packCookie(it)), it)))
})
