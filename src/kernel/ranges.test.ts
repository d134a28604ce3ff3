/** Ranges of numbers against the sets they stand for. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { merge, type NumberRange, without } from './ranges.ts'

const range = fc
  .tuple(fc.integer({ min: 1, max: 120 }), fc.nat(40))
  .map(([first, size]): NumberRange => ({ first: BigInt(first), last: BigInt(first + size) }))
const has = (ranges: readonly NumberRange[], id: number): boolean =>
  ranges.some(({ first, last }) => first <= BigInt(id) && BigInt(id) <= last)

test('merged ranges hold the same numbers, apart from each other and in order', () => {
  fc.assert(
    fc.property(fc.array(range, { maxLength: 8 }), fc.array(range, { maxLength: 4 }), (some, others) => {
      const [merged, taken] = [merge(some), merge(others)]
      for (const [index, one] of merged.entries()) {
        const next = merged[index + 1]
        assert.ok(!next || next.first > one.last + 1n)
      }
      const rest = merged.flatMap((one) => without(one, taken))
      for (let id = 0; id <= 170; id++) {
        assert.equal(has(merged, id), has(some, id))
        assert.equal(has(rest, id), has(some, id) && !has(others, id))
      }
    }),
  )
})
