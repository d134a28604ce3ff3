/** What of a ToR's place in the lab is decided purely. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MAX_HOSTS, underlayIndex } from './names.ts'
import { planTrunk, torOf, torsOf } from './tor.ts'

test('hosts and ToRs have different numbers, and nothing else has one', () => {
  const indexes = ['h1', `h${MAX_HOSTS}`, 'tor1', 'tor2'].map(underlayIndex)
  assert.equal(new Set(indexes).size, 4)
  assert.ok(indexes.every((index) => index > 0 && index < 255))
  for (const other of ['tor', 'tor0', 'x1', 'h0']) assert.equal(underlayIndex(other), 0)
})

test('only topology hpb has ToRs, each above a host of its own', () => {
  assert.deepEqual(torsOf({}), [])
  assert.deepEqual(
    ['h1', 'h2', 'h3'].map((host) => torOf({ topology: 'hpb' }, host)?.name),
    ['tor1', 'tor2', undefined],
  )
})

test('a trunk is made whole from either end, and a whole one is left alone', () => {
  const plan = (tor: boolean, host: boolean): string[] =>
    planTrunk({ tor: 'tor1', host: 'h1' }, { tor: 'T', host: 'H' }, { tor, host })
  assert.deepEqual(plan(true, true), [])
  assert.equal(plan(true, false)[0], '-n T link del to-h1')
  assert.equal(plan(false, true)[0], '-n H link del eth1')
  for (const lines of [plan(false, false), plan(true, false), plan(false, true)])
    assert.equal(lines.filter((line) => line.startsWith('link add eth1 netns H ')).length, 1)
})
