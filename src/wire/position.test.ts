/** Positions are ordered inside an era and incomparable across eras. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eraOf, goesBack, inEra, isPosition, laterOf } from './position.ts'

test('order inside an era is by transaction, then sequence', () => {
  assert.equal(goesBack('1.10.5', '1.9.900'), true)
  assert.equal(goesBack('1.10.5', '1.10.4'), true)
  assert.equal(goesBack('1.10.5', '1.10.5'), false)
  assert.equal(goesBack('1.9.5', '1.10.0'), false)
  assert.equal(goesBack('1.10.5', '1.11.0'), false)
  assert.equal(goesBack('2.99999999999999999999.1', '2.99999999999999999998.1'), true)
})

test('another era is never back in time, and a higher one is later', () => {
  assert.equal(goesBack('2.10.5', '1.9.0'), false)
  assert.equal(laterOf('2.1.1', '1.900.900'), '2.1.1')
  assert.equal(laterOf('1.10.5', '1.10.6'), '1.10.6')
  assert.equal(laterOf('1.10.6', '1.10.5'), '1.10.6')
  assert.equal(eraOf('12.3.4'), '12')
  assert.equal(inEra('1790000000000', '12.3.4'), '1790000000000.3.4')
  assert.equal(isPosition('1.2'), false)
})
