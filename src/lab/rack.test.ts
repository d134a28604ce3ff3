/** Which host is in which rack. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rackNetwork, racksOf } from './rack.ts'

test('only topology racks has racks, and hosts are in them in turn', () => {
  assert.deepEqual(racksOf({ hosts: 3 }), [])
  assert.equal(rackNetwork({ hosts: 3, topology: 'hpb' }, 'h1'), null)
  const spec = { hosts: 3, topology: 'racks' } as const
  assert.deepEqual(racksOf(spec), [
    { name: 'rack1', hosts: ['h1', 'h3'] },
    { name: 'rack2', hosts: ['h2'] },
  ])
  assert.deepEqual(
    ['h1', 'h2', 'h3', 'h4'].map((host) => rackNetwork(spec, host)),
    ['physnet-rack1', 'physnet-rack2', 'physnet-rack1', null],
  )
})
