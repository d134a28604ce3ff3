/**
 * Restoring a backup, whole or not at all: in one transaction the schema is built by the migrations that came with
 * the file, filled without triggers and references, and these are put back, which checks every reference.
 */
import { UserError } from '#launch/user-error.ts'
import type { Client } from 'pg'
import { type BackupDone, quoted } from './backup.ts'
import {
  type BackupHeader,
  backupLines,
  END_OF_ROWS,
  type EndLine,
  parseLine,
  type TableLine,
} from './backup-format.ts'
import { copyIn } from './copy-stream.ts'

export interface RestoreOptions {
  /** Replace what the database holds. */
  readonly force: boolean
  /** Migrations this program knows, as "branch/name". */
  readonly known: ReadonlySet<string>
}

/**
 * Fills the database behind `client` from the file at `path`. Throws a UserError, and changes nothing, when the
 * database is not empty (unless `force`), in use, or the file is not whole or of a newer Deuteron.
 */
export const restoreBackup = async (client: Client, path: string, options: RestoreOptions): Promise<BackupDone> => {
  const lines = backupLines(path)
  const header = parseLine<BackupHeader>((await lines.next()).value as Buffer | undefined, path)
  if (header.format !== 'deuteron-backup' || header.version !== 1) {
    throw new UserError(`${path} is not a backup this Deuteron can read.`)
  }
  const newer = header.migrations.find(({ branch, name }) => !options.known.has(`${branch}/${name}`))
  if (newer) {
    throw new UserError(
      `${path} was written by a newer Deuteron (migration ${newer.branch}/${newer.name}): restore it with that one.`,
    )
  }
  await refuseInUse(client)
  await client.query('begin')
  try {
    await client.query('set local statement_timeout = 0; set local idle_in_transaction_session_timeout = 0')
    await emptySchema(client, options.force)
    await buildSchema(client, header)
    const done = await withoutReferences(client, () => fill(client, lines, path))
    for (const { name, last } of header.sequences)
      await client.query('select setval($1::regclass, $2)', [quoted(name), last])
    await client.query('commit')
    await client.query('analyze')
    return done
  } catch (error) {
    await client.query('rollback').catch(() => undefined) // the first error says more
    throw error
  }
}

const refuseInUse = async (client: Client): Promise<void> => {
  const { rows } = await client.query<{ n: number }>(
    `select count(*)::int as n from pg_stat_activity
     where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'`,
  )
  const n = rows[0]?.n ?? 0
  if (n > 0) throw new UserError(`The database is in use (${n} connections): stop the servers that use it first.`)
}

const emptySchema = async (client: Client, force: boolean): Promise<void> => {
  const { rows } = await client.query<{ n: number }>(
    `select count(*)::int as n from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')`,
  )
  const n = rows[0]?.n ?? 0
  if (n === 0) return
  if (!force) {
    throw new UserError(
      `The database is not empty (${n} tables): restore into a new one, or replace everything in it with --force.`,
    )
  }
  await client.query('drop schema public cascade')
  await client.query('create schema public')
}

const buildSchema = async (client: Client, header: BackupHeader): Promise<void> => {
  // The migrations' own ledger is made by the program that runs them (store/migrate.ts) and is in no migration.
  await client.query(`create table schema_migrations (
    branch text not null, name text not null, applied_at timestamptz not null default now(), primary key (branch, name))`)
  for (const { sql } of header.migrations) await client.query(sql)
  for (const { name, parent, bound } of header.partitions) {
    const { rows } = await client.query('select to_regclass($1) as there', [quoted(name)])
    if (rows[0]?.there === null)
      await client.query(`create table ${quoted(name)} partition of ${quoted(parent)} ${bound}`)
  }
}

/** Takes foreign keys and triggers away for the time of `work`; putting the keys back checks all rows. */
const withoutReferences = async <T>(client: Client, work: () => Promise<T>): Promise<T> => {
  const { rows: keys } = await client.query<{ table: string; name: string; definition: string }>(
    `select conrelid::regclass::text as table, conname as name, pg_get_constraintdef(oid) as definition
     from pg_constraint where contype = 'f' and conparentid = 0 and connamespace = 'public'::regnamespace`,
  )
  const { rows: tables } = await client.query<{ table: string }>(
    `select distinct tgrelid::regclass::text as table from pg_trigger
     where not tgisinternal and tgrelid in (select oid from pg_class where relnamespace = 'public'::regnamespace)`,
  )
  for (const { table, name } of keys) await client.query(`alter table ${table} drop constraint ${quoted(name)}`)
  for (const { table } of tables) await client.query(`alter table ${table} disable trigger user`)
  const result = await work()
  for (const { table } of tables) await client.query(`alter table ${table} enable trigger user`)
  for (const { table, name, definition } of keys) {
    await client.query(`alter table ${table} add constraint ${quoted(name)} ${definition}`)
  }
  return result
}

const fill = async (client: Client, lines: AsyncGenerator<Buffer>, path: string): Promise<BackupDone> => {
  let tables = 0
  let rows = 0
  for (;;) {
    const { value, done } = await lines.next()
    if (done) throw new UserError(`${path} was cut short: it has no last line.`)
    const line = parseLine<TableLine | EndLine>(value, path)
    if ('end' in line) {
      if (line.tables !== tables || line.rows !== rows)
        throw new UserError(`${path} is damaged: it counts other rows than it holds.`)
      return { tables, rows }
    }
    const source = rowsOf(lines, path, () => {
      rows += 1
    })
    await client.query(`truncate ${quoted(line.table)}`) // a migration may have put rows there
    await copyIn(client, `copy ${quoted(line.table)} (${line.columns.map(quoted).join(', ')}) from stdin`, source)
    tables += 1
  }
}

const NEWLINE = Buffer.from('\n')
const CHUNK = 64 * 1024

/** The rows of the table in turn, in chunks fit for the wire. */
async function* rowsOf(lines: AsyncGenerator<Buffer>, path: string, count: () => void): AsyncGenerator<Buffer> {
  let held: Buffer[] = []
  let size = 0
  for (;;) {
    const { value, done } = await lines.next()
    if (done) throw new UserError(`${path} was cut short in the middle of a table.`)
    if (value.length === 2 && value.toString('latin1') === END_OF_ROWS) break
    count()
    held.push(value, NEWLINE)
    size += value.length + 1
    if (size >= CHUNK) {
      yield Buffer.concat(held)
      held = []
      size = 0
    }
  }
  if (size > 0) yield Buffer.concat(held)
}
