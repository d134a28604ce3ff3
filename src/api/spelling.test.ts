/** The ways of writing a path lead to one route; nothing else of a URL changes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compose } from '#model/compose.ts'
import { coreResources } from '#resources/index.ts'
import { spelling } from './spelling.ts'

const spelled = spelling(compose(coreResources, []))

test('a collection is found with dashes and with underscores', () => {
  assert.equal(spelled('/v2.0/security_groups'), '/v2.0/security-groups')
  assert.equal(spelled('/v2.0/security-groups?name=a_b'), '/v2.0/security-groups?name=a_b')
  assert.equal(spelled('/v2.0/security_group-rules/a_b?fields=c_d'), '/v2.0/security-group-rules/a_b?fields=c_d')
})

test('`.json` or a slash at the end is left out, but where it is a name', () => {
  assert.equal(spelled('/v2.0/networks.json?name=a.json'), '/v2.0/networks?name=a.json')
  assert.equal(spelled('/v2.0/networks/'), '/v2.0/networks')
  assert.equal(spelled('/v2.0/networks/x.json'), '/v2.0/networks/x')
  assert.equal(spelled('/v2.0/networks/x/tags/a.json'), '/v2.0/networks/x/tags/a.json')
})

test('a URL with the host in front is its path', () => {
  assert.equal(spelled('http://other/v2.0/networks?name=x'), '/v2.0/networks?name=x')
  assert.equal(spelled('HTTPS://other:1/v2.0/security_groups'), '/v2.0/security-groups')
})

test('what is no collection stays as it is', () => {
  for (const url of [
    '/',
    '/v2.0',
    '/v2.0/',
    '/v2.0/net_works',
    '/v3/security_groups',
    '/v2.0/networks/a_b',
    '//v2.0/x',
    '/v2.0/openapi.json',
    '/v2.0/networks//',
    '*',
  ])
    assert.equal(spelled(url), url)
})
