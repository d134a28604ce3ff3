/** A layered map behaves as a plain map copied on every change, and old values stay as they were. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { LayeredMap } from './layered-map.ts'

const changes = fc.array(fc.tuple(fc.integer({ min: 0, max: 80 }).map(String), fc.option(fc.nat(), { nil: undefined })))

test('any sequence of changes leaves what a plain map would hold', () => {
  fc.assert(
    fc.property(fc.array(changes, { maxLength: 40 }), (rounds) => {
      let layered = LayeredMap.of<number>([])
      const plain = new Map<string, number>()
      for (const round of rounds) {
        const before = layered
        const frozen = new Map(before)
        layered = before.with(round)
        for (const [key, value] of round) {
          if (value === undefined) plain.delete(key)
          else plain.set(key, value)
        }
        assert.deepEqual(new Map(before), frozen)
        assert.deepEqual(new Map(layered), plain)
        assert.equal(layered.size, plain.size)
        for (const key of plain.keys()) assert.equal(layered.get(key), plain.get(key))
      }
    }),
    { numRuns: 200 },
  )
})
