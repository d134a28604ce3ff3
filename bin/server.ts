/**
 * `deuteron server`: the API and the feed on one database. With `--workers N` a primary process runs N API processes
 * and one feed process, so that a long list never delays a heartbeat; without, one process serves both.
 */
import cluster from 'node:cluster'
import { setTimeout as sleep } from 'node:timers/promises'
import { createApi } from '#api/server.ts'
import { assembleCore } from '#core/assemble.ts'
import { DriverError } from '#drivers/load.ts'
import { extensions } from '#extensions/index.ts'
import { createLogger, type Logger } from '#kernel/log.ts'
import { createRegistry } from '#kernel/metrics.ts'
import { loadSettings, type ServerSettings } from '#launch/settings.ts'
import { UserError } from '#launch/user-error.ts'
import { compose } from '#model/compose.ts'
import { livePolicy } from '#policy/live.ts'
import { PolicyError } from '#policy/load.ts'
import { coreResources } from '#resources/index.ts'
import { forgetKeys } from '#store/idempotency.ts'
import { migrate } from '#store/migrate.ts'
import { createNotifier } from '#store/notify.ts'
import { openDatabase } from '#store/pool.ts'
import { maintainChangeLog } from '#store/retention.ts'
import pg from 'pg'
import { hostsIn, serveFeed } from './feed.ts'
import { shownFigures } from './figures.ts'
import { serveFollowers, serveOutbox } from './outbox.ts'
import { leasesOf } from './leases.ts'
import { coreSettingsOf, identityOf, keystoneOptionsOf } from './parts.ts'
import { serveTors } from './tors.ts'
import { type Role, roleOf, supervise } from './workers.ts'

interface Setup {
  readonly settings: ServerSettings
  readonly coreSettings: Awaited<ReturnType<typeof coreSettingsOf>>
  readonly url: string
  readonly log: Logger
  readonly stack: AsyncDisposableStack
}

async function prepareDatabase({ url, log }: Setup): Promise<void> {
  const client = new pg.Client({ connectionString: url, application_name: 'deuteron migrate' })
  await client.connect()
  try {
    const { applied } = await migrate(client)
    if (applied.length > 0) log.info({ applied }, 'the database was migrated')
  } finally {
    await client.end()
  }
}

async function serve(role: Role, { settings, coreSettings, url, log, stack }: Setup): Promise<void> {
  const metrics = createRegistry()
  const figures = shownFigures(metrics)
  const database = openDatabase({ url, size: settings.databasePool, log, agentDownTime: settings.agentDownTime })
  stack.defer(() => database.close())
  const notifier = createNotifier(url, log)
  stack.defer(() => notifier.close())
  const { policyFile, policyDir, enforceNewDefaults, enforceScope } = settings
  const sources = { file: policyFile, dir: policyDir }
  const { policy } = stack.use(livePolicy({ sources, enforceNewDefaults, enforceScope, log }))
  const model = compose(coreResources, extensions)
  const core = await assembleCore({ database, model, policy, settings: coreSettings, notifier })
  if (role !== 'api') {
    await serveFeed({ core, notifier, settings, registry: metrics, log: log.child({ component: 'feed' }), stack })
    const keystone = settings.identity === 'keystone' ? keystoneOptionsOf(settings) : null
    const tells = { database, notifier, settings, keystone, registry: metrics, log: log.child({ component: 'outbox' }) }
    serveOutbox(tells, stack)
    serveFollowers({ ...tells, log: log.child({ component: 'drivers' }) }, core.settings.mechanismDrivers, stack)
    await serveTors({ core, notifier, settings, registry: metrics, log: log.child({ component: 'tors' }) }, stack)
    const tidy = async (): Promise<void> => {
      await maintainChangeLog(database, { keepSeconds: settings.changeRetention })
      await forgetKeys(database, settings.idempotencyRetention)
    }
    stack.defer(keepTidy(tidy, log))
    stack.defer(keepTidy(leasesOf({ core, registry: metrics, log }), log))
  }
  if (role !== 'feed') {
    const identity = identityOf(settings, log, metrics)
    const { maxBodySize, requestTimeout, paginationMaxLimit: maxLimit } = settings
    const hosts = hostsIn(database)
    const app = createApi({
      core,
      identity,
      hint: () => notifier.hint(),
      ...hosts,
      metrics,
      figures,
      log,
      maxBodySize,
      requestTimeout,
      maxLimit,
    })
    await app.listen({ host: settings.listenHost, port: settings.listenPort })
    stack.defer(() => app.close())
    log.info({ host: settings.listenHost, port: settings.listenPort }, 'the API is served')
  }
}

/** Now and then every ten minutes until stopped; a failure waits for the next time. */
function keepTidy(work: () => Promise<unknown>, log: Logger): () => Promise<void> {
  const stop = new AbortController()
  const running = (async () => {
    while (!stop.signal.aborted) {
      await work().catch((error: Error) => log.warn({ error: error.message }, 'the database was not tidied'))
      await sleep(600_000, undefined, { signal: stop.signal, ref: false }).catch(() => undefined)
    }
  })()
  return async () => {
    stop.abort()
    await running
  }
}

async function main(): Promise<void> {
  const { settings } = loadSettings('server', process.argv.slice(2), process.env)
  const log = createLogger('deuteron-server', settings.logLevel)
  const url = settings.databaseUrl
  if (url === null) throw new UserError('The server needs a database: give --database URL, or use "deuteron up".')
  const stack = new AsyncDisposableStack()
  // What is wrong with a driver is said before anything is touched.
  const setup = { settings, coreSettings: await coreSettingsOf(settings, log), url, log, stack }
  const asked = Promise.withResolvers<string>()
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => asked.resolve(signal))
  if (cluster.isPrimary) await prepareDatabase(setup)
  if (cluster.isPrimary && settings.workers > 0) supervise(settings.workers, log, stack)
  else await serve(roleOf(), setup)
  log.info({ signal: await asked.promise }, 'stopping')
  await stack.disposeAsync()
  process.exit(0)
}

main().catch((error: unknown) => {
  if ([UserError, PolicyError, DriverError].some((known) => error instanceof known))
    console.error(`deuteron server: ${(error as Error).message}`)
  else createLogger('deuteron-server').fatal({ err: error }, 'the server cannot run')
  process.exit(1)
})
