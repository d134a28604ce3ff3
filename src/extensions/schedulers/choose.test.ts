/** Choosing agents: never more than asked, no better one left out, zones evenly. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Candidate } from './bindings.ts'
import { choose } from './choose.ts'

const candidates = fc
  .array(fc.record({ availability_zone: fc.constantFrom('a', 'b', null), load: fc.nat(4) }), { maxLength: 8 })
  .map((all) => all.map((one, n): Candidate => ({ ...one, id: `${n}`, agent_id: `${n}`, host: `h${n}` })))

test('as many as asked for or there are, each once', () => {
  fc.assert(
    fc.property(candidates, fc.nat(5), (all, count) => {
      const ids = choose(all, count).map(({ id }) => id)
      assert.equal(ids.length, Math.min(all.length, count))
      assert.equal(new Set(ids).size, ids.length)
    }),
  )
})

test('the first is among the least loaded', () => {
  fc.assert(
    fc.property(candidates, (all) => {
      const [first] = choose(all, 1)
      assert.equal(first?.load, all.length > 0 ? Math.min(...all.map(({ load }) => load)) : undefined)
    }),
  )
})

test('no zone has two more than one that could have had another; within a zone the least loaded are taken', () => {
  fc.assert(
    fc.property(candidates, fc.integer({ min: 1, max: 5 }), (all, count) => {
      const chosen = choose(all, count)
      const left = all.filter((one) => !chosen.includes(one))
      const taken = (zone: string | null): number => chosen.filter((one) => one.availability_zone === zone).length
      for (const one of left) {
        for (const other of chosen) {
          if (other.availability_zone === one.availability_zone) assert.ok(other.load <= one.load)
          else assert.ok(taken(other.availability_zone) <= taken(one.availability_zone) + 1)
        }
      }
    }),
  )
})
