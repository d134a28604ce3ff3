/** `deuteron up`: database and server on one machine, from nothing to `ready`, and down again. */
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { createLogger } from '#kernel/log.ts'
import { type Account, accountNamed, currentAccount, isRoot, mayWrite } from '#launch/account.ts'
import { drawnPassword, lockDataFolder, prepareDataFolder, writeAccess } from '#launch/data-folder.ts'
import { type EmbeddedPostgres, type StopMode, startEmbeddedPostgres } from '#launch/postgres.ts'
import { isAlive } from '#launch/processes.ts'
import {
  canRunServer,
  checkPort,
  endOrphan,
  type ServerProcess,
  startServer,
  waitForHealth,
} from '#launch/server-process.ts'
import { loadSettings, pathFlags, type ServerSettings } from '#launch/settings.ts'
import { messageOf, UserError } from '#launch/user-error.ts'
import type { Command, CommandContext } from './command.ts'
import { columns } from './output.ts'

export const upCommand: Command = {
  usage: 'up [--port N] [--data DIR] [--database URL] [--identity builtin|none|keystone] [--workers N] [SETTINGS]',
  help: `
Starts what this machine needs to serve the Networking API, and stays until Ctrl-C: an embedded
PostgreSQL (or the one at --database) and the server. Needs no root. It writes DIR/openrc and
DIR/clouds.yaml for the openstack client and prints "ready URL" when it serves. Data stay in DIR.

  --port N         port of the API (9696); agents connect on the next one
  --data DIR       folder of the database, secrets, logs and deuteron.yaml
  --database URL   use this PostgreSQL (15 or newer) instead of the embedded one
  --identity KIND  builtin: a user "admin" with a random password; none: no questions asked;
                   keystone: tokens of the Keystone at --keystone-auth-url, asked as --keystone-username
  --workers N      API processes (0: API and feed in one process)

Every setting of docs/reference/config.md is taken as a flag, too.`,

  run: async (args, context) => {
    const loaded = loadSettings('server', args, context.env)
    const { settings } = loaded
    const account = isRoot() ? accountNamed(settings.user) : currentAccount()
    const folder = prepareDataFolder(settings.dataDir, account)
    checkFeedSocket(settings, account)
    using _lock = lockDataFolder(folder)
    await endOrphan(folder)
    await checkPort(settings.listenHost, settings.listenPort, '--port')
    await checkPort(settings.feedHost, settings.feedPort, '--feed-port')
    return await serve({
      // awaited: the lock is held meanwhile
      settings,
      args: [...args, ...pathFlags(loaded)],
      account,
      folder,
      context,
    })
  },
}

interface Up {
  readonly settings: ServerSettings
  readonly args: readonly string[]
  readonly account: Account
  readonly folder: string
  readonly context: CommandContext
}

const serve = async (up: Up): Promise<number> => {
  const { settings, folder, context } = up
  const stopping = onSignals()
  const database = settings.databaseUrl === null ? await guardedDatabase(up) : null
  const server = startServer({
    root: context.root,
    folder,
    args: up.args,
    env: { ...context.env, DEUTERON_DATA_DIR: folder, ...(database ? { DEUTERON_DATABASE_URL: database.url } : {}) },
    account: serverAccount(up),
  })
  try {
    const url = clientUrl(settings)
    await Promise.race([waitForHealth(url, server), stopping.first])
    if (!stopping.asked()) {
      greet(up, url)
      context.out.line(`ready ${url}`)
    }
    const how = await Promise.race([server.ended, stopping.first])
    if (how === STOP) return 0
    const said = server.lastWords()
    throw new UserError(
      `The server ended by itself (${how})${said ? `: ${said}` : ''}; its log is ${join(folder, 'server.log')}.`,
    )
  } finally {
    await stopAll(server, database, stopping)
  }
}

const stopAll = async (server: ServerProcess, database: Guarded | null, stopping: Stopping): Promise<void> => {
  let mode: StopMode = 'fast'
  void stopping.second.then(() => {
    mode = 'immediate'
    return server.stop(true)
  })
  await server.stop()
  await database?.stop(mode)
  stopping.forget()
}

const STOP = Symbol('stop')

interface Stopping {
  readonly first: Promise<typeof STOP>
  readonly second: Promise<typeof STOP>
  asked(): boolean
  forget(): void
}

/** Ctrl-C, SIGTERM and a closed terminal: the first asks for a clean stop, the second for a quick one. */
const onSignals = (): Stopping => {
  const [first, second] = [Promise.withResolvers<typeof STOP>(), Promise.withResolvers<typeof STOP>()]
  let count = 0
  const hear = (): void => {
    count += 1
    if (count === 1) first.resolve(STOP)
    else second.resolve(STOP)
  }
  const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  for (const name of names) process.on(name, hear)
  const forget = (): void => {
    for (const name of names) process.off(name, hear)
  }
  return { first: first.promise, second: second.promise, asked: () => count > 0, forget }
}

interface Guarded {
  readonly url: string
  stop(mode: StopMode): Promise<void>
}

/** The embedded database, started again when someone ends it while we are up. */
const guardedDatabase = async ({ folder, account, context }: Up): Promise<Guarded> => {
  const log = createLogger('up', 'warn')
  const dataDir = join(folder, 'postgres')
  if (!existsSync(dataDir)) context.out.note(`making the database in ${dataDir} (once) …`)
  const start = (): Promise<EmbeddedPostgres> => startEmbeddedPostgres({ dataDir, log, user: account.name })
  let running = await start()
  let restart: Promise<void> | null = null
  const watch = setInterval(() => {
    if (restart || isAlive(running.pid)) return
    context.out.note('PostgreSQL ended; starting it again …')
    restart = start()
      .then((again) => {
        running = again
      })
      .catch((error: unknown) => context.out.note(`PostgreSQL does not start: ${messageOf(error)}`))
      .finally(() => {
        restart = null
      })
  }, 500)
  const stop = async (mode: StopMode): Promise<void> => {
    clearInterval(watch)
    await restart
    await running.stop(mode)
  }
  return { url: running.url, stop }
}

/** Refuses a socket that the server could not make. */
const checkFeedSocket = ({ feedSocket }: ServerSettings, account: Account): void => {
  if (feedSocket === null || mayWrite(account, dirname(feedSocket))) return
  throw new UserError(
    `User "${account.name}", under which the server runs, cannot make the socket ${feedSocket}: choose one in the data folder with --feed-socket, or make ${dirname(feedSocket)} writable for that user.`,
  )
}

/** Who the server runs as: not root, unless the code cannot be reached otherwise. */
const serverAccount = ({ account, context }: Up): Account => {
  if (!isRoot() || canRunServer(account, context.root)) return account
  context.out.note(`the server runs as root: user "${account.name}" cannot reach ${context.root}`)
  return currentAccount()
}

/** The URL a client on this machine uses; an address that means "all" is reached by loopback. */
const clientUrl = ({ listenHost, listenPort, publicUrl }: ServerSettings): string => {
  if (publicUrl) return publicUrl.replace(/\/$/, '')
  const host =
    { '0.0.0.0': '127.0.0.1', '::': '[::1]' }[listenHost] ?? (listenHost.includes(':') ? `[${listenHost}]` : listenHost)
  return `http://${host}:${listenPort}`
}

/** Writes the files that let a client in and says in a few lines what to do next. */
const greet = ({ settings, folder, account, context }: Up, url: string): void => {
  const { out } = context
  const canLogIn = prepareAccess(settings, folder, account, url)
  const rows = [
    ['  data', folder],
    ['  log', join(folder, 'server.log')],
    ...(canLogIn ? [['  use', `. ${join(folder, 'openrc')} && openstack network create demo`]] : []),
    ...(settings.identity === 'keystone' ? keystoneRows(settings, url) : []),
    ['  stop', 'Ctrl-C'],
  ]
  out.line(out.paint('bold', 'Deuteron is up.'))
  for (const row of columns(rows)) out.line(row)
}

/** Clients find this server in Keystone's catalogue, where somebody must put it once. */
const keystoneRows = ({ keystoneAuthUrl }: ServerSettings, url: string): string[][] => [
  ['  identity', `Keystone at ${keystoneAuthUrl}`],
  ['  once', 'openstack service create --name deuteron network'],
  ['  once', `openstack endpoint create --region RegionOne deuteron public ${url}`],
  ['  use', 'openstack network create demo'],
]

/** True when an openrc stands in the folder that fits the identity in force. */
const prepareAccess = (settings: ServerSettings, folder: string, account: Account, url: string): boolean => {
  if (settings.identity === 'keystone') return false
  if (settings.identity === 'none') {
    writeAccess(folder, { url, password: null }, account)
    return true
  }
  const password = drawnPassword(settings.identityFile ?? join(folder, 'identity.json'))
  if (password !== null) writeAccess(folder, { url, password }, account)
  return password !== null || existsSync(join(folder, 'openrc'))
}
