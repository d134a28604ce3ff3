/** Identity `keystone` before a scripted Keystone that errs in every way: what is asked, what is kept, what is answered. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { ApiError } from '#kernel/errors.ts'
import { createRegistry } from '#kernel/metrics.ts'
import { pino } from 'pino'
import { createKeystone, type KeystoneOptions } from './keystone.ts'

const START = Date.UTC(2030, 0, 1)
const HOUR = 3_600_000

interface Asked {
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
  // biome-ignore lint/suspicious/noExplicitAny: tests look into bodies of every shape.
  readonly body: any
}
interface Answer {
  readonly status: number
  readonly token?: string
  /** Text is sent as it is. */
  readonly body?: unknown
  readonly delayMs?: number
  /** The connection is cut instead. */
  readonly cut?: boolean
}

/** The document of a token; `values` replace parts of it. */
const tokenOf = (name: string, values: object = {}, lifeMs = HOUR) => ({
  token: {
    methods: ['password'],
    user: { id: `id-${name}`, name, domain: { id: 'default', name: 'Default' } },
    project: { id: 'p', name: 'blue', domain: { id: 'default', name: 'Default' } },
    roles: [
      { id: 'r1', name: 'Member' },
      { id: 'r2', name: 'reader' },
    ],
    expires_at: new Date(START + lifeMs).toISOString(),
    ...values,
  },
})

/** A Keystone that issues own-1, own-2, … and says of every token what `about` says. */
async function fixture(t: TestContext, options: Partial<KeystoneOptions> = {}) {
  const script = {
    asked: [] as Asked[],
    issued: 0,
    issue: (count: number): Answer => ({ status: 201, token: `own-${count}`, body: tokenOf('neutron') }),
    about: (token: string, _asked: Asked): Answer => ({ status: 200, body: tokenOf(token) }),
  }
  const server = createServer(async (request, response) => {
    let text = ''
    for await (const chunk of request) text += String(chunk)
    const { method = '', url = '', headers } = request
    const asked = { method, path: url, headers, body: text === '' ? undefined : JSON.parse(text) }
    script.asked.push(asked)
    const answer =
      method === 'POST' ? script.issue(++script.issued) : script.about(String(headers['x-subject-token']), asked)
    if (answer.delayMs) await sleep(answer.delayMs, undefined, { ref: false })
    if (answer.cut) return request.socket.destroy()
    const body = typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body ?? {})
    response.writeHead(answer.status, answer.token ? { 'x-subject-token': answer.token } : {})
    return response.end(body)
  })
  const port = await listen(server)
  t.after(() => close(server))
  const time = { now: START }
  const logged: string[] = []
  const identity = createKeystone({
    authUrl: `http://127.0.0.1:${port}/identity/`,
    authenticateUri: null,
    credential: {
      kind: 'password',
      username: 'neutron',
      password: 'the-password',
      userDomainName: 'Default',
      projectName: 'service',
      projectDomainName: 'Default',
    },
    cafile: null,
    insecure: false,
    timeout: 5,
    retries: 2,
    tokenCacheTime: 300,
    serviceTokenRoles: ['service'],
    serviceTokenRolesRequired: false,
    serviceType: 'network',
    log: pino({ level: 'trace' }, { write: (line: string) => logged.push(line) }),
    clock: () => time.now,
    ...options,
  })
  const who = async (token: string, service?: string) =>
    (await identity.authenticate({ 'x-auth-token': token, ...(service && { 'x-service-token': service }) })).userName
  /** How often Keystone was asked about a token since last looked. */
  const questions = (): number => script.asked.splice(0).filter(({ method }) => method === 'GET').length
  return { identity, script, time, logged, who, questions, server, port }
}

const listen = async (server: Server, port = 0): Promise<number> => {
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}
const close = async (server: Server): Promise<void> => {
  if (!server.listening) return
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
}

const refused = (asked: Promise<unknown>) =>
  assert.rejects(asked, (error) => error instanceof ApiError && error.type === 'Unauthorized')
const unavailable = (asked: Promise<unknown>, reason: RegExp) =>
  assert.rejects(
    asked,
    (error) => error instanceof ApiError && error.type === 'IdentityUnavailable' && reason.test(error.message),
  )

test('Keystone is asked with our own token, without catalogue, and told that we know access rules', async (t) => {
  const { identity, script } = await fixture(t)
  const caller = await identity.authenticate({ 'x-auth-token': ' mia ' })
  assert.deepEqual(caller, {
    userId: 'id-mia',
    userName: 'mia',
    projectId: 'p',
    projectName: 'blue',
    domainId: null,
    systemScope: null,
    roles: ['member', 'reader'],
    serviceRoles: [],
    expiresAt: new Date(START + HOUR),
  })
  const [issue, question] = script.asked
  assert.deepEqual([issue?.method, issue?.path], ['POST', '/identity/v3/auth/tokens?nocatalog'])
  assert.deepEqual(issue?.body.auth.scope.project, { name: 'service', domain: { name: 'Default' } })
  assert.deepEqual([question?.method, question?.path], ['GET', '/identity/v3/auth/tokens?nocatalog'])
  assert.deepEqual(
    ['x-auth-token', 'x-subject-token', 'openstack-identity-access-rules'].map((name) => question?.headers[name]),
    ['own-1', 'mia', '1'],
  )
  assert.equal(identity.authenticateUri?.endsWith('/identity/'), true)
})

test('an application credential is a credential', async (t) => {
  const { who, script } = await fixture(t, { credential: { kind: 'application credential', id: 'i', secret: 's' } })
  await who('mia')
  assert.deepEqual(script.asked[0]?.body.auth, {
    identity: { methods: ['application_credential'], application_credential: { id: 'i', secret: 's' } },
  })
})

test('a token is believed for a while, then asked about again, and over when its own time is', async (t) => {
  const { who, time, script, questions } = await fixture(t)
  await Promise.all(Array.from({ length: 20 }, () => who('mia')))
  assert.equal(questions(), 1)
  time.now += 299_000
  await who('mia')
  assert.equal(questions(), 0)
  time.now += 1000
  script.about = () => ({ status: 404 })
  await refused(who('mia'))
  await refused(who('mia'))
  assert.equal(questions(), 1)
  time.now += 10_000
  script.about = () => ({ status: 200, body: tokenOf('mia', {}, 340_000) })
  await who('mia')
  time.now = START + 340_000
  await refused(who('mia'))
})

test('our own token is renewed before it ends, and when Keystone does not take it', async (t) => {
  const { who, time, script } = await fixture(t)
  await who('a')
  time.now += HOUR - 60_001
  await who('b')
  assert.equal(script.issued, 1)
  time.now += 1
  script.issue = (count) => ({ status: 201, token: `own-${count}`, body: tokenOf('neutron', {}, 2 * HOUR) })
  await Promise.all(['c', 'd', 'e'].map((token) => who(token)))
  assert.equal(script.issued, 2)
  const good = (token: string, { headers }: Asked): Answer =>
    headers['x-auth-token'] === 'own-3' ? { status: 200, body: tokenOf(token, {}, 9 * HOUR) } : { status: 401 }
  script.about = good
  await who('f')
  assert.equal(script.issued, 3)
  script.about = () => ({ status: 401 })
  await unavailable(who('g'), /refuses this server's own token/)
  assert.equal(script.issued, 4)
})

test('a credential Keystone refuses is said so, and not tried again at once', async (t) => {
  const { who, time, script, logged } = await fixture(t)
  script.issue = () => ({ status: 401 })
  await unavailable(who('mia'), /refuses this server's own credential: see the keystone_/)
  await unavailable(who('rita'), /own credential/)
  assert.equal(script.issued, 1)
  time.now += 5000
  script.issue = () => ({ status: 201, token: 'own', body: tokenOf('neutron') })
  assert.equal(await who('mia'), 'mia')
  assert.deepEqual(
    logged.map((line) => JSON.parse(line).msg),
    ['Keystone cannot validate tokens', 'Keystone answers again'],
  )
})

test('what passes is tried again so often, what does not is not', async (t) => {
  const { who, script, questions } = await fixture(t)
  let errors = 2
  script.about = (token) =>
    errors-- > 0 ? { status: 500 + errors * 3, cut: errors === 1 } : { status: 200, body: tokenOf(token) }
  assert.equal(await who('mia'), 'mia')
  assert.equal(questions(), 3)
  script.about = () => ({ status: 503 })
  await unavailable(who('rita'), /it answered 503/)
  assert.equal(questions(), 3)
  script.about = () => ({ status: 403 })
  await unavailable(who('rita'), /may not validate tokens: give it the role service/)
  assert.equal(questions(), 1)
})

test('answers that are no tokens are no answers', async (t) => {
  const { who, script } = await fixture(t)
  const { token } = tokenOf('mia')
  const bodies: unknown[] = [
    '{"token": ',
    '',
    'null',
    '[]',
    {},
    { token: [] },
    { token: { ...token, user: null } },
    { token: { ...token, user: { id: '', name: 'x' } } },
    { token: { ...token, expires_at: 'soon' } },
    { token: { ...token, roles: 'admin' } },
    { token: { ...token, roles: [{ name: 7 }] } },
    { token: { ...token, project: 'p' } },
    { token: { ...token, application_credential: { access_rules: {} } } },
    'x'.repeat(2 ** 21),
  ]
  for (const [i, body] of bodies.entries()) {
    script.about = () => ({ status: 200, body })
    await unavailable(who(`t${i}`), /not the document of a token|too long/)
  }
})

test('a slow Keystone is not waited for, and who is known goes on', { timeout: 10_000 }, async (t) => {
  const { who, time, script } = await fixture(t, { timeout: 0.3 })
  assert.equal(await who('mia'), 'mia')
  script.about = (token) => ({ status: 200, body: tokenOf(token), delayMs: 5000 })
  const began = performance.now()
  await unavailable(who('rita'), /did not answer in time/)
  assert.ok(performance.now() - began < 1500)
  assert.equal(await who('mia'), 'mia')
  time.now += 300_000
  await unavailable(who('mia'), /did not answer in time/)
})

test('a Keystone that is down, and back', async (t) => {
  const { who, server, port } = await fixture(t)
  assert.equal(await who('mia'), 'mia')
  await close(server)
  assert.equal(await who('mia'), 'mia')
  await unavailable(who('rita'), /the connection failed \(ECONNREFUSED\)/)
  await listen(server, port)
  assert.equal(await who('rita'), 'rita')
})

test('what Keystone said, and how long it took, is counted', async (t) => {
  const metrics = createRegistry()
  const { who, script } = await fixture(t, { metrics })
  script.about = (token) => ({ status: token === 'bad' ? 404 : token === 'odd' ? 403 : 200, body: tokenOf(token) })
  for (const token of ['mia', 'mia', 'rita', 'bad', 'odd']) await who(token).catch(() => null)
  const text = await metrics.getSingleMetricAsString('deuteron_keystone_validation_seconds')
  const counts = [...text.matchAll(/_count\{answer="(\w+)"\} (\d+)/g)].map(([, answer, count]) => `${answer} ${count}`)
  assert.deepEqual(counts, ['good 2', 'refused 1', 'unavailable 1'])
})

test('services: their roles, expired tokens, and those that are none', async (t) => {
  const about = (token: string, { path }: Asked): Answer => {
    if (token === 'old' && !path.includes('allow_expired=1')) return { status: 404 }
    const roles = token === 'nova' ? [{ name: 'Service' }] : [{ name: 'member' }]
    return token === 'bad'
      ? { status: 404 }
      : { status: 200, body: tokenOf(token, { roles }, token === 'old' ? -HOUR : HOUR) }
  }
  const { who, identity, script } = await fixture(t)
  script.about = about
  await refused(who('old'))
  assert.equal(await who('old', 'nova'), 'old')
  await refused(who('old'))
  await refused(who('old', 'mia'))
  await refused(who('mia', 'bad'))
  await refused(who('', 'nova'))
  assert.equal(await who('mia', 'rita'), 'mia')
  assert.deepEqual((await identity.authenticate({ 'x-auth-token': 'mia', 'x-service-token': 'nova' })).serviceRoles, [
    'service',
  ])
  const strict = await fixture(t, { serviceTokenRolesRequired: true })
  strict.script.about = about
  await refused(strict.who('mia', 'rita'))
  assert.equal(await strict.who('mia', 'nova'), 'mia')
})

test('access rules hold, except for a service that passes the request on', async (t) => {
  const { identity, script } = await fixture(t)
  const rules = [{ id: 'x', service: 'network', method: 'GET', path: '/v2.0/ports/*' }]
  const values: Record<string, object> = {
    held: { application_credential: { id: 'c', name: 'c', restricted: true, access_rules: rules } },
    nova: { roles: [{ name: 'service' }] },
  }
  script.about = (token) => ({ status: 200, body: tokenOf(token, values[token]) })
  const ask = async (method: string, path: string, headers = {}) =>
    (await identity.authenticate({ 'x-auth-token': 'held', ...headers }, { method, path })).userName
  assert.equal(await ask('GET', '/v2.0/ports/7?fields=id'), 'held')
  await refused(ask('DELETE', '/v2.0/ports/7'))
  await refused(ask('GET', '/v2.0/ports'))
  await refused(identity.authenticate({ 'x-auth-token': 'held' }))
  assert.equal(await ask('DELETE', '/v2.0/ports/7', { 'x-service-token': 'nova' }), 'held')
  await refused(ask('DELETE', '/v2.0/ports/7', { 'x-service-token': 'held' }))
})

test('scopes: domain, system, none', async (t) => {
  const { identity, script } = await fixture(t)
  const scope = async (token: string, values: object) => {
    script.about = () => ({ status: 200, body: tokenOf(token, { project: undefined, ...values }) })
    const { projectId, domainId, systemScope, roles } = await identity.authenticate({ 'x-auth-token': token })
    return [projectId, domainId, systemScope, roles.length]
  }
  assert.deepEqual(await scope('a', { domain: { id: 'd', name: 'D' } }), [null, 'd', null, 2])
  assert.deepEqual(await scope('b', { system: { all: true } }), [null, null, 'all', 2])
  assert.deepEqual(await scope('c', { system: { all: false } }), [null, null, null, 2])
  assert.deepEqual(await scope('d', { roles: undefined }), [null, null, null, 0])
})

test('neither tokens nor passwords are logged or answered; what cannot be a token is not asked about', async (t) => {
  const { who, script, logged, questions } = await fixture(t)
  script.about = (_, { headers }) => ({ status: 500, body: headers })
  await unavailable(who('the-token'), /500/)
  questions()
  for (const bad of ['', 'a b', 'a\u0000b', 'ä', 'x'.repeat(8193)]) await refused(who(bad))
  assert.equal(questions(), 0)
  assert.ok(logged.length > 0)
  assert.doesNotMatch(logged.join(''), /the-token|own-1|the-password/)
})
