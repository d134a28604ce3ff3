/** The feed's part of a server: the change log in, agents' streams out, and what hosts say into operations of core. */
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import type { Enrolments } from '#api/enrolments.ts'
import type { ApiOptions } from '#api/server.ts'
import { recordAgent, SYSTEM } from '#core/hosts/agents.ts'
import { type Core, operateInternally } from '#core/operation.ts'
import { recordDhcpStatus, recordPortStatus, recordRouterStatus } from '#core/hosts/port-status.ts'
import { startRebinding } from '#core/binding/retry.ts'
import { recordBindingsProven } from '#core/binding/waiting.ts'
import { leaveDownAgents, serveWires } from '#extensions/schedulers/failover.ts'
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
      portsRealized: (ports, up) => recordPortStatus(core, ports, up),
      portsAwaited: (ports, ready) => recordBindingsProven(core, ports, ready),
      networksRealized: (ids) => recordDhcpStatus(core, ids),
      routersRealized: (ids) => recordRouterStatus(core, ids),
    },
    listen: listenAt(settings),
    dnsDomain: settings.dnsDomain,
    server: `${hostname()}:${settings.listenPort}`,
    heartbeatMs: settings.heartbeatInterval * 1000,
    log,
    registry,
  })
  const { port } = await feed.start()
  stack.defer(() => feed.close())
  log.info({ port, socket: settings.feedSocket }, 'agents are served')
  watchAgents({ core, settings, log, stack })
  const rebinding = startRebinding({ core, log })
  stack.defer(() => rebinding.close())
}

/** Moves what agents that are down had; several servers that look at once find what is left. */
function watchAgents({ core, settings, log, stack }: Pick<FeedParts, 'core' | 'settings' | 'log' | 'stack'>): void {
  const kinds = [
    ...(settings.allowAutomaticDhcpFailover ? (['dhcp'] as const) : []),
    ...(settings.allowAutomaticL3agentFailover ? (['l3'] as const) : []),
  ]
  if (kinds.length === 0) return
  const look = async (): Promise<void> => {
    const moved = await operateInternally(core, SYSTEM, 'failover', (unit) => leaveDownAgents(unit.context, kinds))
    if (moved > 0) log.warn({ moved }, 'agents are down: what they had was given to others')
    if (settings.allowAutomaticDhcpFailover)
      await operateInternally(core, SYSTEM, 'wires', (unit) => serveWires(unit.context))
  }
  const timer = setInterval(() => {
    look().catch((error: unknown) => log.warn({ err: error }, 'what agents had that are down could not be moved'))
  }, settings.agentDownTime * 100)
  stack.defer(() => clearInterval(timer))
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
