/**
 * The API in this process, on a throw-away database, put together as bin/server.ts does it: for tests that speak HTTP.
 * The database is a copy of a template that is migrated once per cluster, so that a server costs well under a second.
 */
import { hostsIn } from '../../bin/feed.ts'
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createApi } from '#api/server.ts'
import { assembleCore } from '#core/assemble.ts'
import type { MechanismDriver } from '#core/contracts.ts'
import type { Core } from '#core/operation.ts'
import { extensions } from '#extensions/index.ts'
import { createBuiltin } from '#identity/builtin.ts'
import type { Identity } from '#identity/identity.ts'
import { createNone } from '#identity/none.ts'
import { type Logger, silentLogger } from '#kernel/log.ts'
import { createRegistry } from '#kernel/metrics.ts'
import { loadSettings, type ServerSettings } from '#launch/settings.ts'
import { compose } from '#model/compose.ts'
import { createPolicy } from '#policy/policy.ts'
import { coreResources } from '#resources/index.ts'
import { knownMigrations, migrate } from '#store/migrate.ts'
import { createNotifier } from '#store/notify.ts'
import { type Database, openDatabase } from '#store/pool.ts'
import type { FastifyInstance } from 'fastify'
import pg from 'pg'
import { coreSettingsOf } from '../../bin/parts.ts'
import { freePort } from './installation.ts'
import { testCluster, testDatabase } from './postgres.ts'

export interface TestServerOptions {
  /** Default: none, which believes X-Project-Id and X-Roles. */
  readonly identity?: 'none' | 'builtin' | Identity
  readonly settings?: Partial<ServerSettings>
  readonly log?: Logger
  /** Called for every statement, for tests that count them. */
  readonly onStatement?: (text: string) => void
  /** In place of the mechanism drivers of the settings. */
  readonly drivers?: readonly MechanismDriver[]
}

export interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | number | undefined>>
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape.
  readonly body: any
}

export interface Client {
  get(path: string, headers?: Headers): Promise<Reply>
  post(path: string, body?: unknown, headers?: Headers): Promise<Reply>
  put(path: string, body?: unknown, headers?: Headers): Promise<Reply>
  delete(path: string, headers?: Headers): Promise<Reply>
  /** Any verb; `payload` is sent as it is. */
  send(method: string, path: string, payload?: string, headers?: Headers): Promise<Reply>
  /** Creates one object of a resource by its singular name; throws unless the answer is 201. */
  make(name: string, values: Readonly<Record<string, unknown>>): Promise<Record<string, any>>
}
type Headers = Readonly<Record<string, string>>

export interface TestServer extends AsyncDisposable {
  /** Where it listens: `http://127.0.0.1:<port>`. */
  readonly url: string
  readonly app: FastifyInstance
  readonly core: Core
  readonly database: Database
  /** Of the database, for connections of the test's own. */
  readonly databaseUrl: string
  readonly identity: Identity
  readonly settings: ServerSettings
  /** Requests as administrator of the fixed project. */
  readonly admin: Client
  /** Requests as somebody of `project`; identity `none` only. Roles default to `member`. */
  as(project: string, roles?: string): Client
  close(): Promise<void>
}

export async function testServer(options: TestServerOptions = {}): Promise<TestServer> {
  const { log = silentLogger, onStatement } = options
  const stack = new AsyncDisposableStack()
  const db = await testDatabase({ template: await template() })
  stack.defer(() => db.drop())
  const port = await freePort()
  const settings: ServerSettings = {
    ...loadSettings('server', ['--port', String(port), '--database', db.url], {}).settings,
    ...options.settings,
  }
  const url = `http://127.0.0.1:${port}`
  const { databasePool: size, agentDownTime, maxBodySize, requestTimeout, paginationMaxLimit: maxLimit } = settings
  const database = openDatabase({ url: db.url, size, log, agentDownTime, ...(onStatement && { onStatement }) })
  stack.defer(() => database.close())
  const notifier = createNotifier(db.url, log)
  stack.defer(() => notifier.close())
  const policy = createPolicy({
    enforceNewDefaults: settings.enforceNewDefaults,
    enforceScope: settings.enforceScope,
  })
  const model = compose(coreResources, extensions)
  const wanted = await coreSettingsOf(settings, log)
  const core = await assembleCore({
    database,
    model,
    policy,
    settings: options.drivers ? { ...wanted, mechanismDrivers: options.drivers } : wanted,
    notifier,
  })
  const { identity: asked = 'none' } = options
  const identity = asked === 'builtin' ? builtin(stack, url, log) : asked === 'none' ? createNone() : asked
  const app = createApi({
    ...hostsIn(database),
    core,
    identity,
    hint: () => notifier.hint(),
    metrics: createRegistry(),
    log,
    maxBodySize,
    requestTimeout,
    maxLimit,
  })
  await app.listen({ host: '127.0.0.1', port })
  stack.defer(() => app.close())
  const close = (): Promise<void> => stack.disposeAsync()
  const as = (project: string, roles = 'member'): Client =>
    clientOf(app, core, { 'x-project-id': project, 'x-user-id': `user-of-${project}`, 'x-roles': roles })
  return {
    url,
    app,
    core,
    database,
    databaseUrl: db.url,
    identity,
    settings,
    admin: clientOf(app, core, {}),
    as,
    close,
    [Symbol.asyncDispose]: close,
  }
}

function builtin(stack: AsyncDisposableStack, publicUrl: string, log: Logger): Identity {
  const folder = mkdtempSync(join(tmpdir(), 'deuteron-identity-'))
  stack.defer(() => rmSync(folder, { recursive: true, force: true }))
  return createBuiltin({ file: join(folder, 'identity.json'), publicUrl, log })
}

function clientOf(app: FastifyInstance, core: Core, caller: Headers): Client {
  const send: Client['send'] = async (method, url, payload, headers = {}) => {
    const typed = payload === undefined ? {} : { 'content-type': 'application/json' }
    const answer = await app.inject({
      method: method as 'GET',
      url: url.startsWith('/') ? url : `/v2.0/${url}`,
      headers: { ...caller, ...typed, ...headers },
      ...(payload === undefined ? {} : { payload }),
    })
    const json = /json/.test(String(answer.headers['content-type']))
    return {
      status: answer.statusCode,
      headers: answer.headers,
      text: answer.body,
      body: json && answer.body !== '' ? JSON.parse(answer.body) : undefined,
    }
  }
  const withBody =
    (method: string) =>
    (path: string, body?: unknown, headers?: Headers): Promise<Reply> =>
      send(method, path, body === undefined ? undefined : JSON.stringify(body), headers)
  const post = withBody('POST')
  return {
    send,
    post,
    put: withBody('PUT'),
    get: (path, headers) => send('GET', path, undefined, headers),
    delete: (path, headers) => send('DELETE', path, undefined, headers),
    make: async (name, values) => {
      const { path, singular } = core.model.resource(name)
      const { status, body, text } = await post(path, { [singular]: values })
      if (status !== 201) throw new Error(`POST ${name} was answered ${status}: ${text}`)
      return body[singular]
    },
  }
}

let prepared: Promise<string> | undefined

/** The name of a migrated database in the cluster of this process, made when it is missing. */
const template = (): Promise<string> => (prepared ??= makeTemplate())

async function makeTemplate(): Promise<string> {
  const migrations = await knownMigrations('expand')
  const known = createHash('sha256').update(JSON.stringify(migrations)).digest('hex').slice(0, 12)
  const name = `template_${known}`
  const { url } = await testCluster()
  await using stack = new AsyncDisposableStack()
  const admin = await connect(stack, at(url, 'postgres'))
  // Test files that start side by side on a shared cluster make it once.
  await admin.query('select pg_advisory_lock(4711)')
  const { rowCount } = await admin.query('select 1 from pg_database where datname = $1', [name])
  if (rowCount) return name
  await admin.query(`drop database if exists "${name}_new"`)
  await admin.query(`create database "${name}_new" template template0`)
  const client = new pg.Client({ connectionString: at(url, `${name}_new`) })
  await client.connect()
  await migrate(client).finally(() => client.end())
  await admin.query(`alter database "${name}_new" rename to "${name}"`)
  return name
}

async function connect(stack: AsyncDisposableStack, url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  stack.defer(() => client.end())
  return client
}

const at = (url: string, database: string): string => {
  const changed = new URL(url)
  changed.pathname = `/${database}`
  return changed.href
}
