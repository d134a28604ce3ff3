/**
 * Brings a database to this program's schema. Two branches of numbered, forward-only SQL files: `expand` runs while
 * older servers work on, `contract` takes away what no running program needs any more. One advisory lock: programs
 * that start at once on a new database migrate it once.
 */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Client } from 'pg'

export type Branch = 'expand' | 'contract'

export interface Migration {
  readonly branch: Branch
  /** File name without `.sql`: `0001-core`. */
  readonly name: string
}

const FOLDER = join(import.meta.dirname, 'migrations')
const LOCK = 0x6465_7574

/** Migrations this program knows, in order. */
export async function knownMigrations(branch: Branch): Promise<Migration[]> {
  const files = await readdir(join(FOLDER, branch)).catch(() => [])
  return files
    .filter((file) => file.endsWith('.sql'))
    .sort()
    .map((file) => ({ branch, name: file.slice(0, -4) }))
}

/** Applies what is missing of one branch (default: expand), each file in a transaction of its own. */
export async function migrate(
  client: Client,
  { branch = 'expand' }: { branch?: Branch } = {},
): Promise<{ applied: string[] }> {
  await client.query('select pg_advisory_lock($1)', [LOCK])
  try {
    await client.query(`create table if not exists schema_migrations (
      branch text not null, name text not null, applied_at timestamptz not null default now(), primary key (branch, name))`)
    const { rows } = await client.query<{ name: string }>('select name from schema_migrations where branch = $1', [
      branch,
    ])
    const done = new Set(rows.map((row) => row.name))
    const applied: string[] = []
    for (const migration of await knownMigrations(branch)) {
      if (done.has(migration.name)) continue
      await applyOne(client, migration)
      applied.push(migration.name)
    }
    return { applied }
  } finally {
    await client.query('select pg_advisory_unlock($1)', [LOCK])
  }
}

async function applyOne(client: Client, { branch, name }: Migration): Promise<void> {
  const sql = await readFile(join(FOLDER, branch, `${name}.sql`), 'utf8')
  await client.query('begin')
  try {
    await client.query(sql)
    await client.query('insert into schema_migrations (branch, name) values ($1, $2)', [branch, name])
    await client.query('commit')
  } catch (error) {
    await client.query('rollback')
    throw new Error(`migration ${branch}/${name} failed: ${(error as Error).message}`, { cause: error })
  }
}
