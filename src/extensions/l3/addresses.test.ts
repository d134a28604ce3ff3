/** What may not be beside what on one router. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { formatIp, formatPrefix, networkOf, parsePrefix, type Prefix, prefixesOverlap } from '#kernel/ip.ts'
import { type Block, inBlock, refuseOverlap, versionOf } from './addresses.ts'

const prefixes: fc.Arbitrary<Prefix> = fc
  .oneof(
    fc.record({
      version: fc.constant(4 as const),
      value: fc.bigInt(0n, 2n ** 32n - 1n),
      length: fc.integer({ min: 1, max: 32 }),
    }),
    fc.record({
      version: fc.constant(6 as const),
      value: fc.bigInt(0n, 2n ** 128n - 1n),
      length: fc.integer({ min: 1, max: 128 }),
    }),
  )
  .map(networkOf)
const blocks = fc
  .array(prefixes, { maxLength: 4 })
  .map((all): Block[] =>
    all.map((prefix, index) => ({ id: `${index} ${formatPrefix(prefix)}`, cidr: formatPrefix(prefix) })),
  )

const clash = (wanted: readonly Block[], present: readonly Block[]): string | undefined => {
  try {
    refuseOverlap(wanted, present)
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

describe('refuseOverlap', () => {
  test('names a pair exactly when one overlaps', () =>
    fc.assert(
      fc.property(blocks, blocks, (a, b) => {
        const wanted = a.map((one) => ({ ...one, id: `new ${one.id}` }))
        const [p, q] = [a, b].map((all) => all.map((one) => parsePrefix(one.cidr) as Prefix)) as [Prefix[], Prefix[]]
        const expected = p.some((one) => q.some((other) => prefixesOverlap(one, other)))
        const said = clash(wanted, b)
        assert.equal(said !== undefined, expected, said)
        if (said)
          assert.match(said, /^Bad router request: Cidr \S+ of subnet .* overlaps with cidr \S+ of subnet .*\.$/)
      }),
    ))

  test('knows the same subnet again', () => {
    const one = { id: 'a', cidr: '10.0.0.0/24' }
    assert.equal(clash([one], [one]), 'Bad router request: Router already has a port on subnet a.')
    assert.equal(clash([one], []), undefined)
  })
})

test('inBlock: every address of a block and no other', () =>
  fc.assert(
    fc.property(prefixes, prefixes, (block, other) => {
      const ip = formatIp({ version: other.version, value: other.value })
      assert.equal(inBlock(ip, formatPrefix(block)), prefixesOverlap(block, parsePrefix(ip) as Prefix))
      assert.equal(versionOf(ip), other.version)
      assert.equal(inBlock(null, formatPrefix(block)), false)
      assert.equal(inBlock(ip, null), false)
    }),
  ))
