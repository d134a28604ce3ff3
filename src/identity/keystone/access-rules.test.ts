/** Access rules: which paths a pattern stands for, and that no pattern takes long. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { allows, pathMatches } from './access-rules.ts'

test('a pattern stands for whole paths: * and {name} within a segment, ** across', () => {
  const cases: readonly [pattern: string, path: string, expected: boolean][] = [
    ['/v2.0/networks', '/v2.0/networks', true],
    ['/v2.0/networks', '/v2.0/networks/', false],
    ['/v2.0/networks', '/v2.0/network', false],
    ['/v2.0/networks', '/v2x0/networks', false],
    ['/v2.0/networks/*', '/v2.0/networks/a', true],
    ['/v2.0/networks/*', '/v2.0/networks/', false],
    ['/v2.0/networks/*', '/v2.0/networks/a/b', false],
    ['/v2.0/networks/{network_id}', '/v2.0/networks/a-b', true],
    ['/v2.0/networks/{network_id}', '/v2.0/networks/a/b', false],
    ['/v2.0/*/x/{id}/y', '/v2.0/routers/x/7/y', true],
    ['/v2.0/*s/a', '/v2.0/ports/a', true],
    ['/v2.0/*s/a', '/v2.0/port/a', false],
    ['/v2.0/**', '/v2.0/', true],
    ['/v2.0/**', '/v2.0/a/b/c', true],
    ['/v2.0/**', '/v2.0', false],
    ['**/ports', '/v2.0/ports', true],
    ['**', '', true],
    ['*', '', false],
    ['', '', true],
    ['/{', '/{', true],
    ['/{', '/a', false],
    ['***', 'a', true],
    ['***', '', false],
  ]
  for (const [pattern, path, expected] of cases)
    assert.equal(pathMatches(pattern, path), expected, `${pattern} ${path}`)
})

test('a pattern says the same as the regular expression it stands for', () => {
  const part = fc.constantFrom('a', 'b', '/', '*', '**', '{id}', '.')
  const pattern = fc.array(part, { maxLength: 8 }).map((parts) => parts.join(''))
  const path = fc.array(fc.constantFrom('a', 'b', '/', '.'), { maxLength: 8 }).map((chars) => chars.join(''))
  const expressionOf = (text: string): RegExp => {
    const parts = text.match(/\{[^}]*\}|\*\*|\*|[^]/g) ?? []
    const source = parts.map((one) => (one === '**' ? '.*' : /^[*{]/.test(one) ? '[^/]+' : one.replace('.', '\\.')))
    return new RegExp(`^${source.join('')}$`)
  }
  fc.assert(
    fc.property(pattern, path, (one, other) => pathMatches(one, other) === expressionOf(one).test(other)),
    { numRuns: 2000 },
  )
})

test('the worst pattern on the longest path is done in no time', () => {
  const began = performance.now()
  assert.equal(pathMatches('**a'.repeat(42), `${'a'.repeat(16_000)}b`), false)
  assert.ok(performance.now() - began < 3000)
})

test('service and method must fit too; a query does not matter', () => {
  const rules = [{ service: 'network', method: 'GET', path: '/v2.0/ports' }]
  const asked = (method: string, path: string, type = 'network') => allows(rules, type, { method, path })
  assert.equal(asked('GET', '/v2.0/ports?fields=id'), true)
  assert.equal(asked('POST', '/v2.0/ports'), false)
  assert.equal(asked('GET', '/v2.0/ports', 'compute'), false)
  const all = [{ service: 'network', method: 'GET', path: '**' }]
  assert.equal(allows(all, 'network', { method: 'GET', path: `/${'x'.repeat(2047)}` }), true)
  assert.equal(allows(all, 'network', { method: 'GET', path: `/${'x'.repeat(2048)}` }), false)
  assert.equal(allows([], 'network', { method: 'GET', path: '/v2.0/ports' }), false)
})
