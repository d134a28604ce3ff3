/** Composing: extensions add, in the order they require, and every clash is reported together. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compose, ModelError } from './compose.ts'
import { defineExtension, defineResource, type Extension, type Resource, text, uuid } from './define.ts'

const thing = (name: string, more: object = {}): Resource =>
  defineResource({
    name,
    plural: `${name}s`,
    table: `${name}s`,
    docs: 'A thing.',
    notFound: { type: 'HTTPNotFound', param: 'id' },
    attributes: { id: uuid(), name: text({ set: 'always' }) },
    ...more,
  }) as Resource
const extension = (alias: string, more: Partial<Extension> = {}): Extension =>
  defineExtension({ alias, name: alias, description: alias, updated: '2026-01-01T00:00:00Z', ...more })

const problemsOf = (work: () => unknown): readonly string[] => {
  try {
    work()
  } catch (error) {
    if (error instanceof ModelError) return error.problems
    throw error
  }
  return []
}

test('attributes of extensions stand beside the resource’s own, each with a column', () => {
  const more = extension('more', { on: { thing: { attributes: { 'binding:host-id': text() } } } })
  const { attributes } = compose([thing('thing')], [more]).resource('thing')
  assert.deepEqual(
    Object.entries(attributes).map(([name, { column }]) => [name, column]),
    [
      ['id', 'id'],
      ['name', 'name'],
      ['binding:host-id', 'binding_host_id'],
    ],
  )
})

test('what an attribute is read by alone has no column', () => {
  const derived = thing('thing', {
    attributes: { id: uuid(), count: text({ sql: '(select 1)' }), kept: text({ sql: 'x', column: 'kept_as' }) },
  })
  const { attributes } = compose([derived], []).resource('thing')
  assert.deepEqual([attributes['count']?.column, attributes['kept']?.column], [null, 'kept_as'])
})

test('names that every object has are no attributes', () => {
  const { attributes } = compose([thing('thing')], []).resource('thing')
  for (const name of ['constructor', 'toString', '__proto__', 'hasOwnProperty'])
    assert.equal(attributes[name], undefined)
})

test('what is required comes first; otherwise by alias', () => {
  const all = [extension('c'), extension('a', { requires: ['b'] }), extension('b', { requires: ['c'] })]
  assert.deepEqual(
    compose([], all).extensions.map((one) => one.alias),
    ['c', 'b', 'a'],
  )
})

test('hooks of all parts run, the resource’s first', () => {
  const said: string[] = []
  const say = (word: string) => () => (said.push(word), [])
  const parts = ['y', 'x'].map((alias) => extension(alias, { on: { thing: { check: say(alias) } } }))
  for (const check of compose([thing('thing', { check: say('own') })], parts).resource('thing').checks)
    check({} as never, {} as never)
  assert.deepEqual(said, ['own', 'x', 'y'])
})

test('all clashes are reported at once', () => {
  const problems = problemsOf(() =>
    compose(
      [thing('thing'), thing('thing'), thing('child', { references: { name: { resource: 'parent' } } })],
      [
        extension('one', { requires: ['absent'] }),
        extension('one'),
        extension('two', { on: { nobody: {}, thing: { attributes: { name: text() } } } }),
      ],
    ),
  )
  for (const expected of [
    /thing is defined twice/,
    /one is defined twice/,
    /one requires absent/,
    /two extends nobody/,
    /child\.name refers to parent/,
    /thing\.name is defined twice, the second time by two/,
  ])
    assert.ok(
      problems.some((one) => expected.test(one)),
      `${expected} in ${problems.join('\n')}`,
    )
})

test('the model is frozen, and says which resource it lacks', () => {
  const model = compose([thing('thing')], [])
  assert.ok(Object.isFrozen(model) && Object.isFrozen(model.resource('thing').attributes))
  assert.throws(() => model.resource('other'), /no resource other/)
})
