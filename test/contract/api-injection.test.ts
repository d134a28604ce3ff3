/**
 * Text that means something elsewhere (to SQL, to patterns, to headers, to a terminal) is text here: it is found as it
 * was written, by itself alone, and goes nowhere else.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { answered, refused } from '../lib/refused.ts'
import { exchange } from '../lib/raw.ts'
import { type Client, type TestServer, testServer } from '../lib/server.ts'
import { verify } from '../lib/verify.ts'

const HOSTILE = [
  "'; drop table ports; --",
  "' or '1'='1",
  "x' || pg_sleep(9) || '",
  '"; select 1; --',
  '\\',
  "\\'",
  '%',
  '_',
  'a%',
  '$1',
  '{a,b}',
  '/* once */',
  'a\r\nSet-Cookie: a=b',
  '\u001b[31mred',
  '<script>alert(1)</script>',
  '../../etc/passwd',
  'null',
  'NULL',
  '',
  ' ',
]

interface Named {
  readonly id: string
  readonly name: string
  readonly description: string
  readonly tags: readonly string[]
}

let server: TestServer
let member: Client
const networks: Named[] = []

before(async () => {
  server = await testServer({ settings: { quotaNetwork: -1 } })
  member = server.as('p1')
  for (const [at, name] of HOSTILE.entries()) {
    const description = HOSTILE[(at + 1) % HOSTILE.length]
    const { id } = await member.make('network', { name, description })
    // No tag is empty or has a comma or a slash.
    const tags = /^$|[,/]/.test(name) ? [] : [name]
    answered(await member.put(`networks/${id}/tags`, { tags }), 200)
    networks.push({ id, name, description: String(description), tags })
  }
})
after(async () => {
  assert.deepEqual(await verify(server.core), [])
  await server.close()
})

const ids = async (query: string): Promise<string[]> =>
  answered(await member.get(`networks?fields=id&${query}`), 200)
    .networks.map((one: Named) => one.id)
    .sort()
const those = (which: (one: Named) => boolean): string[] =>
  networks
    .filter(which)
    .map((one) => one.id)
    .sort()
const escaped = encodeURIComponent

/** What was stored, and what looks like it. */
const words = fc.oneof(
  fc.constantFrom(...HOSTILE),
  fc.string({ unit: fc.constantFrom(...'\'"\\%_$;-*a1(){} '), maxLength: 6 }),
)

describe('filters', () => {
  test('match what is written, literally', async () => {
    await fc.assert(
      fc.asyncProperty(words, words, async (a, b) => {
        assert.deepEqual(
          await ids(`name=${escaped(a)}`),
          those(({ name }) => name === a),
        )
        const either = `description=${escaped(a)}&description=${escaped(b)}`
        assert.deepEqual(
          await ids(either),
          those(({ description }) => description === a || description === b),
        )
      }),
      { numRuns: 60 },
    )
  })
  test('of tags too', async () => {
    const plain = words.filter((one) => !/^$|[,/]/.test(one))
    await fc.assert(
      fc.asyncProperty(plain, async (tag) => {
        assert.deepEqual(
          await ids(`tags=${escaped(tag)}`),
          those(({ tags }) => tags.includes(tag)),
        )
        assert.deepEqual(
          await ids(`not-tags-any=${escaped(tag)}`),
          those(({ tags }) => !tags.includes(tag)),
        )
      }),
      { numRuns: 40 },
    )
  })
  test('of parts of addresses too', async () => {
    const { id } = await member.make('network', {})
    await member.make('subnet', { network_id: id, ip_version: 4, cidr: '10.0.0.0/24' })
    for (let made = 0; made < 3; made++) await member.make('port', { network_id: id })
    const ports: Record<string, any>[] = answered(await member.get(`ports?network_id=${id}`), 200).ports
    const address = (port: Record<string, any>): string => port['fixed_ips'][0].ip_address
    for (const part of ['10.', '%', '_', '10_0', '.', '0.0.2', '\\', "'", address(ports[1] ?? {})]) {
      const query = `ports?network_id=${id}&fixed_ips=${escaped(`ip_address_substr=${part}`)}`
      const found = answered(await member.get(query), 200)
        .ports.map(address)
        .sort()
      assert.deepEqual(
        found,
        ports
          .map(address)
          .filter((one) => one.includes(part))
          .sort(),
        part,
      )
    }
  })
})

test('sort keys, directions, fields, markers and names of filters are none of these texts', async () => {
  for (const text of HOSTILE.filter((one) => one.trim() !== '')) {
    const word = escaped(text)
    refused(await member.get(`networks?sort_key=${word}`), 'HTTPBadRequest')
    refused(await member.get(`networks?sort_key=name&sort_dir=${word}`), 'HTTPBadRequest')
    refused(await member.get(`networks?limit=1&marker=${word}`), 'NetworkNotFound')
    refused(await member.get(`networks?${word}=1`), 'HTTPBadRequest')
    refused(await member.get(`networks?limit=${word}`), 'HTTPBadRequest')
    assert.deepEqual(answered(await member.get(`networks?limit=1&fields=${word}`), 200).networks, [{}])
  }
})

test('nothing a client writes becomes a header of an answer', async () => {
  const name = escaped('a\r\nSet-Cookie: a=b')
  for (const target of [`/v2.0/networks?limit=1&name=${name}`, `/v2.0/networks/${name}`, `/v2.0/${name}`, `/${name}`]) {
    const { head, status } = await exchange(server.url, [
      `GET ${target} HTTP/1.1\r\nHost: x\r\nX-Openstack-Request-Id: ${name}\r\nConnection: close\r\n\r\n`,
    ])
    assert.ok(status === 200 || status === 404, `${target}: ${status}`)
    assert.doesNotMatch(head, /set-cookie|%0d/i)
  }
})

test('instants at the ends of time', async () => {
  for (const instant of [
    '0001-01-01T00:00:00+14:00',
    '9999-12-31T23:59:59-14:00',
    '-271821-04-20T00:00:00Z',
    '275760-09-13T00:00:00Z',
    'infinity',
    'now',
  ])
    for (const name of ['changed_since', 'as_of']) {
      const { status, text } = await member.get(`networks?${name}=${escaped(instant)}`)
      assert.equal(status, 400, `${name}=${instant}: ${text}`)
    }
})
