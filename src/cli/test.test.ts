import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dispatch } from './commands.ts'
import { columns, createOutput, humanSize } from './output.ts'
import { countTap } from './test.ts'

test('a TAP stream is counted; what was skipped is listed with its reason', () => {
  const tap = [
    'TAP version 13',
    'ok 1 - fine',
    'ok 2 - later # SKIP needs root',
    '    ok 1 - inner # SKIP',
    'ok 3 - one day # TODO',
    'not ok 4 - broken',
    '1..4',
    '# pass 1',
    '# fail 1',
    '# cancelled 2',
    '# skipped 2',
  ].join('\n')
  assert.deepEqual(countTap(tap), {
    passed: 1,
    failed: 3,
    skipped: [
      { name: 'later', reason: 'needs root' },
      { name: 'inner', reason: 'no reason given' },
      { name: 'one day', reason: 'no reason given' },
    ],
  })
})

test('columns are as wide as their longest cell, without blanks at the end', () => {
  assert.deepEqual(
    columns([
      ['a', 'bb', 'c'],
      ['aaa', '', ''],
    ]),
    ['a    bb  c', 'aaa'],
  )
})

test('sizes are written for people', () => {
  assert.deepEqual([0, 1023, 1536, 9_751_756, 3 * 1024 ** 4].map(humanSize), [
    '0 B',
    '1023 B',
    '1.5 KiB',
    '9.3 MiB',
    '3.0 TiB',
  ])
})

test('colour is for terminals, and NO_COLOR switches it off', () => {
  const red = (env: Record<string, string>, terminal: boolean): boolean =>
    createOutput(env, terminal).paint('red', 'x') !== 'x'
  assert.deepEqual(
    [red({}, true), red({}, false), red({ NO_COLOR: '1' }, true), red({ TERM: 'dumb' }, true)],
    [true, false, false, false],
  )
  assert.equal(red({ FORCE_COLOR: '1' }, false), true)
})

test('every command explains itself, and help names them all', async () => {
  const lines: string[] = []
  const out = { ...createOutput({}, false), line: (text = ''): void => void lines.push(text) }
  const context = { env: {}, root: '/nonexistent', out }
  assert.equal(await dispatch([], '1.2.3', context), 0)
  const names = lines.map((line) => /^ {2}(\w+) {2}/.exec(line)?.[1]).filter((name) => name !== undefined)
  assert.ok(names.includes('up') && names.includes('lab') && names.includes('version'))
  for (const name of names.filter((one) => !['help', 'version', 'lab'].includes(one))) {
    lines.length = 0
    assert.equal(await dispatch([name, '--help'], '1.2.3', context), 0)
    assert.match(lines[0] ?? '', new RegExp(`^usage: deuteron ${name}\\b`))
  }
  await assert.rejects(dispatch(['labb'], '1.2.3', context), /There is no command "labb": did you mean "lab"\?/)
})
