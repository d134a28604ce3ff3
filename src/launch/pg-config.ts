/** What we tell PostgreSQL: its settings, who may log in, where its socket lies. All pure. */
import { createHash } from 'node:crypto'
import { join } from 'node:path'

/** Owner of the database, and its name. */
export const DATABASE_OWNER = 'deuteron'
export const DATABASE_NAME = 'deuteron'

/** Longest path of a Unix socket on Linux, in bytes. */
const SOCKET_PATH_LIMIT = 107
/** The longest file PostgreSQL makes beside its socket. */
const SOCKET_FILE = '.s.PGSQL.5432.lock'

const SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: '',
  unix_socket_permissions: '0700',
  max_connections: '60',
  shared_buffers: '96MB',
  work_mem: '8MB',
  maintenance_work_mem: '64MB',
  huge_pages: 'off',
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',
  wal_level: 'replica',
  max_wal_senders: '0',
  max_logical_replication_workers: '0',
  wal_compression: 'pglz',
  min_wal_size: '64MB',
  max_wal_size: '512MB',
  checkpoint_completion_target: '0.9',
  jit: 'off',
  max_parallel_workers_per_gather: '0',
  random_page_cost: '1.1',
  idle_in_transaction_session_timeout: '30s',
  autovacuum_vacuum_scale_factor: '0.05',
  autovacuum_naptime: '30s',
  log_min_messages: 'warning',
  log_line_prefix: '%m [%p] %q%u@%d ',
  timezone: 'UTC',
}

const quoted = (value: string): string => `'${value.replaceAll("'", "''")}'`

/** The whole postgresql.conf; wal_level replica costs nothing and lets a base backup be taken later. */
export const postgresqlConf = (socketDir: string, extra: Readonly<Record<string, string>> = {}): string => {
  const settings = { ...SETTINGS, unix_socket_directories: socketDir, ...extra }
  return [
    '# Written by Deuteron at every start; changes belong into postgresql.auto.conf (ALTER SYSTEM).',
    ...Object.entries(settings).map(([name, value]) => `${name} = ${quoted(value)}`),
    '',
  ].join('\n')
}

export const hbaConf = (): string => 'local all all peer map=deuteron\n'

/** `users` of this machine may log in as the database's owner. */
export const identConf = (users: readonly string[]): string =>
  [...new Set(users)].map((user) => `deuteron "${user}" ${DATABASE_OWNER}\n`).join('')

/**
 * The folder for the socket: the data folder while the path fits, else a short one below `runtime`, named after the
 * data folder so that two clusters never meet.
 */
export const socketFolder = (dataDir: string, runtime: string): string => {
  if (Buffer.byteLength(join(dataDir, SOCKET_FILE)) <= SOCKET_PATH_LIMIT) return dataDir
  const short = createHash('sha256').update(dataDir).digest('hex').slice(0, 12)
  return `${runtime}-${short}`
}

/** A connection string that libpq and npm's pg both read. */
export const socketUrl = (socketDir: string, database: string): string =>
  `postgresql://${DATABASE_OWNER}@localhost/${encodeURIComponent(database)}?host=${encodeURIComponent(socketDir)}`

export interface PostmasterPid {
  readonly pid: number
  readonly dataDir: string
  readonly socketDir: string
  readonly ready: boolean
}

/** Reads the text of a postmaster.pid; null while it is not complete. Lines: pid, data folder, start, port, socket, address, shared memory, status. */
export const parsePostmasterPid = (text: string): PostmasterPid | null => {
  const [pid, dataDir, , , socketDir, , , status] = text.split('\n').map((line) => line.trim())
  if (!pid || !/^\d+$/.test(pid) || !dataDir) return null
  return { pid: Number(pid), dataDir, socketDir: socketDir ?? '', ready: status === 'ready' }
}
