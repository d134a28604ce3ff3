import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Reject } from '#model/define.ts'
import fc from 'fast-check'
import { corresponds, formatPortRange, overlap, parsePortRange, type PortRange } from './port-range.ts'

const port = fc.integer({ min: 1, max: 65_535 })
const range = fc.tuple(port, port).map(([a, b]): PortRange => ({ start: Math.min(a, b), end: Math.max(a, b) }))

describe('a port range', () => {
  test('is what it is written as', () => {
    fc.assert(fc.property(range, (one) => assert.deepEqual(parsePortRange(formatPortRange(one)), one)))
    assert.deepEqual([80, '80', '80:80'].map(parsePortRange), Array(3).fill({ start: 80, end: 80 }))
  })

  test('is refused where it is none', () => {
    for (const value of [
      '',
      ':',
      '1:',
      ':1',
      '1:2:3',
      '0',
      '0:1',
      '65536',
      '2:1',
      '1-2',
      ' 1',
      '1e3',
      'a',
      {},
      [1, 2],
      true,
    ])
      assert.throws(() => parsePortRange(value), Reject, JSON.stringify(value))
  })

  test('overlaps another when they have a port in common', () => {
    const small = fc.tuple(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 0, max: 5 }))
    const both = fc.tuple(small, small)
    const ports = ([start, more]: readonly [number, number]) => Array.from({ length: more + 1 }, (_, at) => start + at)
    fc.assert(
      fc.property(both, ([a, b]) => {
        const [one, other] = [a, b].map(([start, more]) => ({ start, end: start + more })) as [PortRange, PortRange]
        const common = ports(a).some((each) => ports(b).includes(each))
        assert.equal(overlap(one, other), common)
        assert.equal(overlap(other, one), common)
      }),
    )
  })

  test('corresponds to one of its length, or to one port', () => {
    fc.assert(
      fc.property(range, port, (outside, start) => {
        const length = outside.end - outside.start
        assert.ok(corresponds(outside, { start, end: start }))
        assert.ok(corresponds(outside, { start, end: start + length }))
        assert.ok(!corresponds(outside, { start, end: start + length + 1 }))
        assert.equal(corresponds(outside, { start, end: start + length - 1 }), length === 1)
      }),
    )
  })
})
