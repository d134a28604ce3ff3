/**
 * Writing a backup: one read-only snapshot of every table, through PostgreSQL's own protocol, so that it needs no
 * client programs of the server's version and works for the embedded database as for any other.
 */
import { readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileFailure, UserError } from '#launch/user-error.ts'
import type { Client } from 'pg'
import { type BackupHeader, type BackupWriter, END_OF_ROWS, openBackupWriter, type TableLine } from './backup-format.ts'
import { copyOut } from './copy-stream.ts'

export interface BackupDone {
  readonly tables: number
  readonly rows: number
}

/** Tables that hold rows of their own: ordinary ones, and partitioned ones as a whole; those of extensions apart. */
const TABLES = `
  select c.relname as table, (
      select array_agg(a.attname::text order by a.attnum) from pg_attribute a
      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = '') as columns
  from pg_class c
  where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
    and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e')
  order by c.relname`

const PARTITIONS = `
  select c.relname as name, p.relname as parent, pg_get_expr(c.relpartbound, c.oid) as bound
  from pg_class c join pg_inherits i on i.inhrelid = c.oid join pg_class p on p.oid = i.inhparent
  where c.relispartition and c.relkind in ('r', 'p') and c.relnamespace = 'public'::regnamespace
  order by c.oid`

const SEQUENCES = `select sequencename as name, last_value::text as last from pg_sequences
  where schemaname = 'public' and last_value is not null order by 1`

export const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`

/** Writes the database behind `client` to `path`, which must not exist; a file appears only when it is whole. */
export const writeBackup = async (client: Client, path: string, root: string, program: string): Promise<BackupDone> => {
  const draft = `${path}.part`
  try {
    await rm(draft, { force: true })
    const writer = await openBackupWriter(draft)
    const done = await writeAll(client, writer, root, program)
    await writer.end()
    await rename(draft, path)
    return done
  } catch (error) {
    await rm(draft, { force: true })
    throw fileFailure(error, 'backup file', path, 'choose another')
  }
}

const writeAll = async (client: Client, writer: BackupWriter, root: string, program: string): Promise<BackupDone> => {
  await client.query('begin isolation level repeatable read, read only')
  try {
    await client.query('set local statement_timeout = 0; set local idle_in_transaction_session_timeout = 0')
    const tables = (await client.query<TableLine>(TABLES)).rows
    await writer.write(`${JSON.stringify(await header(client, root, program))}\n`)
    let rows = 0
    for (const { table, columns } of tables) {
      await writer.write(`${JSON.stringify({ table, columns } satisfies TableLine)}\n`)
      const list = columns.map(quoted).join(', ')
      await copyOut(client, `copy (select ${list} from ${quoted(table)}) to stdout`, (chunk) => {
        rows += 1 // the server sends one message a row
        return writer.write(chunk)
      })
      await writer.write(`${END_OF_ROWS}\n`)
    }
    await writer.write(`${JSON.stringify({ end: true, tables: tables.length, rows })}\n`)
    return { tables: tables.length, rows }
  } finally {
    await client.query('rollback')
  }
}

const header = async (client: Client, root: string, program: string): Promise<BackupHeader> => {
  const { rows: applied } = await client.query<{ branch: string; name: string }>(
    'select branch, name from schema_migrations order by applied_at, branch desc, name',
  )
  const migrations = await Promise.all(
    applied.map(async ({ branch, name }) => ({ branch, name, sql: await migrationSql(root, branch, name) })),
  )
  const { rows: version } = await client.query<{ server_version: string }>('show server_version')
  return {
    format: 'deuteron-backup',
    version: 1,
    made_at: new Date().toISOString(),
    deuteron: program,
    postgresql: version[0]?.server_version ?? '',
    migrations,
    partitions: (await client.query<BackupHeader['partitions'][number]>(PARTITIONS)).rows,
    sequences: (await client.query<BackupHeader['sequences'][number]>(SEQUENCES)).rows,
  }
}

const migrationSql = async (root: string, branch: string, name: string): Promise<string> => {
  try {
    return await readFile(join(root, 'src/store/migrations', branch, `${name}.sql`), 'utf8')
  } catch (cause) {
    throw new UserError(
      `The database was migrated by another Deuteron (${branch}/${name} is unknown here): back it up with that one.`,
      { cause },
    )
  }
}
