/**
 * A Keystone for one run: Debian's, on SQLite, with Fernet tokens, in one uWSGI process on loopback. Its folder is
 * made once and taken again by a later run on the same port.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { debianEnv, type Program, runProgram, startProgram, waitForHttp } from './process.ts'

export const REGION = 'RegionOne'
/** Of every user; reachable from this machine alone, and gone with the run. */
export const PASSWORD = 'secret'

export interface Keystone {
  /** Ends with `/v3`. */
  readonly url: string
  readonly program: Program
}

export interface KeystoneOptions {
  readonly folder: string
  readonly port: number
  readonly log: string
}

const keystoneConf = ({ folder, log }: KeystoneOptions): string => `[DEFAULT]
log_file = ${log}
[database]
connection = sqlite:///${folder}/keystone.sqlite?timeout=60
sqlite_synchronous = false
[token]
provider = fernet
expiration = 86400
[fernet_tokens]
key_repository = ${folder}/fernet-keys
[fernet_receipts]
key_repository = ${folder}/fernet-keys
[credential]
key_repository = ${folder}/credential-keys
[cache]
enabled = true
backend = oslo_cache.dict
[identity]
# Tests make hundreds of users: the cheapest hash there is.
password_hash_rounds = 4
`

// One process: the cache is its own, and SQLite has one writer.
const uwsgiIni = ({ folder, port }: KeystoneOptions): string => `[uwsgi]
plugins = python3
buffer-size = 65535
rem-header = Content-Length
add-header = Connection: close
master = true
lazy-apps = true
enable-threads = true
no-orphans = true
die-on-term = true
processes = 1
threads = 8
listen = 100
chdir = ${folder}
http-socket = 127.0.0.1:${port}
wsgi-file = /usr/bin/keystone-wsgi-public
disable-logging = true
`

/** Database, keys, and the user `admin` in the project `admin` of the domain Default. */
const bootstrap = (options: KeystoneOptions, conf: string): void => {
  const { folder, port } = options
  const ready = join(folder, 'ready')
  if (existsSync(ready) && readFileSync(ready, 'utf8') === String(port)) return
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  writeFileSync(conf, keystoneConf(options))
  const group = runProgram(['id', '-gn'], { env: debianEnv(folder), cwd: folder }).trim()
  const owner = ['--keystone-user', userInfo().username, '--keystone-group', group]
  const url = `http://127.0.0.1:${port}/v3`
  const endpoints = ['public', 'internal', 'admin'].flatMap((kind) => [`--bootstrap-${kind}-url`, url])
  const manage = (...args: string[]): unknown =>
    runProgram(['keystone-manage', '--config-file', conf, ...args], { env: debianEnv(folder), cwd: folder })
  manage('db_sync')
  // Readers must not hold up the writer: without a write-ahead log they do, for ever.
  using database = new DatabaseSync(join(folder, 'keystone.sqlite'))
  database.exec('pragma journal_mode = wal')
  manage('fernet_setup', ...owner)
  manage('credential_setup', ...owner)
  manage('bootstrap', '--bootstrap-password', PASSWORD, '--bootstrap-region-id', REGION, ...endpoints)
  writeFileSync(ready, String(port))
}

/** Starts it; ends with `stack`. The first start on a folder takes about half a minute. */
export const startKeystone = async (stack: AsyncDisposableStack, options: KeystoneOptions): Promise<Keystone> => {
  const { folder, port } = options
  const conf = join(folder, 'keystone.conf')
  bootstrap(options, conf)
  const ini = join(folder, 'uwsgi.ini')
  writeFileSync(ini, uwsgiIni(options))
  const program = startProgram(stack, {
    argv: ['uwsgi_python3', '--ini', ini],
    log: `${options.log}.out`,
    env: { ...debianEnv(folder), OS_KEYSTONE_CONFIG_FILES: conf },
    cwd: folder,
  })
  const url = `http://127.0.0.1:${port}/v3`
  await waitForHttp('Keystone', url, program)
  return { url, program }
}
