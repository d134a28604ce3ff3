/**
 * Requests that no proper client sends, as bytes on a connection: each gets an answer of the 4xx kind in the form of all
 * errors, none leaves a row, an open connection or a dead server behind.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { catalogue, type ErrorType } from '#kernel/errors.ts'
import { newId } from '#kernel/ids.ts'
import { collectionPath, objectPath } from '#model/paths.ts'
import { exchange, type RawAnswer } from '../lib/raw.ts'
import { answered, refused } from '../lib/refused.ts'
import { type Reply, type TestServer, testServer } from '../lib/server.ts'
import { verify } from '../lib/verify.ts'

const REQUEST_TIMEOUT = 2

let server: TestServer
before(async () => {
  server = await testServer({ settings: { requestTimeout: REQUEST_TIMEOUT } })
})
after(() => server.close())

const HOST = 'Host: api\r\nConnection: close\r\n'
const get = (target: string, headers = HOST): string => `GET ${target} HTTP/1.1\r\n${headers}\r\n`
const post = (headers: string, body: string | Buffer): Buffer =>
  Buffer.concat([Buffer.from(`POST /v2.0/networks HTTP/1.1\r\n${HOST}${headers}\r\n\r\n`), Buffer.from(body)])
const sized = (body: string | Buffer, headers = ''): Buffer =>
  post(`${headers}Content-Length: ${Buffer.byteLength(body)}`, body)

const send = (...pieces: (string | Buffer)[]): Promise<RawAnswer> => exchange(server.url, pieces)

function refusedAs(type: ErrorType, { status, body, text }: RawAnswer): void {
  assert.equal(status, catalogue[type].status, text.slice(0, 300))
  assert.equal(JSON.parse(body).NeutronError.type, type)
}

const rows = async (): Promise<unknown> =>
  (await server.database.query('select count(*)::int as n from change')).map((one) => one['n'])

/** What is wrong, the bytes, and the error they get. */
const MALFORMED: readonly (readonly [string, string | Buffer, ErrorType])[] = [
  ['a header of 20 kB', get('/v2.0/networks', `${HOST}X-A: ${'a'.repeat(20_000)}\r\n`), 'RequestHeaderTooLarge'],
  ['3,000 headers', get('/v2.0/networks', `${HOST}${'a: b\r\n'.repeat(3000)}`), 'RequestHeaderTooLarge'],
  ['a URL of 100 kB', get(`/v2.0/networks?${'a'.repeat(100_000)}`), 'RequestHeaderTooLarge'],
  ['10,000 query parameters', get(`/v2.0/networks?${'a=1&'.repeat(10_000)}`), 'RequestHeaderTooLarge'],
  ['NUL in a header', get('/v2.0/networks', `${HOST}X-A: a\0b\r\n`), 'HTTPBadRequest'],
  ['CR in a header', get('/v2.0/networks', `${HOST}X-A: a\rb\r\n`), 'HTTPBadRequest'],
  ['a header that goes on in the next line', get('/v2.0/networks', `${HOST}X-A: a\r\n b\r\n`), 'HTTPBadRequest'],
  ['a blank before the colon', get('/v2.0/networks', `${HOST}X-A : a\r\n`), 'HTTPBadRequest'],
  ['lines that end with LF', 'GET /v2.0/networks HTTP/1.1\nHost: x\n\n', 'HTTPBadRequest'],
  [
    'two ways to say the length',
    post('Content-Length: 6\r\nTransfer-Encoding: chunked', '0\r\n\r\nGET'),
    'HTTPBadRequest',
  ],
  ['two lengths', post('Content-Length: 2\r\nContent-Length: 3', '{}'), 'HTTPBadRequest'],
  ['a negative length', post('Content-Length: -1', '{}'), 'HTTPBadRequest'],
  ['a length that is no number', post('Content-Length: 0x2', '{}'), 'HTTPBadRequest'],
  ['an unknown transfer encoding', post('Transfer-Encoding: xchunked', '0\r\n\r\n'), 'HTTPBadRequest'],
  ['chunks that are none', post('Transfer-Encoding: chunked', 'zz\r\n{}\r\n0\r\n\r\n'), 'HTTPBadRequest'],
  ['a length that is too short', post('Content-Length: 1', '{"network":{}}'), 'HTTPBadRequest'],
  ['a length beyond the limit', post('Content-Length: 99999999999', '{}'), 'RequestBodyTooLarge'],
  ['a compressed body', sized('{"network":{}}', 'Content-Encoding: gzip\r\n'), 'MalformedRequestBody'],
  ['an empty content type', sized('{"network":{}}', 'Content-Type: \r\n'), 'MalformedRequestBody'],
  ['a content type of nothing', sized('{"network":{}}', 'Content-Type: ;;;\r\n'), 'MalformedRequestBody'],
  ['a body that is not UTF-8', sized(Buffer.from('{"network":{"name":"\xff\xfe"}}', 'latin1')), 'MalformedRequestBody'],
  ['an unknown verb', `BREW /v2.0/networks HTTP/1.1\r\n${HOST}\r\n`, 'HTTPBadRequest'],
  ['a verb in small letters', `get /v2.0/networks HTTP/1.1\r\n${HOST}\r\n`, 'HTTPBadRequest'],
  ['HTTP/9.9', `GET / HTTP/9.9\r\n${HOST}\r\n`, 'HTTPBadRequest'],
  ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'HTTPBadRequest'],
  ['the hello of TLS', Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]), 'HTTPBadRequest'],
  ['bytes above ASCII in the path', Buffer.from(get('/v2.0/networks/\xff\xfe'), 'latin1'), 'HTTPBadRequest'],
  ['a percent sign that encodes nothing', get('/v2.0/networks/%zz'), 'HTTPBadRequest'],
  ['a percent sign that encodes no UTF-8', get('/v2.0/networks/%c3%28'), 'HTTPBadRequest'],
  ['percent signs in a query', get('/v2.0/networks?%=%ff'), 'HTTPBadRequest'],
  ['an id of 1,000 characters', get(`/v2.0/networks/${'a'.repeat(1000)}`), 'HTTPNotFound'],
  ['a path with dots', get('/v2.0/../healthz'), 'HTTPNotFound'],
  ['slashes in a row', get('//v2.0//networks'), 'HTTPNotFound'],
  ['a host that is none', get('/v2.0/networks?limit=1', 'Host: a"b<c>\r\nConnection: close\r\n'), 'HTTPBadRequest'],
  ['two hosts', get('/v2.0/networks?limit=1', 'Host: a\r\nhost: b\r\nConnection: close\r\n'), 'HTTPBadRequest'],
  ['a host with a path', get('/v2.0/networks?limit=1', 'Host: a/b\r\nConnection: close\r\n'), 'HTTPBadRequest'],
  ['a port that is none', get('/v2.0/networks?limit=1', 'Host: a:99999\r\nConnection: close\r\n'), 'HTTPBadRequest'],
  ['the server as a whole', `OPTIONS * HTTP/1.1\r\n${HOST}\r\n`, 'HTTPNotFound'],
]

describe('what is no proper request', () => {
  for (const [what, bytes, type] of MALFORMED) {
    test(what, async () => {
      const before = await rows()
      const answer = await send(bytes)
      refusedAs(type, answer)
      assert.deepEqual(await rows(), before)
    })
  }
})

describe('a request that does not come to its end', () => {
  const within = REQUEST_TIMEOUT * 2 + 1
  const late = async (pieces: (string | Buffer)[], pauseMs = 0): Promise<void> => {
    const answer = await exchange(server.url, pieces, { pauseMs, withinMs: within * 1000 })
    refusedAs('RequestTimeout', answer)
    assert.ok(answer.seconds >= REQUEST_TIMEOUT, `${answer.seconds} s`)
  }
  test('half a header', () => late(['GET /v2.0/networks HTTP/1.1\r\nHost: x\r\n']))
  test('half a body', () => late([post('Content-Length: 100', '{"network":{}}')]))
  test('half a chunk', () => late([post('Transfer-Encoding: chunked', '20\r\n{"network":')]))
  test('a header that drips', () => late(['GET / HTTP/1.1\r\n', ...Array(30).fill('a: b\r\n')], 150))
  test('a body that drips', () => late([post('Content-Length: 1000', '{'), ...Array(30).fill(' ')], 150))
})

describe('what is proper, if rare', () => {
  const ok = async (bytes: string | Buffer, status = 200): Promise<string> => {
    const answer = await send(bytes)
    assert.equal(answer.status, status, answer.text.slice(0, 300))
    return answer.text
  }
  test('HTTP/1.0, without a host, and links that lead back', async () => {
    const text = await ok('GET /v2.0/networks?limit=1 HTTP/1.0\r\n\r\n')
    assert.match(text, /"http:\/\/127\.0\.0\.1:\d+\/v2\.0\/networks\?limit=1/)
  })
  test('a proxy’s form of the target', async () => void (await ok(get('http://elsewhere/v2.0/networks'))))
  test('a slash or `.json` at the end', async () => {
    await ok(get('/v2.0/networks/'))
    await ok(get('/v2.0/networks.json?fields=id'))
  })
  test('several requests at once on one connection, answered in their order', async () => {
    const [one, two] = [get('/v2.0/nowhere', 'Host: x\r\n'), get('/v2.0/ports', 'Host: x\r\n')]
    const { text } = await send(one + two + get('/v2.0/networks'))
    assert.deepEqual(text.match(/HTTP\/1\.1 \d+/g), ['HTTP/1.1 404', 'HTTP/1.1 200', 'HTTP/1.1 200'])
  })
  test('a body sent when it is asked for', async () => {
    const text = await ok(sized('{"network":{}}', 'Expect: 100-continue\r\n'), 100)
    assert.match(text, /HTTP\/1\.1 201 /)
  })
  test('a body in chunks', async () =>
    void (await ok(post('Transfer-Encoding: chunked', 'e\r\n{"network":{}}\r\n0\r\n\r\n'), 201)))
  test('an expectation that nobody meets', async () => void (await ok(sized('{}', 'Expect: wonders\r\n'), 417)))
  test('an upgrade that is not offered is passed over', async () =>
    void (await ok(get('/v2.0/networks', 'Host: x\r\nConnection: Upgrade, close\r\nUpgrade: h2c\r\n'))))
})

test('verbs that nothing has are refused everywhere', async () => {
  const { model } = server.core
  for (const resource of [...model.resources.values()].filter(({ operations }) => operations.length > 0)) {
    const paths = resource.operations.includes('show') ? [collectionPath, objectPath] : [collectionPath]
    for (const path of resource.operations.includes('list') ? paths.map((of) => of(model, resource)) : []) {
      for (const method of ['HEAD', 'OPTIONS', 'PATCH', 'TRACE']) {
        const { status, text } = await server.admin.send(method, path.replaceAll(/:\w+/g, newId()))
        assert.equal(status, 405, `${method} ${path} → ${status} ${text}`)
        assert.equal(text === '', method === 'HEAD')
      }
    }
  }
})

const badBytes = (at: number): string | Buffer => MALFORMED[at % MALFORMED.length]?.[1] ?? ''

test('a thousand connections that misbehave leave nothing behind', async () => {
  const count = (): Promise<number> =>
    new Promise((resolve) => server.app.server.getConnections((_, open) => resolve(open)))
  for (let round = 0; round < 20; round++) {
    await Promise.all(Array.from({ length: 50 }, (_, at) => send(badBytes(round * 50 + at))))
  }
  for (const end = Date.now() + 5000; (await count()) > 0 && Date.now() < end; ) await sleep(20)
  assert.equal(await count(), 0)
  const healthy = await fetch(`${server.url}/healthz`)
  assert.equal(healthy.status, 200)
  await healthy.text()
  assert.deepEqual(await verify(server.core), [])
})

describe('bodies too much', () => {
  const deep = (depth: number, open = '[', close = ']'): string => open.repeat(depth) + close.repeat(depth)
  const network = (name: string): Promise<Reply> =>
    server.admin.send('POST', 'networks', `{"network":{"name":${name}}}`)

  test('nested 100,000 deep', async () => {
    for (const value of [deep(100_000), deep(100_000, '{"a":', '}').replace(':}', ':1}')])
      refused(await network(value), 'MalformedRequestBody', /nested deeper than 64 levels/)
    refused(await server.admin.send('POST', 'networks', deep(100_000)), 'MalformedRequestBody', /nested deeper/)
    refused(await network(JSON.stringify('['.repeat(300))), 'HTTPBadRequest', /exceeds maximum length/)
  })
  test('what is nested in text is not nested', async () => {
    const name = '"\\"'.repeat(60)
    answered(await network(JSON.stringify(name)), 201)
    answered(await network(JSON.stringify('[{'.repeat(100))), 201)
  })
  test('more objects than one request may create', async () => {
    const many = (count: number) => server.admin.post('networks', { networks: Array(count).fill({}) })
    refused(await many(server.settings.maxBulkItems + 1), 'HTTPBadRequest', /at most 1000 are created at once/)
    answered(await many(3), 201)
  })
  test('100,000 addresses of one port', async () => {
    const { id } = await server.admin.make('network', {})
    const port = { network_id: id, fixed_ips: Array(50_000).fill({ ip_address: '::' }) }
    assert.equal((await server.admin.post('ports', { port })).status, 400)
  })
  test('numbers beyond all', async () => {
    for (const mtu of [`1${'0'.repeat(1000)}`, '1e999', '-1e999', '9007199254740993', '0.1'])
      refused(await server.admin.send('POST', 'networks', `{"network":{"mtu":${mtu}}}`), 'HTTPBadRequest')
  })
  test('a name given twice holds as given last; a prototype is a name like others', async () => {
    const twice = await server.admin.send('POST', 'networks', '{"network":{"name":"a","name":"b"}}')
    assert.equal(answered(twice, 201).network.name, 'b')
    for (const name of ['__proto__', 'constructor', 'toString']) {
      const reply = await server.admin.send('POST', 'networks', `{"network":{"${name}":{"admin_state_up":false}}}`)
      refused(reply, 'HTTPBadRequest', /Unrecognized attribute/)
      refused(await server.admin.send('POST', 'networks', `{"${name}":{"name":"x"}}`), 'HTTPBadRequest')
      refused(await server.admin.get(`networks?${name}=1`), 'HTTPBadRequest', /invalid attribute for filtering/)
      refused(await server.admin.get(`networks?sort_key=${name}`), 'HTTPBadRequest', /sort/)
      assert.deepEqual(answered(await server.admin.get(`networks?limit=1&fields=${name}`), 200).networks, [{}])
    }
    assert.equal(({} as { admin_state_up?: unknown }).admin_state_up, undefined)
  })
})

test('a path is asked for its caller however it is written', async () => {
  await using guarded = await testServer({ identity: 'builtin' })
  const targets = [
    '/v2.0/networks',
    '/%762.0/networks',
    '/v2%2E0/networks',
    'http://elsewhere/v2.0/networks',
    '/v2.0/nowhere',
  ]
  for (const target of [
    ...targets,
    '/%76%32.0/watch',
    '/v2.0/networks/',
    '/v2.0/quotas.json',
    '/v2.0/openapi.json',
    '/%762.0/extensions',
  ]) {
    const { status } = await exchange(guarded.url, [get(target)])
    assert.equal(status, 401, target)
  }
})
