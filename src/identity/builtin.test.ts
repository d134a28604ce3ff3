/** The built-in identity as its clients see it: tokens, scopes, tenants, refusals, and what survives a restart. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { ApiError } from '#kernel/errors.ts'
import { silentLogger } from '#kernel/log.ts'
import { type Builtin, createBuiltin } from './builtin.ts'
import type { IdentityResponse } from './identity.ts'

const START = Date.UTC(2030, 0, 1)

interface Fixture {
  readonly identity: Builtin
  readonly file: string
  readonly time: { now: number }
  reopen(): Builtin
}

const fixture = (t: TestContext): Fixture => {
  const folder = mkdtempSync(join(tmpdir(), 'deuteron-identity-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'data', 'identity.json')
  const time = { now: START }
  const reopen = () => createBuiltin({ file, publicUrl: null, log: silentLogger, clock: () => time.now })
  return { identity: reopen(), file, time, reopen }
}

type Json = Record<string, any>

const call = async (
  identity: Builtin,
  method: string,
  path: string,
  { token, subject, body }: { token?: string; subject?: string; body?: unknown } = {},
): Promise<{ status: number; headers: IdentityResponse['headers']; body: Json }> => {
  const headers = {
    host: 'cloud.example:9696',
    ...(token ? { 'x-auth-token': token } : {}),
    ...(subject ? { 'x-subject-token': subject } : {}),
  }
  const response = await identity.handle({
    method,
    path: `/identity${path}`,
    headers,
    body,
    remoteAddress: '192.0.2.1',
  })
  return { ...response, body: (response.body ?? {}) as Json }
}

const withPassword = (name: string, password: string | null, scope?: unknown) => ({
  auth: {
    identity: { methods: ['password'], password: { user: { name, domain: { id: 'default' }, password } } },
    ...(scope === undefined ? {} : { scope }),
  },
})
const withToken = (id: string, scope?: unknown) => ({
  auth: { identity: { methods: ['token'], token: { id } }, ...(scope === undefined ? {} : { scope }) },
})
const onProject = (name: string) => ({ project: { name, domain: { name: 'Default' } } })

const login = async (identity: Builtin, body: unknown): Promise<string> => {
  const response = await call(identity, 'POST', '/v3/auth/tokens', { body })
  assert.equal(response.status, 201, JSON.stringify(response.body))
  return response.headers['x-subject-token'] ?? ''
}
const admin = (identity: Builtin): Promise<string> =>
  login(identity, withPassword('admin', identity.adminPassword(), onProject('admin')))
const refused = (promise: Promise<unknown>) =>
  assert.rejects(promise, (error) => error instanceof ApiError && error.type === 'Unauthorized')

test('a password gives a token, and the token a caller with implied roles', async (t) => {
  const { identity, time } = fixture(t)
  const body = withPassword('admin', identity.adminPassword(), onProject('admin'))
  const response = await call(identity, 'POST', '/v3/auth/tokens', { body })
  assert.equal(response.status, 201)
  const { token } = response.body
  assert.deepEqual(token.methods, ['password'])
  assert.equal(token.expires_at, '2030-01-01T12:00:00.000000Z')
  assert.equal(token.project.name, 'admin')
  assert.deepEqual(
    token.catalog.map((one: Json) => [one['type'], one['endpoints'][0].url]),
    [
      ['identity', 'http://cloud.example:9696/identity'],
      ['network', 'http://cloud.example:9696'],
    ],
  )
  const caller = await identity.authenticate({ 'x-auth-token': response.headers['x-subject-token'] })
  assert.deepEqual(caller, {
    userId: token.user.id,
    userName: 'admin',
    projectId: token.project.id,
    projectName: 'admin',
    domainId: null,
    systemScope: null,
    roles: ['admin', 'manager', 'member', 'reader'],
    serviceRoles: [],
    expiresAt: new Date(time.now + 12 * 3600_000),
  })
})

test('scopes: default project, unscoped, system; none without a role', async (t) => {
  const { identity } = fixture(t)
  const caller = async (body: unknown) => identity.authenticate({ 'x-auth-token': await login(identity, body) })
  const demo = identity.demoPassword()
  assert.equal((await caller(withPassword('demo', demo))).projectName, 'demo')
  const unscoped = await caller(withPassword('demo', demo, { unscoped: {} }))
  assert.deepEqual([unscoped.projectId, unscoped.roles], [null, []])
  const system = await caller(withPassword('admin', identity.adminPassword(), { system: { all: true } }))
  assert.deepEqual([system.projectId, system.systemScope, system.roles[0]], [null, 'all', 'admin'])
  for (const scope of [
    onProject('admin'),
    onProject('nowhere'),
    { system: { all: true } },
    { domain: { id: 'default' } },
  ]) {
    const response = await call(identity, 'POST', '/v3/auth/tokens', { body: withPassword('demo', demo, scope) })
    assert.equal(response.status, 401)
  }
})

test('a token made from a token ends when that one does', async (t) => {
  const { identity, time } = fixture(t)
  const first = await login(identity, withPassword('admin', identity.adminPassword(), { unscoped: {} }))
  time.now += 3600_000
  const response = await call(identity, 'POST', '/v3/auth/tokens', { body: withToken(first, onProject('demo')) })
  assert.equal(response.status, 201)
  assert.equal(response.body['token'].expires_at, '2030-01-01T12:00:00.000000Z')
  assert.deepEqual(response.body['token'].methods, ['token', 'password'])
  assert.equal(response.body['token'].audit_ids.length, 2)
})

test('what is not a good token is refused', async (t) => {
  const { identity, time } = fixture(t)
  const token = await admin(identity)
  const [prefix, claims = '', signature] = token.split('.')
  const forged = Buffer.from(Buffer.from(claims, 'base64url').toString().replace('password', 'passport')).toString(
    'base64url',
  )
  for (const bad of ['', 'x', 'dt1..', 'a.b.c', `${token}x`, `${token}.x`, `${prefix}.${forged}.${signature}`])
    await refused(identity.authenticate({ 'x-auth-token': bad }))
  await refused(identity.authenticate({}))
  await refused(identity.authenticate({ 'x-auth-token': token, 'x-service-token': 'x' }))
  await identity.authenticate({ 'x-auth-token': token })
  time.now += 12 * 3600_000
  await refused(identity.authenticate({ 'x-auth-token': token }))
})

test('tokens and tenants survive a restart, and other workers know of both', async (t) => {
  const { identity, reopen, file } = fixture(t)
  const worker = reopen()
  const token = await admin(identity)
  const made = await call(worker, 'POST', '/v3/projects', { token, body: { project: { name: 'blue' } } })
  assert.equal(made.status, 201)
  for (const one of [identity, worker, reopen()]) {
    assert.equal((await one.authenticate({ 'x-auth-token': token })).userName, 'admin')
    const found = await call(one, 'GET', '/v3/projects?name=blue', { token })
    assert.deepEqual(
      found.body['projects'].map((project: Json) => project['id']),
      [made.body['project'].id],
    )
  }
  assert.equal((await call(worker, 'DELETE', '/v3/auth/tokens', { token, subject: token })).status, 204)
  for (const one of [identity, worker, reopen()]) await refused(one.authenticate({ 'x-auth-token': token }))
  assert.equal(statSync(file).mode & 0o777, 0o600)
  assert.deepEqual(readdirSync(join(file, '..')), ['identity.json'])
})

test('an administrator makes a tenant; its user works there and nowhere else', async (t) => {
  const { identity } = fixture(t)
  const token = await admin(identity)
  const project = (
    await call(identity, 'POST', '/v3/projects', { token, body: { project: { name: 'blue', description: 'b' } } })
  ).body['project']
  const made = await call(identity, 'POST', '/v3/users', {
    token,
    body: { user: { name: 'alice', password: 'secret', default_project_id: project.id } },
  })
  assert.equal(made.status, 201)
  assert.equal('password' in made.body['user'], false)
  const { id } = made.body['user']
  const roles = (await call(identity, 'GET', '/v3/roles?name=member', { token })).body['roles']
  const grant = `/v3/projects/${project.id}/users/${id}/roles/${roles[0].id}`
  assert.equal((await call(identity, 'HEAD', grant, { token })).status, 404)
  assert.equal((await call(identity, 'PUT', grant, { token })).status, 204)
  assert.equal((await call(identity, 'HEAD', grant, { token })).status, 204)

  const hers = await login(identity, withPassword('alice', 'secret'))
  assert.deepEqual((await identity.authenticate({ 'x-auth-token': hers })).roles, ['member', 'reader'])
  assert.equal(
    (await call(identity, 'GET', `/v3/users/${id}/projects`, { token: hers })).body['projects'][0].name,
    'blue',
  )
  assert.equal((await call(identity, 'GET', `/v3/projects/${project.id}`, { token: hers })).status, 200)
  for (const [method, path] of [
    ['GET', '/v3/projects'],
    ['GET', '/v3/users'],
    ['POST', '/v3/users'],
    ['PUT', grant],
    ['DELETE', `/v3/projects/${project.id}`],
  ] as const) {
    const response = await call(identity, method, path, { token: hers, body: {} })
    assert.equal(response.status, 403, `${method} ${path}`)
    assert.equal(response.body['error'].title, 'Forbidden')
  }
  assert.equal((await call(identity, 'GET', '/v3/auth/tokens', { token: hers, subject: token })).status, 403)

  assert.equal((await call(identity, 'DELETE', grant, { token })).status, 204)
  await refused(identity.authenticate({ 'x-auth-token': hers }))
})

test('disabling a user, a project, or changing a password ends the tokens', async (t) => {
  const { identity, time, file } = fixture(t)
  const token = await admin(identity)
  const fresh = () => login(identity, withPassword('demo', identity.demoPassword()))
  const demo = await identity.authenticate({ 'x-auth-token': await fresh() })
  const patch = (path: string, body: unknown) => call(identity, 'PATCH', path, { token, body })
  for (const [path, kind] of [
    [`/v3/users/${demo.userId}`, 'user'],
    [`/v3/projects/${demo.projectId}`, 'project'],
  ] as const) {
    const before = await fresh()
    assert.equal((await patch(path, { [kind]: { enabled: false } })).status, 200)
    await refused(identity.authenticate({ 'x-auth-token': before }))
    assert.equal((await patch(path, { [kind]: { enabled: true } })).status, 200)
  }
  const before = await fresh()
  const initial = identity.demoPassword() ?? ''
  time.now += 1
  const body = { user: { original_password: initial, password: 'mine' } }
  assert.equal((await call(identity, 'POST', `/v3/users/${demo.userId}/password`, { token: before, body })).status, 204)
  await refused(identity.authenticate({ 'x-auth-token': before }))
  assert.equal(identity.demoPassword(), null)
  assert.equal(readFileSync(file, 'utf8').includes(initial), false)
  await login(identity, withPassword('demo', 'mine'))
})

test('whoever guesses passwords must wait, at other addresses nobody must', async (t) => {
  const { identity, time } = fixture(t)
  const guess = (password: string) =>
    call(identity, 'POST', '/v3/auth/tokens', { body: withPassword('admin', password) })
  const many = await Promise.all(Array.from({ length: 8 }, (_, at) => guess(`wrong ${at}`)))
  assert.deepEqual(
    many.map(({ status }) => status),
    [401, 401, 401, 401, 401, 429, 429, 429],
  )
  assert.equal(many[7]?.headers['retry-after'], '1')
  const right = identity.adminPassword() ?? ''
  assert.equal((await guess(right)).status, 429)
  const elsewhere = {
    method: 'POST',
    path: '/identity/v3/auth/tokens',
    headers: {},
    body: withPassword('admin', right),
  }
  assert.equal((await identity.handle({ ...elsewhere, remoteAddress: '192.0.2.2' })).status, 201)
  time.now += 1000
  assert.equal((await guess('wrong')).status, 401)
  time.now += 1000
  assert.equal((await guess(right)).status, 429)
  time.now += 1000
  assert.equal((await guess(right)).status, 201)
  assert.equal((await guess('wrong')).status, 401)
})

test('names are unique, ids must exist, input is checked', async (t) => {
  const { identity } = fixture(t)
  const token = await admin(identity)
  const post = (path: string, body: unknown) => call(identity, 'POST', path, { token, body })
  const cases: readonly [Promise<{ status: number; body: Json }>, number][] = [
    [post('/v3/projects', { project: { name: 'demo' } }), 409],
    [post('/v3/projects', { project: { name: '' } }), 400],
    [post('/v3/projects', { project: { name: 'x'.repeat(65) } }), 400],
    [post('/v3/projects', { name: 'x' }), 400],
    [post('/v3/projects', { project: { name: 'x', enabled: 'yes' } }), 400],
    [post('/v3/projects', { project: { name: 'x', domain_id: 'other' } }), 404],
    [post('/v3/users', { user: { name: 'demo', password: 'x' } }), 409],
    [post('/v3/users', { user: { name: 7 } }), 400],
    [post('/v3/auth/tokens', undefined), 400],
    [post('/v3/auth/tokens', { auth: { identity: { methods: [] } } }), 400],
    [post('/v3/auth/tokens', { auth: { identity: { methods: ['totp'] } } }), 401],
    [call(identity, 'GET', '/v3/projects/nope', { token }), 404],
    [call(identity, 'GET', '/v3/projects/a%2Fb', { token }), 404],
    [call(identity, 'GET', '/v3/%E0', { token }), 404],
    [call(identity, 'PUT', '/v3/projects/a/users/b/roles/c', { token }), 404],
    [call(identity, 'PUT', '/v3/projects', { token }), 405],
    [call(identity, 'GET', '/v3/projects'), 401],
    [call(identity, 'GET', '/v3/auth/tokens', { token, subject: 'x' }), 404],
  ]
  for (const [response, status] of cases) {
    const { status: found, body } = await response
    assert.equal(found, status, JSON.stringify(body))
    assert.deepEqual(Object.keys(body['error']).sort(), ['code', 'message', 'title'])
    assert.equal(body['error'].code, status)
  }
})

test('versions are told to everyone', async (t) => {
  const { identity } = fixture(t)
  const all = await call(identity, 'GET', '/')
  assert.equal(all.status, 300)
  assert.equal(all.body['versions'].values[0].links[0].href, 'http://cloud.example:9696/identity/v3/')
  assert.equal((await call(identity, 'GET', '/v3/')).body['version'].id, 'v3.14')
  assert.deepEqual(await call(identity, 'HEAD', '/v3'), { status: 200, headers: {}, body: {} })
})

test('every endpoint has an id of its own', async (t) => {
  const { identity } = fixture(t)
  const { endpoints } = (await call(identity, 'GET', '/v3/endpoints', { token: await admin(identity) })).body
  assert.equal(new Set(endpoints.map((one: Json) => one['id'])).size, 6)
})

test('a token speaks for a service when sent as service token', async (t) => {
  const { identity } = fixture(t)
  const token = await admin(identity)
  const { projectId, userId } = await identity.authenticate({ 'x-auth-token': token })
  const [service] = (await call(identity, 'GET', '/v3/roles?name=service', { token })).body['roles']
  await call(identity, 'PUT', `/v3/projects/${projectId}/users/${userId}/roles/${service.id}`, { token })
  const demo = await login(identity, withPassword('demo', identity.demoPassword()))
  const caller = await identity.authenticate({ 'x-auth-token': demo, 'x-service-token': token })
  assert.equal(caller.userName, 'demo')
  assert.ok(caller.serviceRoles.includes('service'))
})
