/**
 * Which agents are there, and which were turned away: heartbeats (handed to an operation of core, which writes a
 * change only when others depend on it), connections, and refusals as operators see them in the list of agents.
 */
import type { Logger } from '#kernel/log.ts'
import type { Database } from '#store/pool.ts'
import type { Refusal } from '#wire/messages.ts'
import type { AgentReport, FeedEffects } from './types.ts'

export interface Presence {
  /** The newest report per host wins; written soon, one host at a time. */
  beat(report: AgentReport): void
  connected(host: string): Promise<void>
  disconnected(host: string): Promise<void>
  /** Notes the refusal with the host's agent, unless that would hide an agent that is well. */
  refused(host: string, refusal: Refusal): Promise<void>
  close(): Promise<void>
}

/** Heartbeats written at the same time. */
const LANES = 4
/** Agents that nobody enrolled and that were only ever refused: a stranger must not fill the table. */
const STRANGERS = 100
const KNOWN_TO_OWNER: ReadonlySet<Refusal['reason']> = new Set([
  'credential_revoked',
  'protocol_unknown',
  'versions_unknown',
])

const STANDING = `
  select a.refused->>'reason' as reason,
    exists (select 1 from agent_sessions s where s.host = a.host
      and a.heartbeat_timestamp > now() - current_setting('deuteron.agent_down_time')::interval) as connected
  from agents a where a.host = $1`
const STRANGER_COUNT = `
  select count(*)::int as count from agents a where a.refused is not null
    and not exists (select 1 from host_credentials c where c.host = a.host)`

export function createPresence(database: Database, effects: FeedEffects, server: string, log: Logger): Presence {
  const waiting = new Map<string, AgentReport>()
  const running = new Map<string, Promise<void>>()

  const next = (): void => {
    for (const [host, report] of waiting) {
      if (running.size >= LANES) return
      if (running.has(host)) continue
      waiting.delete(host)
      const done = effects
        .agentReported(report)
        .catch((error: unknown) => log.warn({ err: error, host }, 'a heartbeat could not be written'))
        .then(() => {
          running.delete(host)
          next()
        })
      running.set(host, done)
    }
  }

  const refused = async (host: string, { reason, message }: Refusal): Promise<void> => {
    const [standing] = await database.query<{ reason: string | null; connected: boolean }>(STANDING, [host])
    if (standing?.reason === reason) return
    if (standing?.connected && !KNOWN_TO_OWNER.has(reason)) return
    if (!standing) {
      const [strangers] = await database.query<{ count: number }>(STRANGER_COUNT)
      if ((strangers?.count ?? 0) >= STRANGERS) return
      await effects.agentReported({ host, configurations: {}, started_at: new Date().toISOString() })
    }
    const note = JSON.stringify({ reason, message, at: new Date().toISOString() })
    await database.query('update agents set refused = $2::jsonb where host = $1', [host, note])
  }

  return {
    beat: (report) => {
      waiting.set(report.host, report)
      next()
    },
    connected: async (host) => {
      await database.query(
        `insert into agent_sessions (host, server) values ($1, $2)
         on conflict (host) do update set server = excluded.server, since = now()`,
        [host, server],
      )
    },
    disconnected: async (host) => {
      await database.query('delete from agent_sessions where host = $1 and server = $2', [host, server])
    },
    refused,
    close: async () => {
      waiting.clear()
      await Promise.all(running.values())
    },
  }
}
