/** `deuteron db …`: looks after the database, the embedded one or the one at --database. */
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { createLogger } from '#kernel/log.ts'
import { accountNamed, currentAccount, isRoot } from '#launch/account.ts'
import { lockDataFolder, prepareDataFolder } from '#launch/data-folder.ts'
import { clusterIsRunning, startEmbeddedPostgres } from '#launch/postgres.ts'
import { loadSettings, type ServerSettings } from '#launch/settings.ts'
import { messageOf, UserError } from '#launch/user-error.ts'
import { Client } from 'pg'
import { writeBackup } from './backup.ts'
import type { Command, CommandContext } from './command.ts'
import { columns, humanSize } from './output.ts'
import { restoreBackup } from './restore.ts'

export const dbCommand: Command = {
  usage:
    'db status | backup FILE | restore FILE [--force] | migrate | verify [--repair]   [--data DIR] [--database URL]',
  help: `
  status         version, size, migrations and the reach of the change log
  backup FILE    writes everything to FILE while servers work on; FILE must not exist
  restore FILE   fills an empty database from FILE; --force replaces what is there
  migrate        brings the schema up to date while servers work on
  verify         compares what is kept twice: counters, addresses, free numbers, lists of projects; exit code 1 if
                 anything differs; --repair puts it right, while writers wait

Users and passwords of the built-in identity are no part of the database: keep DIR/identity.json as well.
Works on the embedded database of DIR, started for the purpose when it is not running, or on --database URL.`,

  run: async (args, context) => {
    const { settings, positionals, extra } = loadSettings('server', args, context.env, {
      force: 'boolean',
      repair: 'boolean',
    })
    const [verb = '', file, ...rest] = positionals
    const action = ACTIONS[verb]
    if (!action || rest.length > 0 || (file === undefined) !== action.fileless) {
      throw new UserError('Say "deuteron db status", "backup FILE", "restore FILE", "migrate" or "verify".', {
        exitCode: 2,
      })
    }
    const path = resolve(file ?? '')
    if (verb === 'backup' && existsSync(path)) throw new UserError(`${path} exists: choose another file.`)
    if (verb === 'restore' && !existsSync(path)) throw new UserError(`There is no file ${path}.`)
    await using database = await openDatabase(settings, verb === 'restore')
    return await action.run({
      client: database.client,
      path,
      force: extra['force'] === true,
      repair: extra['repair'] === true,
      context,
    })
  },
}

interface Job {
  readonly client: Client
  readonly path: string
  readonly force: boolean
  readonly repair: boolean
  readonly context: CommandContext
}

interface OpenDatabase extends AsyncDisposable {
  readonly client: Client
}

/** A connection to the database in force. The embedded one is started when it is not running, and then stopped. */
const openDatabase = async (settings: ServerSettings, alone: boolean): Promise<OpenDatabase> => {
  await using stack = new AsyncDisposableStack()
  const url = settings.databaseUrl ?? (await embedded(settings, alone, stack))
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 10_000 })
  client.on('error', () => undefined) // the statement under way reports it
  try {
    await client.connect()
  } catch (cause) {
    throw new UserError(`The database cannot be reached: ${messageOf(cause)}. Check --database.`, { cause })
  }
  stack.defer(() => client.end())
  const open = stack.move()
  return { client, [Symbol.asyncDispose]: () => open.disposeAsync() }
}

const embedded = async (settings: ServerSettings, alone: boolean, stack: AsyncDisposableStack): Promise<string> => {
  const folder = settings.dataDir
  const dataDir = join(folder, 'postgres')
  if (!alone && !existsSync(dataDir)) {
    throw new UserError(
      `There is no database in ${folder}: name another folder with --data, or a database with --database URL.`,
    )
  }
  const account = isRoot() ? accountNamed(settings.user) : currentAccount()
  prepareDataFolder(folder, account)
  if (alone || !clusterIsRunning(dataDir)) stack.use(lockDataFolder(folder))
  const postgres = await startEmbeddedPostgres({ dataDir, log: createLogger('db', 'warn'), user: account.name })
  if (!postgres.adopted) stack.use(postgres)
  return postgres.url
}

const status = async ({ client, context: { out } }: Job): Promise<number> => {
  const one = async (text: string): Promise<string[]> =>
    Object.values((await client.query<Record<string, string | number | null>>(text)).rows[0] ?? {}).map((value) =>
      String(value ?? '-'),
    )
  const [version, name, size] = await one(
    `select current_setting('server_version') as version, current_database() as name, pg_database_size(current_database()) as size`,
  )
  const rows = [
    ['PostgreSQL', version ?? ''],
    ['database', name ?? ''],
    ['size', humanSize(Number(size))],
    ...(await migrationRows(client)),
  ]
  const { rows: there } = await client.query(`select to_regclass('public.change') is not null as yes`)
  if (there[0]?.['yes']) {
    const [first, last, estimate] = await one(CHANGE_LOG)
    // The planner's estimate is good enough where counting would take long.
    const count = Number(estimate) > 100_000 ? `about ${estimate}` : (await one('select count(*) from change'))[0]
    rows.push(['change log', first === '-' ? 'empty' : `${first} to ${last} UTC, ${count} entries`])
  }
  for (const line of columns(rows)) out.line(line)
  return 0
}

const CHANGE_LOG = `
  select to_char(min(at) at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') as first, to_char(max(at) at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') as last,
    (select coalesce(sum(greatest(reltuples, 0)), 0)::bigint as rows from pg_class
     where oid in (select inhrelid from pg_inherits where inhparent = 'public.change'::regclass)) as estimate
  from change`

const migrationRows = async (client: Client): Promise<[string, string][]> => {
  const { knownMigrations } = await import('#store/migrate.ts')
  const applied = await appliedMigrations(client)
  return Promise.all(
    (['expand', 'contract'] as const).map(async (branch): Promise<[string, string]> => {
      const missing = (await knownMigrations(branch)).filter(({ name }) => !applied.has(`${branch}/${name}`))
      const count = [...applied].filter((name) => name.startsWith(`${branch}/`)).length
      return [
        branch,
        missing.length === 0
          ? `${count} applied`
          : `${count} applied, missing: ${missing.map(({ name }) => name).join(', ')}`,
      ]
    }),
  )
}

/** Names as "branch/name"; empty for a database nobody has migrated. */
const appliedMigrations = async (client: Client): Promise<Set<string>> => {
  const { rows } = await client.query(`select to_regclass('public.schema_migrations') is not null as yes`)
  if (!rows[0]?.['yes']) return new Set()
  const applied = await client.query<{ branch: string; name: string }>('select branch, name from schema_migrations')
  return new Set(applied.rows.map(({ branch, name }) => `${branch}/${name}`))
}

const backup = async ({ client, path, context: { root, out } }: Job): Promise<number> => {
  if ((await appliedMigrations(client)).size === 0)
    throw new UserError('The database holds nothing of Deuteron: there is nothing to back up.')
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
  const { tables, rows } = await writeBackup(client, path, root, version)
  out.line(`${path}: ${rows} rows of ${tables} tables`)
  return 0
}

const restore = async ({ client, path, force, context: { out } }: Job): Promise<number> => {
  const { knownMigrations, migrate } = await import('#store/migrate.ts')
  const all = [...(await knownMigrations('expand')), ...(await knownMigrations('contract'))]
  const known = new Set(all.map(({ branch, name }) => `${branch}/${name}`))
  const { tables, rows } = await restoreBackup(client, path, { force, known })
  const { applied } = await migrate(client)
  out.line(
    `restored ${rows} rows of ${tables} tables${applied.length > 0 ? `, then migrated: ${applied.join(', ')}` : ''}`,
  )
  return 0
}

const migrateAll = async ({ client, context: { out } }: Job): Promise<number> => {
  const { migrate } = await import('#store/migrate.ts')
  const { applied } = await migrate(client)
  out.line(applied.length > 0 ? `applied: ${applied.join(', ')}` : 'nothing to do')
  return 0
}

const verify = async ({ client, repair, context: { out } }: Job): Promise<number> => {
  if ((await appliedMigrations(client)).size === 0)
    throw new UserError('The database holds nothing of Deuteron: there is nothing to verify.')
  const { verifyDatabase } = await import('./db-verify.ts')
  return verifyDatabase(client, repair, out)
}

const ACTIONS: Readonly<Record<string, { readonly fileless: boolean; run(job: Job): Promise<number> }>> = {
  status: { fileless: true, run: status },
  backup: { fileless: false, run: backup },
  restore: { fileless: false, run: restore },
  migrate: { fileless: true, run: migrateAll },
  verify: { fileless: true, run: verify },
}
