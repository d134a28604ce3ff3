/** Masks cover exactly the range they are made for. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { portMasks } from './ranges.ts'

const covers = (mask: string, port: number): boolean => {
  const [value = 0, bits = 0xffff] = mask.split('/').map(Number)
  return (port & bits) === value
}

test('each port of the range is covered once, no other at all', () => {
  const port = fc.integer({ min: 0, max: 65535 })
  fc.assert(
    fc.property(port, port, port, (a, b, probe) => {
      const [min, max] = a < b ? [a, b] : [b, a]
      const masks = portMasks(min, max)
      assert.ok(masks.length <= 30)
      if (masks.length === 0) return assert.deepEqual([min, max], [0, 65535])
      for (const it of [min, max, min - 1, max + 1, probe]) {
        if (it < 0 || it > 65535) continue
        assert.equal(masks.filter((mask) => covers(mask, it)).length, it >= min && it <= max ? 1 : 0)
      }
    }),
  )
})
