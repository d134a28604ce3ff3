/** The feed's part of a server: the change log in, agents' streams out, and what hosts say into operations of core. */
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import type { Enrolments } from '#api/enrolments.ts'
import type { ApiOptions } from '#api/server.ts'
import { recordAgent, recordPortStatus } from '#core/agents.ts'
import type { Core } from '#core/operation.ts'
import { enrol, isHostName, listCredentials, revoke } from '#feed/credentials.ts'
import { createFeed } from '#feed/feed.ts'
import type { ListenAt } from '#feed/listener.ts'
import { readRealizations } from '#feed/read-realizations.ts'
import type { Logger } from '#kernel/log.ts'
import type { Registry } from '#kernel/metrics.ts'
import type { ServerSettings } from '#launch/settings.ts'
import { createChangeReader } from '#store/change-reader.ts'
import type { Notifier } from '#store/notify.ts'
import type { Database } from '#store/pool.ts'

export interface FeedParts {
  readonly core: Core
  readonly notifier: Notifier
  readonly settings: ServerSettings
  readonly registry: Registry
  readonly log: Logger
  readonly stack: AsyncDisposableStack
}

/** Serves agents until the stack is disposed. */
export async function serveFeed({ core, notifier, settings, registry, log, stack }: FeedParts): Promise<void> {
  const source = await createChangeReader({ database: core.database, from: null, hint: () => notifier.hint(), log })
  const feed = createFeed({
    database: core.database,
    source,
    effects: {
      agentReported: (report) => recordAgent(core, report),
      portsRealized: (host, ids, up) => recordPortStatus(core, host, ids, up),
    },
    listen: listenAt(settings),
    server: `${hostname()}:${settings.listenPort}`,
    heartbeatMs: settings.heartbeatInterval * 1000,
    log,
    registry,
  })
  const { port } = await feed.start()
  stack.defer(() => feed.close())
  log.info({ port, socket: settings.feedSocket }, 'agents are served')
}

const listenAt = ({
  feedHost,
  feedPort,
  feedSocket,
  feedTlsCertificate,
  feedTlsKey,
  insecureListen,
}: ServerSettings): ListenAt => ({
  host: feedHost,
  port: feedPort,
  plaintext: insecureListen,
  ...(feedSocket !== null && { socket: feedSocket }),
  ...(feedTlsCertificate !== null &&
    feedTlsKey !== null && {
      tls: { cert: readFileSync(feedTlsCertificate, 'utf8'), key: readFileSync(feedTlsKey, 'utf8') },
    }),
})

/** What the API shows of agents and their hosts, as the feed's tables have it. */
export const hostsIn = (database: Database): Pick<ApiOptions, 'enrolments' | 'readRealizations'> => ({
  enrolments: enrolmentsIn(database),
  readRealizations: (filter) => readRealizations(database, filter),
})

const enrolmentsIn = (database: Database): Enrolments => ({
  isHostName,
  enrol: (host) => enrol(database, host),
  revoke: (host) => revoke(database, host),
  list: () => listCredentials(database),
})
