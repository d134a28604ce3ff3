/**
 * Identity `keystone` against a real Keystone, from the first token to the stock `openstack` command: every scope,
 * application credentials and their access rules, trusts, services with expired tokens, revocation, and a Keystone
 * that goes away. Needs Debian's keystone; without it the test is skipped and says so.
 */
import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { Identity } from '#identity/identity.ts'
import { silentLogger } from '#kernel/log.ts'
import { loadSettings } from '#launch/settings.ts'
import { identityOf } from '../../bin/parts.ts'
import { freePort } from '../lib/installation.ts'
import { type Keystone, keystoneMissing, startKeystone } from '../lib/keystone.ts'
import { testServer } from '../lib/server.ts'

const run = promisify(execFile)
const clientMissing = spawnSync('openstack', ['--version']).error
  ? 'the openstack command is not installed (apt-get install python3-openstackclient)'
  : false

const DEFAULT = { id: 'default' }
const PASSWORD = 'of-this-run'
/** Seconds for which the server under test believes a token. */
const TTL = 1

interface Cloud {
  readonly dir: string
  readonly keystone: Keystone
  /** Ids by name. */
  readonly ids: Readonly<Record<string, string>>
  /** As a server with these settings has it, besides the address; as user neutron unless they say otherwise. */
  identity(...flags: string[]): Identity
}

/** Blue is a project with mia (member) and rita (reader); neutron is the service's own user. */
async function prepare(t: TestContext): Promise<Cloud> {
  const dir = mkdtempSync('/tmp/deuteron-keystone-')
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  const keystone = await startKeystone({ dir, port: await freePort() })
  t.after(() => keystone.stop())
  const ids: Record<string, string> = {}
  const make = async (kind: string, values: { name: string; password?: string }): Promise<void> => {
    const { status, body } = await keystone.call('POST', `/${kind}s`, { [kind]: values })
    assert.equal(status, 201, JSON.stringify(body))
    ids[values.name] = body[kind].id
  }
  for (const role of (await keystone.call('GET', '/roles')).body.roles) ids[role.name] = role.id
  for (const user of (await keystone.call('GET', '/users')).body.users) ids[`user ${user.name}`] = user.id
  await make('role', { name: 'service' })
  for (const name of ['blue', 'services']) await make('project', { name })
  for (const name of ['mia', 'rita', 'neutron', 'dora']) await make('user', { name, password: PASSWORD })
  const grant = async (on: string, user: string, role: string): Promise<void> => {
    const { status } = await keystone.call('PUT', `/${on}/users/${user}/roles/${ids[role]}`)
    assert.equal(status, 204)
  }
  await grant(`projects/${ids['blue']}`, ids['mia'] ?? '', 'member')
  await grant(`projects/${ids['blue']}`, ids['rita'] ?? '', 'reader')
  await grant(`projects/${ids['blue']}`, ids['dora'] ?? '', 'member')
  await grant(`projects/${ids['services']}`, ids['neutron'] ?? '', 'service')
  await grant('domains/default', ids['user admin'] ?? '', 'admin')
  const identity = (...flags: string[]): Identity => identityOf(settingsOf(keystone, flags), silentLogger)
  return { dir, keystone, ids, identity }
}

const AS_NEUTRON = `--keystone-username neutron --keystone-password ${PASSWORD} --keystone-project-name services`

const settingsOf = ({ url }: Keystone, flags: string[]) => {
  const address = ['--identity', 'keystone', '--keystone-auth-url', url.replace(/\/v3$/, '')]
  const others = flags.some((flag) => flag.startsWith('--keystone-application')) ? [] : AS_NEUTRON.split(' ')
  return loadSettings('server', [...address, ...others, ...flags], {}).settings
}

const onProject = (name: string) => ({ project: { name, domain: DEFAULT } })

/** A token for a user with a password; unscoped without `scope`. */
const login = (keystone: Keystone, name: string, scope: unknown = { unscoped: {} }): Promise<string> => {
  const password = name === 'admin' ? keystone.adminPassword : PASSWORD
  return keystone.token({
    identity: { methods: ['password'], password: { user: { name, domain: DEFAULT, password } } },
    scope,
  })
}

/** Status of a request for which a token is sent, and a service's when there is one. */
const asker =
  (url: string) =>
  async (token: string, path = '/v2.0/networks', { method = 'GET', body, service }: Asking = {}): Promise<number> => {
    const answer = await fetch(`${url}${path}`, {
      method,
      headers: {
        'x-auth-token': token,
        ...(service && { 'x-service-token': service }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    await answer.arrayBuffer()
    return answer.status
  }
interface Asking {
  readonly method?: string
  readonly body?: unknown
  readonly service?: string
}
const NETWORK = { method: 'POST', body: { network: { name: 'n' } } }

test('identity is a real Keystone', { skip: keystoneMissing, timeout: 180_000 }, async (t) => {
  const cloud = await prepare(t)
  const { keystone, ids } = cloud
  const identity = cloud.identity('--keystone-token-cache-time', `${TTL}s`)
  await using server = await testServer({ identity })
  const ask = asker(server.url)
  const callerOf = (token: string, service?: string) =>
    identity.authenticate({ 'x-auth-token': token, ...(service && { 'x-service-token': service }) })
  const refused = (asked: Promise<unknown>) => assert.rejects(asked, { name: 'Unauthorized' })

  await t.test('who has no token is told where to get one', async () => {
    for (const headers of [{}, { 'x-auth-token': 'made-up' }]) {
      const answer = await fetch(`${server.url}/v2.0/networks`, { headers })
      assert.equal(answer.status, 401)
      assert.equal(answer.headers.get('www-authenticate'), `Keystone uri="${keystone.url.replace(/\/v3$/, '')}"`)
      const { error } = (await answer.json()) as { error: Record<string, unknown> }
      assert.deepEqual([error['code'], error['title']], [401, 'Unauthorized'])
    }
  })

  await t.test('roles in a project: administrator, member, reader', async () => {
    const [admin, mia, rita] = await Promise.all([
      login(keystone, 'admin', onProject('admin')),
      login(keystone, 'mia', onProject('blue')),
      login(keystone, 'rita', onProject('blue')),
    ])
    const caller = await callerOf(mia)
    assert.deepEqual(
      { ...caller, roles: caller.roles.toSorted(), expiresAt: caller.expiresAt.getTime() > Date.now() },
      {
        userId: ids['mia'],
        userName: 'mia',
        projectId: ids['blue'],
        projectName: 'blue',
        domainId: null,
        systemScope: null,
        roles: ['member', 'reader'],
        serviceRoles: [],
        expiresAt: true,
      },
    )
    assert.deepEqual((await callerOf(admin)).roles.toSorted(), ['admin', 'member', 'reader'])
    assert.deepEqual(await Promise.all([mia, rita].map((token) => ask(token, '/v2.0/networks', NETWORK))), [201, 403])
    assert.deepEqual(await Promise.all([admin, mia, rita].map((token) => ask(token))), [200, 200, 200])
  })

  await t.test('domain, system, and no scope at all', async () => {
    const tokens = {
      domain: await login(keystone, 'admin', { domain: DEFAULT }),
      system: await login(keystone, 'admin', { system: { all: true } }),
      none: await login(keystone, 'mia'),
    }
    const scope = async (token: string) => {
      const { domainId, projectId, systemScope, roles } = await callerOf(token)
      return [domainId, projectId, systemScope, roles.toSorted()]
    }
    const administrator = ['admin', 'member', 'reader']
    assert.deepEqual(await scope(tokens.domain), ['default', null, null, administrator])
    assert.deepEqual(await scope(tokens.system), [null, null, 'all', administrator])
    assert.deepEqual(await scope(tokens.none), [null, null, null, []])
    const inBlue = { method: 'POST', body: { network: { name: 'n', project_id: ids['blue'] } } }
    const answers = Object.values(tokens).map((token) => ask(token, '/v2.0/networks', inBlue))
    // Rules are made for projects; who is no administrator may not name another project at all, which is answered 400.
    assert.deepEqual(await Promise.all(answers), [403, 403, 400])
  })

  await t.test('application credentials, and the requests one of them is held to', async () => {
    const mia = { 'x-auth-token': await login(keystone, 'mia', onProject('blue')) }
    const issue = async (values: object): Promise<string> => {
      const path = `/users/${ids['mia']}/application_credentials`
      const { body } = await keystone.call('POST', path, { application_credential: values }, mia)
      const { id, secret } = body.application_credential
      return keystone.token({
        identity: { methods: ['application_credential'], application_credential: { id, secret } },
      })
    }
    const free = await issue({ name: 'free' })
    assert.equal((await callerOf(free)).userName, 'mia')
    assert.equal(await ask(free, '/v2.0/networks', NETWORK), 201)
    const rule = (method: string, path: string, service = 'network') => ({ method, path, service })
    const held = await issue({
      name: 'held',
      access_rules: [
        rule('GET', '/v2.0/networks'),
        rule('GET', '/v2.0/subnets/*'),
        rule('GET', '/v2.0/ports/**'),
        rule('POST', '/v2.0/networks', 'compute'),
      ],
    })
    const tried = [
      '/v2.0/networks',
      '/v2.0/networks?name=n',
      '/v2.0/subnets/none',
      '/v2.0/ports/a/b',
      '/v2.0/subnets',
      '/v2.0/networks/none',
      '/v2.0/subnets/a/b',
    ]
    assert.deepEqual(await Promise.all(tried.map((path) => ask(held, path))), [200, 200, 404, 404, 401, 401, 401])
    assert.equal(await ask(held, '/v2.0/networks', NETWORK), 401)
    const service = await login(keystone, 'neutron', onProject('services'))
    assert.equal(await ask(held, '/v2.0/networks', { ...NETWORK, service }), 201)
    assert.equal(await ask(held, '/v2.0/networks', { ...NETWORK, service: held }), 401)
  })

  await t.test('the server itself may come with an application credential', async () => {
    const neutron = { 'x-auth-token': await login(keystone, 'neutron', onProject('services')) }
    const path = `/users/${ids['neutron']}/application_credentials`
    const { body } = await keystone.call('POST', path, { application_credential: { name: 'server' } }, neutron)
    const { id, secret } = body.application_credential
    const [named, hidden] = ['--keystone-application-credential-id', '--keystone-application-credential-secret']
    const token = await login(keystone, 'mia', onProject('blue'))
    const who = async (flags: string[]) =>
      (await cloud.identity(...flags).authenticate({ 'x-auth-token': token })).userName
    assert.equal(await who([named, id, hidden, secret]), 'mia')
    await assert.rejects(who([named, id, hidden, 'wrong']), /refuses this server's own credential/)
  })

  await t.test('a trust makes its holder somebody else', async () => {
    const mia = { 'x-auth-token': await login(keystone, 'mia', onProject('blue')) }
    const trust = {
      trustor_user_id: ids['mia'],
      trustee_user_id: ids['neutron'],
      project_id: ids['blue'],
      impersonation: true,
      roles: [{ name: 'member' }],
    }
    const { body } = await keystone.call('POST', '/OS-TRUST/trusts', { trust }, mia)
    const token = await login(keystone, 'neutron', { 'OS-TRUST:trust': { id: body.trust.id } })
    const caller = await callerOf(token)
    assert.deepEqual([caller.userName, caller.projectName], ['mia', 'blue'])
    assert.equal(await ask(token, '/v2.0/networks', NETWORK), 201)
  })

  await t.test('an expired token passes with that of a service', async () => {
    await using brief = await startKeystone({ dir: cloud.dir, port: await freePort(), tokenSeconds: 6 })
    const token = await login(brief, 'mia', onProject('blue'))
    assert.equal(await ask(token), 200)
    const { expiresAt } = await callerOf(token)
    const [service, other] = [
      await login(keystone, 'neutron', onProject('services')),
      await login(keystone, 'rita', onProject('blue')),
    ]
    await sleep(expiresAt.getTime() - Date.now() + 10)
    assert.deepEqual([await ask(token), await ask(token, undefined, { service: other })], [401, 401])
    assert.equal(await ask(token, undefined, { service }), 200)
    assert.deepEqual((await callerOf(token, service)).serviceRoles, ['service'])
    assert.equal(await ask(token, undefined, { service: token }), 401)

    const fresh = await login(keystone, 'mia', onProject('blue'))
    assert.deepEqual((await callerOf(fresh, other)).serviceRoles, ['reader'])
    const strict = cloud.identity('--keystone-service-token-roles-required')
    await refused(strict.authenticate({ 'x-auth-token': fresh, 'x-service-token': other }))
    await strict.authenticate({ 'x-auth-token': fresh, 'x-service-token': service })
  })

  await t.test('what is revoked, or of someone disabled, ends when the cache does', async () => {
    const [mine, hers] = [
      await login(keystone, 'mia', onProject('blue')),
      await login(keystone, 'dora', onProject('blue')),
    ]
    assert.deepEqual([await ask(mine), await ask(hers)], [200, 200])
    const revoked = await keystone.call('DELETE', '/auth/tokens', undefined, {
      'x-auth-token': mine,
      'x-subject-token': mine,
    })
    assert.equal(revoked.status, 204)
    const disabled = await keystone.call('PATCH', `/users/${ids['dora']}`, { user: { enabled: false } })
    assert.equal(disabled.status, 200)
    await sleep(TTL * 1000)
    assert.deepEqual([await ask(mine), await ask(hers)], [401, 401])
  })

  await t.test('the stock command finds the server in the catalogue', { skip: clientMissing }, async () => {
    const service = await keystone.call('POST', '/services', { service: { type: 'network', name: 'deuteron' } })
    const endpoint = {
      service_id: service.body.service.id,
      interface: 'public',
      region_id: 'RegionOne',
      url: server.url,
    }
    assert.equal((await keystone.call('POST', '/endpoints', { endpoint })).status, 201)
    const env = { PATH: process.env['PATH'], HOME: cloud.dir, ...keystone.env }
    const made = await run('openstack', ['network', 'create', 'by-command', '-f', 'json'], { env })
    const { stdout } = await run('openstack', ['network', 'list', '-f', 'json'], { env })
    const names = (JSON.parse(stdout) as { Name: string; ID: string }[]).map(({ Name, ID }) => `${Name} ${ID}`)
    assert.ok(names.includes(`by-command ${JSON.parse(made.stdout).id}`), stdout)
  })

  await t.test('while Keystone is away, who is known goes on and who is not is asked to wait', async () => {
    const lasting = cloud.identity('--keystone-http-timeout', '2s')
    const [known, unknown] = [
      await login(keystone, 'mia', onProject('blue')),
      await login(keystone, 'rita', onProject('blue')),
    ]
    const who = async (token: string) => (await lasting.authenticate({ 'x-auth-token': token })).userName
    assert.equal(await who(known), 'mia')
    await keystone.stop()
    assert.equal(await who(known), 'mia')
    await assert.rejects(who(unknown), { name: 'IdentityUnavailable', status: 503 })
    const answer = await fetch(`${server.url}/v2.0/networks`, { headers: { 'x-auth-token': unknown } })
    assert.deepEqual([answer.status, answer.headers.get('retry-after')], [503, '1'])
    const port = Number(new URL(keystone.url).port)
    await using _again = await startKeystone({ dir: cloud.dir, port })
    assert.deepEqual([await who(unknown), await ask(unknown)], ['rita', 200])
  })
})
