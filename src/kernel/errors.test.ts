/** The catalogue against its users: templates get their facts, and nothing in it is dead. */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { ApiError, catalogue, type ErrorType } from './errors.ts'

const SOURCE = join(import.meta.dirname, '..')
const files = globSync('**/*.ts', { cwd: SOURCE })
  .filter((path) => !path.endsWith('.test.ts') && !path.startsWith('kernel/errors'))
  .map((path) => ({ path, text: readFileSync(join(SOURCE, path), 'utf8') }))
const types = Object.keys(catalogue) as ErrorType[]

describe('the catalogue', () => {
  test('has nothing that is not used', () => {
    const unused = types.filter((type) => !files.some(({ text }) => text.includes(`'${type}'`)))
    assert.deepEqual(unused, [])
  })
  test('has statuses of refusals and templates that are sentences', () => {
    for (const [type, { status, message }] of Object.entries(catalogue)) {
      assert.ok(status >= 400 && status < 600, type)
      // A sentence may begin with the name of an attribute.
      assert.match(message, /^(['A-Z%(]|[a-z]+_[a-z]+ )/, type)
      assert.doesNotMatch(message.replaceAll(/%\(\w+\)s/g, ''), /%/, `${type} has half a placeholder`)
    }
  })
  test('every place that gives facts in full gives those its template needs', () => {
    let seen = 0
    for (const { path, text } of files) {
      for (const [, type, params = ''] of text.matchAll(/new ApiError\(\s*'(\w+)',\s*\{([^{}]*)\}/g)) {
        if (params.includes('...') || params.includes('[')) continue
        const { message } = catalogue[type as ErrorType]
        const given = [...params.matchAll(/(?:^|,)\s*(\w+)/g)].map(([, name]) => name)
        for (const [, name] of message.matchAll(/%\((\w+)\)s/g))
          assert.ok(given.includes(name), `${path}: ${type} lacks ${name}`)
        seen += 1
      }
    }
    assert.ok(seen > 30, 'the search still finds the places')
  })
})

test('an error carries its type, status, sentence and facts', () => {
  const error = new ApiError('PortNotFound', { port_id: 'x' }, { reason: 'gone' })
  assert.deepEqual(
    [error.type, error.status, error.message, error.facts],
    ['PortNotFound', 404, 'Port x could not be found.', { reason: 'gone' }],
  )
  assert.equal(new ApiError('HTTPBadRequest').message, '')
})
