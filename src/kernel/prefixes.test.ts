/** Sets of prefixes: as few blocks as there can be, with exactly the addresses there are. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatPrefix, networkOf, parsePrefix, type Prefix, rangeOf } from './ip.ts'
import { compact, covers, overlap, parentOf, pathOf, siblingOf, subtract } from './prefixes.ts'

const parsed = (...texts: string[]): Prefix[] => texts.map((one) => parsePrefix(one) as Prefix)
const written = (prefixes: readonly Prefix[]): string[] => prefixes.map(formatPrefix)

/** Prefixes of a small space, so that they meet. */
const small = fc
  .record({ value: fc.bigInt(0x0a000000n, 0x0a0000ffn), length: fc.integer({ min: 24, max: 32 }) })
  .map((one) => networkOf({ version: 4, ...one }))
const sets = fc.array(small, { maxLength: 8 })

const addresses = (prefixes: readonly Prefix[]): Set<bigint> => {
  const out = new Set<bigint>()
  for (const { first, last } of prefixes.map(rangeOf)) for (let one = first; one <= last; one++) out.add(one)
  return out
}

/** No two of them are halves of one, none lies in another. */
const isMinimal = (prefixes: readonly Prefix[]): boolean => {
  const texts = new Set(written(prefixes))
  return prefixes.every(
    (one) =>
      !texts.has(formatPrefix(siblingOf(one))) &&
      !pathOf(one)
        .slice(1)
        .some((up) => texts.has(formatPrefix(up))),
  )
}

test('joins what touches', () => {
  assert.deepEqual(written(compact(parsed('10.0.1.0/24', '10.0.0.0/24', '10.0.0.128/25'))), ['10.0.0.0/23'])
  // Neighbours, but not halves of one block.
  assert.deepEqual(written(compact(parsed('10.0.1.0/24', '10.0.2.0/24'))), ['10.0.1.0/24', '10.0.2.0/24'])
  assert.deepEqual(written(compact(parsed('0.0.0.0/1', '128.0.0.0/1'))), ['0.0.0.0/0'])
  assert.deepEqual(written(compact(parsed('fd00::/65', 'fd00:0:0:0:8000::/65'))), ['fd00::/64'])
  assert.deepEqual(compact([]), [])
})

test('has the same addresses in the fewest blocks', () => {
  fc.assert(
    fc.property(sets, (prefixes) => {
      const joined = compact(prefixes)
      assert.deepEqual(addresses(joined), addresses(prefixes))
      assert.ok(isMinimal(joined))
    }),
  )
})

test('leaves what is not taken away, in the fewest blocks', () => {
  fc.assert(
    fc.property(sets, sets, (prefixes, taken) => {
      const left = subtract(prefixes, taken)
      const gone = addresses(taken)
      assert.deepEqual(
        [...addresses(left)],
        [...addresses(compact(prefixes))].filter((one) => !gone.has(one)),
      )
      assert.ok(isMinimal(left))
    }),
  )
})

test('covers and overlaps as its addresses do', () => {
  fc.assert(
    fc.property(sets, sets, (a, b) => {
      const [held, asked] = [addresses(a), [...addresses(b)]]
      assert.equal(
        covers(a, b),
        asked.every((one) => held.has(one)),
      )
      assert.equal(
        overlap(a, b),
        asked.some((one) => held.has(one)),
      )
    }),
  )
})

test('goes up to the whole address space', () => {
  const [one] = parsed('10.0.1.0/24')
  assert.equal(formatPrefix(parentOf(one as Prefix)), '10.0.0.0/23')
  assert.equal(formatPrefix(siblingOf(one as Prefix)), '10.0.0.0/24')
  const path = written(pathOf(one as Prefix))
  assert.deepEqual([path.length, path[0], path.at(-1)], [25, '10.0.1.0/24', '0.0.0.0/0'])
})
