/** Names as the DNS has them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assign, domainIssue, parseDomain, parseHostName } from './names.ts'

test('names of hosts: letters, digits and inner hyphens, in labels of up to 63', () => {
  for (const name of ['', 'web', 'web-1', 'a.b.c.', 'x'.repeat(63), `${'a.'.repeat(127)}b.`])
    assert.equal(parseHostName(name.toUpperCase()), name)
  const wrong: [unknown, RegExp][] = [
    ['-a', /hyphen/],
    ['a-.b', /hyphen/],
    ['a..b', /empty component/],
    ['.', /empty component/],
    ['x'.repeat(64), /1-63 characters/],
    ['a b', /1-63 characters/],
    ['ä', /1-63 characters/],
    ['web.1', /TLD '1' must not be all numeric/],
    [`${'a.'.repeat(128)}b`, /maximum length|FQDN limit/],
    [7, /not a valid string/],
  ]
  for (const [name, reason] of wrong) assert.throws(() => parseHostName(name), reason, String(name))
})

test('domains are whole names with room for a host’s', () => {
  assert.equal(parseDomain('Example.ORG.'), 'example.org.')
  assert.equal(parseDomain(''), '')
  assert.throws(() => parseDomain('example.org'), /is not a FQDN/)
  assert.throws(() => parseDomain(`${'a.'.repeat(127)}`), /exceed the maximum length/)
})

test('a name stands in the configured domain, if there is one', () => {
  assert.equal(domainIssue('web', 'example.org'), null)
  assert.equal(domainIssue('web.example.org.', 'example.org.'), null)
  assert.match(domainIssue('web.example.com.', 'example.org') ?? '', /must be equal to the dns_domain option/)
  assert.match(domainIssue('example.org.', 'example.org') ?? '', /one or more valid DNS labels/)
  assert.match(domainIssue('a'.repeat(250), 'example.org') ?? '', /exceeds the maximum size/)
  for (const domain of ['', 'openstacklocal']) assert.equal(domainIssue('web.example.com.', domain), null)
})

test('every address has a name', () => {
  const names = (name: string, domain: string) => assign(name, ['10.0.0.5', 'fd00::5'], domain).map((one) => one.fqdn)
  assert.deepEqual(names('', 'example.org'), ['host-10-0-0-5.example.org.', 'host-fd00--5.example.org.'])
  assert.deepEqual(names('web', ''), ['web', 'web'])
  assert.deepEqual(names('web.other.', 'example.org'), ['web.other.', 'web.other.'])
})
