/** The comparison with the peer and with what passed before. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { aheadOfPeer, behindPeer, byReason, leftOut, regressions, serverErrors, tableOf } from './report.ts'
import type { Row } from './results.ts'

const row = (status: Row['status'], reason = ''): Row => ({ status, seconds: 0, reason })
const [ONE, TWO, THREE] = ['m.test_a.A.test_1', 'm.test_a.A.test_2', 'm.test_b.B.test_3']

const comparison = {
  planned: [ONE, TWO, THREE],
  ours: new Map([
    [ONE, row('success')],
    ['setUpClass (m.test_b.B)', row('fail', 'port 5f0c9a43-7be6-4df8-a4c7-7e2b4f6f6f6f is gone')],
  ]),
  peer: new Map([
    [ONE, row('skip')],
    [TWO, row('success')],
    [THREE, row('success')],
  ]),
  passed: new Set([ONE, TWO, 'm.test_z.Z.not_planned']),
  cut: false,
}

test('what passed before and did not run, or failed, is lost; what was not meant to run is not', () => {
  assert.deepEqual(regressions(comparison), [TWO])
  assert.deepEqual(leftOut(comparison), [TWO])
})

test('what a run that was cut off did not reach is left out, not lost', () => {
  const failed = new Map([[ONE, row('fail')]])
  assert.deepEqual(regressions({ ...comparison, ours: failed, cut: true }), [ONE])
})

test('a class that could not be set up holds up its tests', () => {
  assert.deepEqual(behindPeer(comparison), [TWO, THREE])
  assert.deepEqual(aheadOfPeer(comparison), [ONE])
})

test('the table has a line for each file and one for all', () => {
  assert.deepEqual(tableOf(comparison).slice(1), [
    ['m.test_a', '1', '0', '0', '1', ' ', '1', '0', '1', '0'],
    ['m.test_b', '0', '1', '0', '0', '<', '1', '0', '0', '0'],
    ['all', '1', '1', '0', '1', '<', '2', '0', '1', '0'],
  ])
})

test('reasons are told once, whatever ids they name', () => {
  assert.deepEqual(byReason([TWO, THREE], comparison.ours), [
    { reason: 'fail: not run', tests: [TWO] },
    { reason: 'fail: port <id> is gone', tests: [THREE] },
  ])
})

test('errors of the server are told once each, and only errors', () => {
  const line = (level: string, id: string): string =>
    JSON.stringify({ level, msg: 'failed', err: { message: `no ${id}` } })
  const [a, b] = ['5f0c9a43-7be6-4df8-a4c7-7e2b4f6f6f6f', '6f0c9a43-7be6-4df8-a4c7-7e2b4f6f6f6f']
  const log = [line('error', a), line('warn', a), 'a word', line('error', b), ''].join('\n')
  assert.deepEqual(serverErrors(log), ['the server logged 2 × failed: no <id>'])
})
