/** Which tests are chosen, and that the ratchet only grows. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Row } from './results.ts'
import { chooseTests, readIds, recordPassed } from './selection.ts'

const row = (status: Row['status']): Row => ({ status, seconds: 0, reason: '' })
const [A1, A2, B1] = ['m.test_a.A.test_1', 'm.test_a.A.test_2', 'm.test_b.B.test_1']
const ALL = [A1, A2, B1]
const anything = { only: null, listed: null, rerunFailures: false }

test('all wishes must hold together', () => {
  assert.deepEqual(chooseTests(ALL, anything, new Map()), ALL)
  assert.deepEqual(chooseTests(ALL, { ...anything, only: /test_1/ }, new Map()), [A1, B1])
  assert.deepEqual(chooseTests(ALL, { ...anything, only: /test_1/, listed: new Set([A1, A2]) }, new Map()), [A1])
})

test('failures are run again, and all of a class that could not be set up', () => {
  const earlier = new Map([
    [A1, row('success')],
    [A2, row('fail')],
    ['setUpClass (m.test_b.B)', row('fail')],
  ])
  assert.deepEqual(chooseTests(ALL, { ...anything, rerunFailures: true }, earlier), [A2, B1])
})

test('what passed is added, what failed is not taken away', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'deuteron-selection-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'passed.tsv')
  recordPassed(file, new Map([[A2, row('success')]]))
  recordPassed(
    file,
    new Map([
      [A1, row('success')],
      [A2, row('fail')],
      [B1, row('skip')],
    ]),
  )
  assert.deepEqual(readIds(file), new Set([A1, A2]))
  writeFileSync(file, `${A1}\tsuccess\n\n${B1}\n`)
  assert.deepEqual(readIds(file), new Set([A1, B1]))
})
