/** Ranges of segmentation ids: every id is in exactly the pool it should be, whatever overlaps. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { divide, poolOf } from './segment-pools.ts'

const range = fc
  .record({ project_id: fc.constantFrom(null, 'a', 'b'), minimum: fc.integer({ min: 1, max: 120 }), size: fc.nat(40) })
  .map(({ project_id, minimum, size }) => ({ project_id, minimum, maximum: minimum + size }))
const has = (ranges: readonly { first: bigint; last: bigint }[] | undefined, id: number): boolean =>
  ranges?.some(({ first, last }) => first <= BigInt(id) && BigInt(id) <= last) ?? false

test('an id is common when a common range has it and no project does, and of each project that has it', () => {
  fc.assert(
    fc.property(fc.array(range, { maxLength: 8 }), (ranges) => {
      const pools = divide(ranges)
      for (let id = 0; id <= 170; id++) {
        const owners = new Set(
          ranges.filter((one) => one.minimum <= id && id <= one.maximum).map((one) => one.project_id),
        )
        const common = owners.size === 1 && owners.has(null)
        assert.equal(has(pools.get(null), id), common, `common ${id}`)
        for (const project of ['a', 'b'] as const) assert.equal(has(pools.get(project), id), owners.has(project))
      }
    }),
  )
})

test('segments that have ids have pools', () => {
  assert.equal(poolOf({ network_type: 'vxlan', physical_network: null }), 'vxlan')
  assert.equal(poolOf({ network_type: 'vlan', physical_network: 'rack1' }), 'vlan:rack1')
  for (const network_type of ['flat', 'local', null])
    assert.equal(poolOf({ network_type, physical_network: 'p' }), null)
})
