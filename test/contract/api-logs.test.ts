/** What reaches the logs at their finest: a record a line whatever clients send, and no token or password of theirs. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLogger, type Logger } from '#kernel/log.ts'
import { identityOf } from '../../bin/parts.ts'
import { loadSettings } from '#launch/settings.ts'
import { exchange } from '../lib/raw.ts'
import { testServer } from '../lib/server.ts'

const SECRET = 'Recognisable-0815'
/** Colours, a bell, and a line that looks like a record. */
const FORGED = '\u001b[31m\u0007\n{"level":"fatal","msg":"forged"}\r\n'

/** A log at level `trace`, and its text so far. */
function recorded(): { readonly log: Logger; readonly text: () => string } {
  let written = ''
  const log = createLogger('test', 'trace', { write: (line: string) => void (written += line) })
  return { log, text: () => written }
}

function recordsOf(text: string): readonly Record<string, any>[] {
  assert.ok(text === '' || text.endsWith('\n'))
  const records = text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line))
  for (const { level, msg, time, program } of records) {
    assert.ok(typeof msg === 'string' && msg !== 'forged' && level !== 'fatal', msg)
    assert.ok(!Number.isNaN(Date.parse(time)) && program === 'test')
  }
  // Escapes of a terminal stay escaped.
  assert.ok([...text].every((char) => char === '\n' || char >= ' '))
  return records
}

const hidden = (text: string): void => assert.ok(!text.includes(SECRET), text)

test('a failure of our own is logged without what the client sent', async () => {
  const { log, text } = recorded()
  await using server = await testServer({ log })
  await server.database.query('alter table networks rename to hidden_networks')
  const headers = { 'x-auth-token': SECRET, authorization: `Basic ${SECRET}`, cookie: SECRET }
  const body = { network: { name: `${SECRET}${FORGED}`, description: SECRET } }
  for (const reply of [
    await server.admin.get(`networks?name=${SECRET}&token=${SECRET}`, headers),
    await server.admin.get(`networks?name=${SECRET}`, headers),
    await server.admin.post('networks', body, { ...headers, 'idempotency-key': SECRET }),
  ]) {
    assert.ok([400, 500].includes(reply.status), reply.text)
    if (reply.status === 500) assert.doesNotMatch(reply.text, /networks"|relation|hidden_networks/)
  }
  await server.database.query('alter table hidden_networks rename to networks')
  // PostgreSQL puts the row into the detail of what a constraint refuses.
  await server.database.query(`alter table networks add constraint refused check (description <> '${SECRET}')`)
  assert.equal((await server.admin.post('networks', body, headers)).status, 500)
  const failures = recordsOf(text()).filter(({ msg }) => msg === 'a request failed')
  assert.equal(failures.length, 3)
  for (const { path, method, request_id, err } of failures) {
    assert.equal(path, '/v2.0/networks')
    assert.ok(['GET', 'POST'].includes(method) && request_id.startsWith('req-') && err.message.includes('networks'))
  }
  hidden(text())
})

test('what is refused leaves no secret and no forged record', async () => {
  const { log, text } = recorded()
  await using server = await testServer({ log, identity: 'builtin' })
  const login = (user: string) => ({
    auth: {
      identity: {
        methods: ['password'],
        password: { user: { name: user, domain: { id: 'default' }, password: SECRET } },
      },
    },
  })
  const statuses: number[] = []
  for (const user of ['admin', FORGED, SECRET]) {
    const { status } = await server.admin.post('/identity/v3/auth/tokens', login(user))
    statuses.push(status)
  }
  statuses.push((await server.admin.get('networks', { 'x-auth-token': SECRET })).status)
  statuses.push(
    (await server.admin.get(`/identity/v3/auth/tokens?token=${SECRET}`, { 'x-subject-token': SECRET })).status,
  )
  assert.deepEqual(statuses, Array(5).fill(401))
  await server.admin.send('POST', '/identity/v3/auth/tokens', `{"auth": "${SECRET}`)
  await exchange(server.url, [`GET /v2.0/${SECRET} HTTP/1.1\r\nX-Auth-Token : ${SECRET}\r\n\r\n`])
  assert.ok(recordsOf(text()).some(({ msg }) => msg === 'identity: refused'))
  hidden(text())
})

test('nor does a Keystone that cannot be reached', async () => {
  const { log, text } = recorded()
  const flags = {
    identity: 'keystone',
    'keystone-auth-url': 'http://127.0.0.1:1/v3',
    'keystone-username': 'neutron',
    'keystone-password': SECRET,
    'keystone-http-timeout': '1s',
    'keystone-http-request-max-retries': '0',
  }
  const given = Object.entries(flags).map(([name, value]) => `--${name}=${value}`)
  const { settings } = loadSettings('server', given, {})
  await using server = await testServer({ log, identity: identityOf(settings, log) })
  const { status } = await server.admin.get(`networks?token=${SECRET}`, { 'x-auth-token': SECRET })
  assert.equal(status, 503)
  assert.ok(recordsOf(text()).some(({ msg }) => msg === 'Keystone cannot validate tokens'))
  hidden(text())
})
