/**
 * The embedded PostgreSQL: made, started, adopted and stopped by us, reached by a Unix socket and peer
 * authentication alone.
 *
 * A cluster outlives a launcher that was killed: the next start adopts it. When the postmaster itself was killed, its
 * children may hold the shared memory for a moment longer; a start waits for them, then ends them, then recovers.
 */
import { spawn, spawnSync } from 'node:child_process'
import {
  closeSync,
  existsSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import type { Logger } from '#kernel/log.ts'
import { Client } from 'pg'
import { type Account, clusterAccount, isRoot, reaches, runAs, writeAs } from './account.ts'
import { findBinaries, POSTGRES_MAJOR, type PostgresBinaries } from './pg-binaries.ts'
import {
  DATABASE_NAME,
  DATABASE_OWNER,
  hbaConf,
  identConf,
  parsePostmasterPid,
  type PostmasterPid,
  postgresqlConf,
  socketFolder,
  socketUrl,
} from './pg-config.ts'
import { isAlive, openLog, processesIn, readLog, signal, until } from './processes.ts'
import { fileFailure, UserError } from './user-error.ts'

export type StopMode = 'smart' | 'fast' | 'immediate'

export interface EmbeddedPostgres extends AsyncDisposable {
  /** Connection string of our database, by socket. */
  readonly url: string
  readonly socketDir: string
  readonly pid: number
  /** Who runs it. */
  readonly account: Account
  /** True when it was running already. */
  readonly adopted: boolean
  /** `smart` waits for clients, `fast` (default) rolls their work back, `immediate` leaves recovery to the next start. */
  stop(mode?: StopMode): Promise<void>
}

export interface EmbeddedOptions {
  /** The cluster's own folder; made when missing, its parents too. */
  readonly dataDir: string
  readonly log: Logger
  /** Server settings that replace ours. */
  readonly settings?: Readonly<Record<string, string>>
  /** False only for throw-away clusters: nothing is forced to disk. */
  readonly durable?: boolean
  /** Whom a new cluster belongs to when root starts it (default: the system user), and who may log in beside root. */
  readonly user?: string
  /** How long leftovers of a killed cluster may hold on before they are ended. */
  readonly patienceMs?: number
}

const START_LIMIT_MS = 60_000
const STOP_LIMIT_MS = 30_000
const SIGNALS = { smart: 'SIGTERM', fast: 'SIGINT', immediate: 'SIGQUIT' } as const
const VOLATILE = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', autovacuum: 'off' }

/**
 * Starts the cluster in `dataDir`, or adopts the one that runs there; makes it first when there is none.
 * Throws a UserError for what a person can mend: an unreachable or foreign folder, a full disk, another version.
 */
export const startEmbeddedPostgres = async (options: EmbeddedOptions): Promise<EmbeddedPostgres> => {
  const account = clusterAccount(options.dataDir, options.user)
  const dataDir = prepareFolder(options.dataDir, account)
  const running = await findRunning(dataDir)
  if (running) {
    options.log.info({ pid: running.pid, dataDir }, 'adopted the PostgreSQL that was running')
    return handle(running, account, true)
  }
  const binaries = findBinaries(account)
  if (!existsSync(join(dataDir, 'PG_VERSION'))) createCluster(binaries, dataDir, account, options.durable ?? true)
  checkVersion(dataDir)
  const socketDir = prepareSocketFolder(dataDir, account)
  const extra = { ...(options.durable === false ? VOLATILE : {}), ...options.settings }
  try {
    writeAs(account, join(dataDir, 'postgresql.conf'), postgresqlConf(socketDir, extra))
    writeAs(account, join(dataDir, 'pg_hba.conf'), hbaConf())
    writeAs(
      account,
      join(dataDir, 'pg_ident.conf'),
      identConf(['root', account.name, ...(options.user ? [options.user] : [])]),
    )
  } catch (error) {
    throw fileFailure(error, 'data folder', dataDir)
  }
  await awaitLeftovers(dataDir, options.patienceMs ?? 5_000, options.log)
  forgetPredecessor(dataDir, socketDir)
  const started = await launch(binaries, dataDir, account)
  await ensureDatabase(socketDir)
  options.log.info({ pid: started.pid, dataDir, version: binaries.version }, 'PostgreSQL started')
  return handle(started, account, false)
}

/** Makes the cluster's folder for `account` and checks that it can be used; answers its real path. */
const prepareFolder = (dataDir: string, account: Account): string => {
  try {
    mkdirSync(dirname(dataDir), { recursive: true, mode: 0o755 })
    if (!existsSync(dataDir)) mkdirSync(dataDir, { mode: 0o700 })
    // As root: what is empty and ours becomes the account's. Links are not followed, the folder above may be another's.
    if (isRoot() && lstatSync(dataDir).uid === 0 && readdirSync(dataDir).length === 0) {
      lchownSync(dataDir, account.uid, account.gid)
    }
  } catch (error) {
    throw fileFailure(error, 'data folder', dataDir)
  }
  const real = realpathSync(dataDir)
  const { uid } = statSync(real)
  if (!reaches(account, real)) {
    throw new UserError(
      uid === account.uid || isRoot()
        ? `User "${account.name}", under which PostgreSQL runs, cannot reach ${real}: choose a folder below /var/lib or /srv with --data, or open the folders above it (chmod o+x).`
        : `The data folder ${real} belongs to another user (uid ${uid}): choose another with --data, or start as that user.`,
    )
  }
  if (uid !== account.uid)
    throw new UserError(
      `The data folder ${real} belongs to uid ${uid} and not to "${account.name}": choose another with --data.`,
    )
  return real
}

const prepareSocketFolder = (dataDir: string, account: Account): string => {
  const folder = socketFolder(dataDir, isRoot() ? '/run/deuteron-pg' : `/tmp/deuteron-${account.uid}`)
  if (folder === dataDir) return folder
  if (mkdirSync(folder, { recursive: true, mode: 0o700 }) !== undefined) lchownSync(folder, account.uid, account.gid)
  const found = lstatSync(folder)
  if (!found.isDirectory() || found.uid !== account.uid || (found.mode & 0o077) !== 0) {
    throw new UserError(
      `${folder}, where the database's socket must lie, belongs to someone else: remove it, or choose a shorter --data.`,
    )
  }
  return folder
}

/** Makes a cluster beside its final place and moves it there, so that an interrupted start leaves nothing half done. */
const createCluster = (binaries: PostgresBinaries, dataDir: string, account: Account, durable: boolean): void => {
  if (readdirSync(dataDir).length > 0) {
    throw new UserError(
      `${dataDir} is not empty and holds no database: choose another folder with --data, or empty it.`,
    )
  }
  const draft = `${dataDir}.new`
  try {
    rmSync(draft, { recursive: true, force: true })
    mkdirSync(draft, { mode: 0o700 })
    lchownSync(draft, account.uid, account.gid)
    const args = ['-D', draft, '-U', DATABASE_OWNER, '-A', 'peer', '--no-locale', '-E', 'UTF8', '--no-instructions']
    const made = spawnSync(binaries.initdb, durable ? args : [...args, '--no-sync'], {
      ...runAs(account),
      cwd: '/',
      encoding: 'utf8',
    })
    if (made.status !== 0)
      throw failure(`initdb failed for ${dataDir}`, `${made.stderr}${made.error?.message ?? ''}`, dataDir)
    renameSync(draft, dataDir)
  } catch (error) {
    rmSync(draft, { recursive: true, force: true })
    throw fileFailure(error, 'data folder', dataDir)
  }
}

/** The error for what a PostgreSQL program said: a sentence when the disk is full, else its last lines. */
const failure = (what: string, said: string, dataDir: string): Error => {
  if (/No space left on device|Disk quota exceeded/i.test(said)) {
    return new UserError(
      `The data folder ${dataDir} lies on a full disk: free some space or choose another with --data.`,
    )
  }
  return new Error(`${what}: ${said.trim().split('\n').slice(-4).join(' | ')}`)
}

const checkVersion = (dataDir: string): void => {
  const version = Number.parseInt(readFileSync(join(dataDir, 'PG_VERSION'), 'utf8'), 10)
  if (version === POSTGRES_MAJOR) return
  throw new UserError(
    `The data in ${dataDir} is of PostgreSQL ${version}, and this Deuteron brings ${POSTGRES_MAJOR}: write a backup with the Deuteron that made it ("deuteron db backup"), and restore that into a new folder.`,
  )
}

const readPostmasterPid = (dataDir: string): PostmasterPid | null => {
  try {
    return parsePostmasterPid(readFileSync(join(dataDir, 'postmaster.pid'), 'utf8'))
  } catch {
    return null
  }
}

/** Whether `pid` is a postmaster at work in `dataDir`, and not a process that inherited the number. */
const servesFolder = (pid: number, dataDir: string): boolean => processesIn(dataDir, 'postgres').includes(pid)

/** Whether a cluster is at work in `dataDir` now. */
export const clusterIsRunning = (dataDir: string): boolean => {
  const found = existsSync(dataDir) ? readPostmasterPid(dataDir) : null
  return found !== null && isAlive(found.pid) && servesFolder(found.pid, realpathSync(dataDir))
}

/** The postmaster at work in `dataDir`, waited for while it starts or stops; null when there is none. */
const findRunning = async (dataDir: string): Promise<PostmasterPid | null> => {
  let found = readPostmasterPid(dataDir)
  if (!found || !isAlive(found.pid)) return null
  if (!servesFolder(found.pid, dataDir)) return null
  const { pid } = found
  const settled = (): boolean => {
    found = readPostmasterPid(dataDir)
    return found?.ready === true || !isAlive(pid)
  }
  if (!(await until(settled, START_LIMIT_MS))) {
    throw new Error(`PostgreSQL (pid ${pid}) in ${dataDir} is neither ready nor gone after ${START_LIMIT_MS / 1000} s`)
  }
  return found?.ready && isAlive(found.pid) ? found : null
}

/** Waits until no process of a killed cluster is left in `dataDir`; ends those that stay longer than `patienceMs`. */
const awaitLeftovers = async (dataDir: string, patienceMs: number, log: Logger): Promise<void> => {
  const gone = (): boolean => processesIn(dataDir, 'postgres').length === 0
  if (await until(gone, patienceMs)) return
  const left = processesIn(dataDir, 'postgres')
  log.warn({ pids: left, dataDir }, 'ending what is left of a killed PostgreSQL')
  for (const pid of left) signal(pid, 'SIGQUIT')
  if (await until(gone, patienceMs)) return
  for (const pid of processesIn(dataDir, 'postgres')) signal(pid, 'SIGKILL')
  if (!(await until(gone, patienceMs))) {
    throw new UserError(
      `Processes of an earlier PostgreSQL hold on to ${dataDir} (pids ${left.join(', ')}): end them and start again.`,
    )
  }
}

/**
 * Removes the lock files of a postmaster that is gone. PostgreSQL does so itself, but not while its pid lives on: in
 * another process, or as a zombie where nobody reaps orphans. Its shared memory still guards against a second start.
 */
const forgetPredecessor = (dataDir: string, socketDir: string): void => {
  rmSync(join(dataDir, 'postmaster.pid'), { force: true })
  rmSync(join(socketDir, '.s.PGSQL.5432.lock'), { force: true })
}

/** Starts the postmaster in a session of its own, so that a Ctrl-C in the terminal reaches us and not it. */
const launch = async (binaries: PostgresBinaries, dataDir: string, account: Account): Promise<PostmasterPid> => {
  const logFile = `${dataDir}.log`
  const { fd: out, start } = openLog(logFile)
  const child = spawn(binaries.postgres, ['-D', dataDir], {
    ...runAs(account),
    cwd: '/',
    detached: true,
    stdio: ['ignore', out, out],
  })
  closeSync(out)
  child.unref()
  let failed: Error | null = null
  child.once('error', (error) => {
    failed = error
  })
  const ready = (): boolean =>
    failed !== null || child.exitCode !== null || child.signalCode !== null || isReady(dataDir, child.pid)
  const settled = await until(ready, START_LIMIT_MS)
  const found = readPostmasterPid(dataDir)
  if (settled && found && child.exitCode === null && isReady(dataDir, child.pid)) return found
  if (child.pid) signal(child.pid, 'SIGQUIT')
  const said = readLog(logFile, start)
  throw failed ?? failure(`PostgreSQL did not start in ${dataDir} (log: ${logFile})`, said, dataDir)
}

const isReady = (dataDir: string, pid: number | undefined): boolean => {
  const found = readPostmasterPid(dataDir)
  return found?.ready === true && found.pid === pid
}

const ensureDatabase = async (socketDir: string): Promise<void> => {
  const client = new Client({ connectionString: socketUrl(socketDir, 'postgres') })
  await client.connect()
  try {
    const { rowCount } = await client.query('select from pg_database where datname = $1', [DATABASE_NAME])
    if (rowCount === 0) await client.query(`create database ${DATABASE_NAME}`)
  } finally {
    await client.end()
  }
}

const handle = (running: PostmasterPid, account: Account, adopted: boolean): EmbeddedPostgres => {
  const stop = async (mode: StopMode = 'fast'): Promise<void> => {
    const { pid } = running
    const gone = (): boolean => !isAlive(pid)
    if (!gone()) signal(pid, SIGNALS[mode])
    if (await until(gone, STOP_LIMIT_MS)) return
    signal(pid, 'SIGQUIT')
    if (!(await until(gone, STOP_LIMIT_MS))) throw new Error(`PostgreSQL (pid ${pid}) does not stop`)
  }
  return {
    url: socketUrl(running.socketDir, DATABASE_NAME),
    socketDir: running.socketDir,
    pid: running.pid,
    account,
    adopted,
    stop,
    [Symbol.asyncDispose]: () => stop(),
  }
}
