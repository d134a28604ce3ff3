/**
 * A private Keystone for tests and conformance runs: Debian's, on SQLite and fernet keys, in a folder and on a port of
 * their own. What stands in the folder is used again, so a second Keystone beside the first shares its users and tokens.
 */
import { execFile, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)
const WSGI = '/usr/bin/keystone-wsgi-public'
const SERVER = '/usr/bin/uwsgi_python3'

/** Why no Keystone can be started on this machine, or false: for a test's `skip`. */
export const keystoneMissing: string | false =
  existsSync(WSGI) && existsSync(SERVER)
    ? false
    : 'Keystone is not installed (apt-get install keystone): nothing proves that we understand a real one'

export interface KeystoneOptions {
  /** Database, keys, configuration and log; made when missing. */
  readonly dir: string
  readonly port: number
  /** How long tokens issued by this process hold; an hour by default. */
  readonly tokenSeconds?: number
  /** 1 by default. */
  readonly processes?: number
  /** Of the administrator, in a new folder. */
  readonly password?: string
  /** One process may remember what it read; two that share a folder may not. */
  readonly cached?: boolean
  /** Keystone's log; uWSGI's is beside it, with `.out` behind its name. In `dir` by default. */
  readonly log?: string
}

export interface KeystoneReply {
  readonly status: number
  readonly headers: Headers
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape.
  readonly body: any
}

export interface Keystone extends AsyncDisposable {
  /** `http://127.0.0.1:PORT/v3`. */
  readonly url: string
  /** Of user `admin` in project `admin`, domain `Default`; also administrator of the system. */
  readonly adminPassword: string
  /** OS_… variables with which the stock `openstack` command is that administrator. */
  readonly env: Readonly<Record<string, string>>
  /** Any request, as the system's administrator unless `headers` have a token; throws on 5xx. */
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<KeystoneReply>
  /** A token for an `auth` object of POST /v3/auth/tokens; throws unless one is issued. */
  token(auth: unknown): Promise<string>
  /** Ends the process; the folder stays. */
  stop(): Promise<void>
}

/** Starts Keystone and waits until it answers; about ten seconds for a new folder, three for one that was used before. */
export async function startKeystone(options: KeystoneOptions): Promise<Keystone> {
  const { dir, port } = options
  const url = `http://127.0.0.1:${port}/v3`
  const config = writeConfig(options)
  const adminPassword = existsSync(join(dir, 'password')) ? readFileSync(join(dir, 'password'), 'utf8') : ''
  const password = adminPassword || (await setUp(options, config, url))
  const ended = serve(options, config)
  await answering(url, ended, dir).catch(async (error: unknown) => {
    await ended.stop()
    throw error
  })
  return clientOf(url, password, ended.stop)
}

const logOf = ({ dir, log = join(dir, 'keystone.log') }: KeystoneOptions): string => log

/** The path of the configuration; one a port, for two may differ in how long tokens hold. */
function writeConfig(options: KeystoneOptions): string {
  const { dir, port, tokenSeconds = 3600, cached = false } = options
  for (const folder of ['fernet', 'credential']) mkdirSync(join(dir, folder), { recursive: true, mode: 0o700 })
  const file = join(dir, `keystone-${port}.conf`)
  const sections = {
    DEFAULT: { log_file: logOf(options) },
    database: { connection: `sqlite:///${join(dir, 'keystone.db')}?timeout=30`, sqlite_synchronous: false },
    token: { provider: 'fernet', expiration: tokenSeconds },
    fernet_tokens: { key_repository: join(dir, 'fernet') },
    fernet_receipts: { key_repository: join(dir, 'fernet') },
    credential: { key_repository: join(dir, 'credential') },
    // By default what was read is remembered for one request.
    ...(cached && { cache: { enabled: true, backend: 'oslo_cache.dict' } }),
    // bcrypt at its cheapest: the passwords are of this run
    identity: { password_hash_rounds: 4 },
  }
  const text = Object.entries(sections).map(([name, values]) =>
    [`[${name}]`, ...Object.entries(values).map(([key, value]) => `${key} = ${value}`), ''].join('\n'),
  )
  writeFileSync(file, text.join('\n'))
  return file
}

/** Makes database, keys, the administrator and the catalogue; answers the administrator's password. */
async function setUp({ dir, password = 'of-this-run' }: KeystoneOptions, config: string, url: string): Promise<string> {
  const group = spawnSync('id', ['-gn'], { encoding: 'utf8' }).stdout.trim()
  const owner = ['--keystone-user', userInfo().username, '--keystone-group', group]
  const manage = (...args: string[]) => run('keystone-manage', ['--config-file', config, ...args])
  await manage('db_sync')
  // Keystone leaves cursors open, and with SQLite's first journal their readers would keep every writer out.
  using database = new DatabaseSync(join(dir, 'keystone.db'))
  database.exec('pragma journal_mode = wal')
  await Promise.all([manage('fernet_setup', ...owner), manage('credential_setup', ...owner)])
  const endpoints = ['public', 'internal', 'admin'].flatMap((name) => [`--bootstrap-${name}-url`, url])
  await manage('bootstrap', '--bootstrap-password', password, '--bootstrap-region-id', 'RegionOne', ...endpoints)
  writeFileSync(join(dir, 'password'), password, { mode: 0o600 })
  return password
}

interface Served {
  /** True once the process is gone. */
  readonly over: () => boolean
  readonly stop: () => Promise<void>
}

/** uWSGI in the foreground; it is told to end when this process dies, however that happens. */
function serve(options: KeystoneOptions, config: string): Served {
  const { dir, port, processes = 1 } = options
  const flags = {
    plugins: 'python3',
    'http-socket': `127.0.0.1:${port}`,
    'wsgi-file': WSGI,
    processes: String(processes),
    threads: '8',
    listen: '100',
    'buffer-size': '65535',
    'add-header': 'Connection: close',
    logto: `${logOf(options)}.out`,
  }
  const switches = '--master --die-on-term --no-orphans --lazy-apps --enable-threads --need-app --disable-logging'
  const argv = [...Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value]), ...switches.split(' ')]
  const child = spawn('setpriv', ['--pdeathsig', 'TERM', SERVER, ...argv], {
    cwd: dir,
    env: { ...process.env, OS_KEYSTONE_CONFIG_FILES: config },
    stdio: 'ignore',
  })
  let over = false
  const gone = new Promise<void>((resolve) => {
    for (const event of ['exit', 'error'] as const)
      child.once(event, () => {
        over = true
        resolve()
      })
  })
  const stop = async (): Promise<void> => {
    if (!over) child.kill('SIGTERM')
    await Promise.race([gone, sleep(5000, undefined, { ref: false })])
    if (!over) child.kill('SIGKILL')
    await gone
  }
  return { over: () => over, stop }
}

async function answering(url: string, served: Served, dir: string): Promise<void> {
  for (const end = performance.now() + 60_000; ; await sleep(100)) {
    const answer = await fetch(url).catch(() => null)
    if (answer?.ok) return
    if (served.over() || performance.now() > end)
      throw new Error(`Keystone does not answer at ${url}: see ${dir} and its log`)
  }
}

function clientOf(url: string, adminPassword: string, stop: () => Promise<void>): Keystone {
  const user = { name: 'admin', domain: { id: 'default' }, password: adminPassword }
  const administrator = {
    identity: { methods: ['password'], password: { user } },
    scope: { system: { all: true } },
  }
  const send = async (method: string, path: string, body: unknown, headers = {}): Promise<KeystoneReply> => {
    const typed = body === undefined ? {} : { 'content-type': 'application/json' }
    const payload = body === undefined ? {} : { body: JSON.stringify(body) }
    const answer = await fetch(`${url}${path}`, { method, headers: { ...typed, ...headers }, ...payload })
    const text = await answer.text()
    if (answer.status >= 500) throw new Error(`${method} ${path} was answered ${answer.status}: ${text}`)
    return { status: answer.status, headers: answer.headers, body: text === '' ? undefined : JSON.parse(text) }
  }
  const token = async (auth: unknown): Promise<string> => {
    const answer = await send('POST', '/auth/tokens', { auth })
    const id = answer.headers.get('x-subject-token')
    if (id === null) throw new Error(`Keystone issued no token: ${answer.status} ${JSON.stringify(answer.body)}`)
    return id
  }
  const env = {
    OS_AUTH_URL: url,
    OS_IDENTITY_API_VERSION: '3',
    OS_REGION_NAME: 'RegionOne',
    OS_USERNAME: 'admin',
    OS_PASSWORD: adminPassword,
    OS_PROJECT_NAME: 'admin',
    OS_USER_DOMAIN_NAME: 'Default',
    OS_PROJECT_DOMAIN_NAME: 'Default',
  }
  let kept: string | null = null
  const call: Keystone['call'] = async (method, path, body, headers = {}) => {
    if ('x-auth-token' in headers) return send(method, path, body, headers)
    kept ??= await token(administrator)
    const answer = await send(method, path, body, { ...headers, 'x-auth-token': kept })
    if (answer.status !== 401) return answer
    kept = await token(administrator)
    return send(method, path, body, { ...headers, 'x-auth-token': kept })
  }
  return { url, adminPassword, env, call, token, stop, [Symbol.asyncDispose]: stop }
}
