/** What is somebody else's at a ToR, and what to say when a network cannot get out of its way. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { clashOf, remedyOf } from './evade.ts'
import { foreignTo } from './report.ts'

test('the VLANs of others are those on ports that lead to hosts, in the fewest ranges', () => {
  const vlans = fc.uniqueArray(fc.integer({ min: 1, max: 40 }))
  fc.assert(
    fc.property(vlans, vlans, vlans, (a, b, elsewhere) => {
      const ranges = foreignTo({ ports: { h1: 'p1', h2: 'p2', h3: 'p1' } }, { p1: a, p2: b, p9: elsewhere })
      const all = ranges.flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, i) => first + i))
      assert.deepEqual(
        all,
        [...new Set([...a, ...b])].toSorted((one, other) => one - other),
      )
      assert.ok(ranges.every(([first], i) => i === 0 || first > (ranges[i - 1]?.[1] ?? 0) + 1))
    }),
  )
  assert.deepEqual(foreignTo({ ports: { h1: 'p7' } }, {}), [], 'a port that is not there has none')
})

const facts = { port: 'p1', vlan: 7, holder: 'operator' }

test('only what somebody else holds is evaded', () => {
  assert.deepEqual(clashOf({ network: 'n', reason: 'vlan_taken', facts }), { network: 'n', vlan: 7, port: 'p1' })
  assert.equal(clashOf({ network: 'n', reason: 'vlan_taken', facts: { ...facts, holder: 'deuteron-m' } }), null)
  assert.equal(clashOf({ network: 'n', reason: 'port_missing', facts: { port: 'p1' } }), null)
})

test('a remedy names the command, with the name the switch has in its own database', () => {
  const tor = { name: 'tor1', target: 'ssl:192.0.2.1:6640', physicalNetwork: 'net1', switch: 'sw-a', ports: {} }
  const say = (evasion: Parameters<typeof remedyOf>[2]) =>
    remedyOf(tor, { network: 'n', vlan: 7, port: 'p1' }, evasion) ?? ''
  const free = 'vtep-ctl --db=ssl:192.0.2.1:6640 unbind-ls sw-a p1 7'
  assert.ok(say({ result: 'fixed', ports: ['a', 'b'] }).includes(free))
  assert.match(say({ result: 'fixed', ports: ['a', 'b'] }), /ports a, b/)
  assert.ok(say({ result: 'exhausted' }).includes(free))
  assert.match(say({ result: 'exhausted' }), /segment range create .*--physical-network net1/)
  assert.equal(say({ result: 'moved', vlan: 8 }), '')
})
