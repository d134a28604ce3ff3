/** What is gathered is what was added, in order or backwards, however many pieces it takes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Listing, startListing } from './listing.ts'

const parsed = ({ pieces }: Listing): unknown => JSON.parse(`[${pieces.map((piece) => piece.toString()).join(',')}]`)

test('objects, their number and the keys at both ends, in both directions', () => {
  const object = fc.record({ id: fc.uuid(), name: fc.string({ unit: 'grapheme' }), filler: fc.nat(40) })
  const lists = fc.array(object, { maxLength: 20 })
  fc.assert(
    fc.property(lists, fc.boolean(), (objects, reverse) => {
      // Some objects are larger than a third of a piece.
      const given = objects.map((one) => ({ ...one, filler: 'ä'.repeat(one.filler * 1250) }))
      const listing = startListing(reverse)
      for (const one of given) listing.add(JSON.stringify(one), one.id)
      const expected = reverse ? given.toReversed() : given
      const answer = listing.end()
      assert.deepEqual(parsed(answer), expected)
      assert.equal(answer.count, given.length)
      assert.deepEqual([answer.first, answer.last], [expected[0]?.id ?? null, expected.at(-1)?.id ?? null])
    }),
    { numRuns: 60 },
  )
})

test('a long list is several pieces, none much larger than another', () => {
  const listing = startListing()
  for (let n = 0; n < 1000; n++) listing.add(JSON.stringify({ n, text: 'x'.repeat(1000) }), null)
  const { pieces } = listing.end()
  assert.ok(pieces.length > 5)
  assert.ok(pieces.every((piece) => piece.length < 140_000))
})
