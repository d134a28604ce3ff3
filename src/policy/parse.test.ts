/** The language: reading it, writing it, and what is said about mistakes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { checks } from './arbitrary.test-support.ts'
import { print } from './ast.ts'
import { parse, RuleSyntaxError, type RuleText } from './parse.ts'

test('what is written is read back as the same tree', () => {
  fc.assert(
    fc.property(checks(['owner', 'network:x']), (check) => {
      assert.deepEqual(parse(print(check)), check)
    }),
    { numRuns: 2000 },
  )
})

test('not binds tighter than and, and tighter than or', () => {
  assert.deepEqual(parse('rule:a or rule:b and not rule:c'), parse('rule:a or (rule:b and (not (rule:c)))'))
  assert.notDeepEqual(parse('rule:a or rule:b and rule:c'), parse('(rule:a or rule:b) and rule:c'))
  assert.equal(print(parse('NOT rule:a AND rule:b')), 'not rule:a and rule:b')
})

test('an empty rule allows, and so does an empty list; a list of nothing denies', () => {
  assert.deepEqual(parse(''), { kind: 'always' })
  assert.deepEqual(parse([]), { kind: 'always' })
  assert.deepEqual(parse([[]]), { kind: 'never' })
  assert.deepEqual(parse('@'), { kind: 'always' })
  assert.deepEqual(parse('!'), { kind: 'never' })
})

test('in the list form the outer list is or, inner lists are and', () => {
  const old: RuleText = [['role:admin'], ['project_id:%(project_id)s', 'role:member'], 'rule:shared']
  assert.deepEqual(parse(old), parse('role:admin or project_id:%(project_id)s and role:member or rule:shared'))
})

test('a field may hold colons and an expression parentheses', () => {
  assert.deepEqual(parse('field:networks:router:external=True'), {
    kind: 'field',
    resource: 'networks',
    attribute: 'router:external',
    value: 'True',
  })
  assert.deepEqual(parse('(field:port:device_owner=~^(network|compute):.)'), {
    kind: 'field',
    resource: 'port',
    attribute: 'device_owner',
    value: '~^(network|compute):.',
  })
})

const mistakes: readonly [RuleText, number, RegExp][] = [
  ['rule:a and', 11, /ends where a check is expected/],
  ['rule:a rule:b', 8, /'and' or 'or' is expected/],
  ['rule:a or (rule:b', 11, /never closed/],
  ['rule:a) or rule:b', 7, /expected here, not '\)'/],
  ['rule:a and or rule:b', 12, /a check is expected here, not 'or'/],
  ['rule:a or nonsense', 11, /not a check/],
  ['rule:', 6, /rule name is missing/],
  ['role:', 6, /role name is missing/],
  ['project_id:%(project_id)', 12, /after % an attribute is expected/],
  ['rule:a or project_id:x%dy', 23, /after % an attribute is expected/],
  ['field:networks:shared', 7, /field:resources:attribute=value/],
  ['field:port:device_owner=~[', 26, /not a regular expression/],
  ['role:a and http://decide.example/%(name)s', 12, /http checks are not supported/],
  ['https:decide', 1, /http checks are not supported/],
  ["'Member:%(role)s", 1, /quotation mark/],
  [' ', 2, /ends where a check is expected/],
  ['a:%(x)s%(y)s%(z)s', 3, /two attributes at most/],
]
for (const [text, column, say] of mistakes)
  test(`the mistake in "${text}" is found at column ${column}`, () => {
    assert.throws(
      () => parse(text),
      (error) => {
        assert.ok(error instanceof RuleSyntaxError)
        assert.match(error.message, say)
        assert.equal(error.column, column)
        return true
      },
    )
  })
