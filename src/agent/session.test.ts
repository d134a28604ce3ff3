/** How long an agent waits before it tries the next server. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { pauseIn } from './session.ts'

const BOUNDS = [300, 5000] as const
const outages = fc.nat({ max: 600_000 })

test('the first attempts follow within 300 ms, later ones within a quarter of the outage and 5 s', () => {
  fc.assert(
    fc.property(outages, (outageMs) => {
      const pauseMs = pauseIn(outageMs, BOUNDS)
      assert.ok(pauseMs <= Math.max(300, outageMs / 4 + 1) && pauseMs <= 5000, `${pauseMs} after ${outageMs}`)
      assert.ok(pauseMs >= 75, 'no busy loop')
    }),
  )
})

test('agents that lost their server together do not come back together', () => {
  const pauses = new Set(Array.from({ length: 200 }, () => pauseIn(0, BOUNDS)))
  assert.ok(pauses.size > 80, `${pauses.size} distinct pauses of 200`)
})
