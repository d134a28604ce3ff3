/** Numbers outside of what others have: by many at once, each once, until none is left. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { IdRange } from '#model/context.ts'
import fc from 'fast-check'
import { storeUnderTest } from './database.testlib.ts'
import { isAnyOutside, takeOutside } from './ranges-outside.ts'
import { setRanges } from './ranges.ts'

const { run } = storeUnderTest(8)
const without: fc.Arbitrary<IdRange[]> = fc.array(
  fc.tuple(fc.integer({ min: 1, max: 30 }), fc.nat(12)).map(([first, size]): IdRange => [first, first + size]),
  { maxLength: 4 },
)
const outside = (ranges: readonly IdRange[]) => (one: number) =>
  !ranges.some(([first, last]) => first <= one && one <= last)

test('eight at once take every number outside once, the first pool before the second, and then none', async () => {
  let runs = 0
  await fc.assert(
    fc.asyncProperty(without, async (ranges) => {
      const common = `outside-${++runs}`
      const own = `${common} for a`
      await run((tx) => setRanges(tx, own, [{ first: 1n, last: 6n }], []))
      await run((tx) => setRanges(tx, common, [{ first: 8n, last: 30n }], [20n]))
      const whole = Array.from({ length: 30 }, (_, i) => i + 1).filter((one) => one !== 7 && one !== 20)
      const left = whole.filter(outside(ranges))
      const take = () =>
        run(async (tx) => (await takeOutside(tx, own, ranges)) ?? (await takeOutside(tx, common, ranges)))
      const first = await take()
      assert.equal(
        first !== undefined && first <= 6n,
        left.some((one) => one <= 6),
        'its own first',
      )
      const taken = first === undefined ? [] : [Number(first)]
      await Promise.all(
        Array.from({ length: 8 }, async () => {
          for (let one = await take(); one !== undefined; one = await take()) taken.push(Number(one))
        }),
      )
      assert.deepEqual(
        taken.toSorted((a, b) => a - b),
        left,
      )
      assert.equal(await run((tx) => isAnyOutside(tx, [own, common], ranges)), false)
      assert.equal(await run((tx) => isAnyOutside(tx, [own, common], [])), left.length < whole.length)
    }),
    { numRuns: 15 },
  )
})
