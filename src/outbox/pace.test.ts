/** Pauses and batches: they grow and shrink as they should, and never beyond their bounds. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { endpointIn } from './catalogue.ts'
import { eventDelay, type Outcome, paced, pause, START } from './pace.ts'

const refused: Outcome = { kind: 'fault', answered: true, late: false }
const gone: Outcome = { kind: 'fault', answered: false, late: false }
const late: Outcome = { kind: 'fault', answered: false, late: true }
const taken: Outcome = { kind: 'judged', took: 0.5 }

test('a destination that refuses batches is asked for half each time, down to one, and twice as many when it takes them', () => {
  let pace = START
  const sizes = Array.from({ length: 9 }, () => {
    pace = paced(pace, refused, Math.min(pace.size, 100), 100)
    return pace.size
  })
  assert.deepEqual(sizes, [50, 25, 12, 6, 3, 1, 1, 1, 1])
  assert.deepEqual(paced(pace, taken, 1, 100), { size: 2, faults: 0, time: 1 })
  assert.deepEqual(paced({ size: 90, faults: 0, time: 1 }, taken, 90, 100), { size: 100, faults: 0, time: 1 })
})

test('one that cannot be reached keeps its batches, and is left alone for longer and longer, up to 15 s', () => {
  assert.deepEqual(paced({ size: 80, faults: 3, time: 1 }, gone, 80, 100), { size: 80, faults: 4, time: 1 })
  assert.deepEqual(
    [0, 1, 2, 6, 1000].map((faults) => pause(faults, 0)),
    [0, 250, 500, 7500, 7500],
  )
  assert.ok(pause(1000, 0.999) <= 15_000)
})

test('one that is slow gets more time, six times as much at most, and less again once it is quick', () => {
  const times = (outcomes: readonly Outcome[], from = START): number[] => {
    let pace = from
    return outcomes.map((outcome) => {
      pace = paced(pace, outcome, 10, 100)
      return pace.time
    })
  }
  assert.deepEqual(times([late, late, late, late, gone, refused]), [2, 4, 6, 6, 6, 6])
  const quick: Outcome = { kind: 'judged', took: 0.1 }
  assert.deepEqual(times([taken, quick, quick, quick, quick], { ...START, time: 6 }), [6, 3, 1.5, 1, 1])
})

test('an event is kept back for a second, doubled up to a minute, half of it drawn', () => {
  assert.deepEqual(
    [1, 2, 3, 7, 500].map((failures) => eventDelay(failures, 0)),
    [500, 1000, 2000, 30_000, 30_000],
  )
  assert.ok(eventDelay(500, 0.999) <= 60_000)
})

test('an address is found in the catalogue by type, side and region', () => {
  const endpoints = [
    { interface: 'public', region_id: 'one', url: 'https://nova.one/v2.1/' },
    { interface: 'internal', region_id: 'two', url: 'http://nova.two/v2.1' },
  ]
  const body = { catalog: [{ type: 'compute', endpoints }] }
  assert.equal(endpointIn(body, { type: 'compute', interface: 'public', region: null }), 'https://nova.one/v2.1')
  assert.equal(endpointIn(body, { type: 'compute', interface: 'internal', region: 'two' }), 'http://nova.two/v2.1')
  const missing = { type: 'placement', interface: 'public', region: 'two' } as const
  assert.throws(() => endpointIn(body, missing), /no public endpoint of placement in region two/)
})
