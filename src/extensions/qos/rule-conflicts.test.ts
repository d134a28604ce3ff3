/** Rules of one policy beside each other: whatever is accepted one by one holds for the policy as a whole. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ApiError } from '#kernel/errors.ts'
import type { RuleType } from './rule-kinds.ts'
import { refuseConflicts } from './rule-conflicts.ts'

interface Rule {
  readonly type: RuleType
  readonly direction?: string
  readonly max_kbps?: number
  readonly min_kbps?: number
}

const direction = fc.constantFrom('ingress', 'egress')
const rate = fc.nat(4)
const rule: fc.Arbitrary<Rule> = fc.oneof(
  fc.record({ type: fc.constant('bandwidth_limit' as const), direction, max_kbps: rate }),
  fc.record({ type: fc.constant('minimum_bandwidth' as const), direction, min_kbps: rate }),
  fc.record({
    type: fc.constant('minimum_packet_rate' as const),
    direction: fc.constantFrom('any', 'ingress', 'egress'),
  }),
  fc.record({ type: fc.constant('dscp_marking' as const) }),
)

function accepted(rules: readonly Rule[]): Rule[] {
  const held: (Rule & { id: string })[] = []
  for (const [index, one] of rules.entries()) {
    const after = { id: String(index), ...one }
    try {
      refuseConflicts({ id: 'p', rules: held }, one.type, { after, given: new Set(Object.keys(one)) })
      held.push(after)
    } catch (error) {
      assert.ok(error instanceof ApiError && error.status === 409)
    }
  }
  return held
}

test('accepted rules are of different kinds and directions, guarantee no more than is allowed, and mix no directions', () => {
  fc.assert(
    fc.property(fc.array(rule, { maxLength: 8 }), (rules) => {
      const held = accepted(rules)
      const places = held.map((one) => `${one.type} ${one.direction}`)
      assert.equal(new Set(places).size, places.length)
      const [least] = held.flatMap((one) => one.max_kbps ?? []).sort((a, b) => a - b)
      for (const { min_kbps } of held) if (min_kbps !== undefined && least !== undefined) assert.ok(min_kbps <= least)
      const packets = held.filter((one) => one.type === 'minimum_packet_rate').map((one) => one.direction === 'any')
      assert.ok(packets.every(Boolean) || !packets.some(Boolean))
      // The first of each kind stands alone when it comes, and is never in its own way.
      for (const one of held) assert.deepEqual(accepted([one]).length, 1)
    }),
  )
})

test('a rule is not in its own way', () => {
  const own = { id: 'r', type: 'bandwidth_limit', direction: 'egress', max_kbps: 5 }
  const after = { ...own, max_kbps: 9 }
  refuseConflicts({ id: 'p', rules: [own] }, 'bandwidth_limit', { after, given: new Set(['max_kbps']) })
})
