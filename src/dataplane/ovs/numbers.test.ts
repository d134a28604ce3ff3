/** Numbers survive a restart, are never given twice, and their file serves one process. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { openNumbers } from './numbers.ts'

test('a key keeps its number over restarts; a freed one is not given to the next', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'numbers-'))
  t.after(() => rmSync(dir, { recursive: true }))
  const first = openNumbers(dir)
  const [a, b] = [first.of('port', 'a'), first.of('port', 'b')]
  assert.notEqual(a, b)
  assert.equal(first.of('network', 'a'), 1, 'spaces are apart')
  first.close()
  const second = openNumbers(dir)
  assert.equal(second.of('port', 'b'), b)
  assert.deepEqual([...second.prune('port', (key) => key === 'b')], [['a', a]])
  const c = second.of('port', 'c')
  assert.ok(c !== a && c !== b)
  assert.throws(() => openNumbers(dir), /in use by another agent/)
  second.close()
  const third = openNumbers(dir)
  assert.equal(third.of('port', 'c'), c)
  third.close()
})

test('the space wraps around and then says that it is used up', () => {
  const numbers = openNumbers(null)
  for (let i = 0; i < 0xffff; i++) numbers.of('port', `p${i}`)
  assert.throws(() => numbers.of('port', 'one more'), /no port number is left/)
  const freed = numbers.prune('port', (key) => key !== 'p7')
  assert.equal(numbers.of('port', 'one more'), freed.get('p7'))
})
