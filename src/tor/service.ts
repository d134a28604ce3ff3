/**
 * Keeps every configured ToR as the database wants it, and tells how each is. Of many servers one does it at a time.
 *
 * What is wanted is read whole once, and then network by network as the change log makes them dirty; a ToR's own part,
 * planning and transactions, is the driver's. Two that do it at once want the same and end in the same rows.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import type { Core } from '#core/operation.ts'
import { createTor, type Tor, type TorStatus } from '#drivers/mechanism/vtep/tor.ts'
import { type TorWant, wantOf } from '#drivers/mechanism/vtep/want.ts'
import type { Logger } from '#kernel/log.ts'
import type { Registry } from '#kernel/metrics.ts'
import type { Retry, TlsIdentity } from '#protocol/socket.ts'
import { createChangeReader } from '#store/change-reader.ts'
import { holdLease } from '#store/lease.ts'
import { measure, type TorMetrics } from './metrics.ts'
import { readSpans, readTunnelIps } from './queries.ts'
import { storeReport, torReport, type TorReport } from './report.ts'
import { dirtyNetworks, type Span, spannedNetworks, type TorSetting } from './spans.ts'

export interface TorsOptions {
  readonly core: Core
  readonly tors: readonly TorSetting[]
  /** For `ssl:` targets. */
  readonly tls: TlsIdentity | null
  /** Resolves when something may have been committed. */
  readonly hint: () => Promise<void>
  /** How often a ToR that is well is said to be. */
  readonly heartbeatMs: number
  readonly registry: Registry
  readonly log: Logger
  readonly retry?: Retry
  /** Seconds after which another server takes over. */
  readonly leaseSeconds?: number
}

export interface Tors {
  /** The ToRs stay as they are; another server may go on at once. */
  close(): Promise<void>
}

/** How soon a change of a ToR's state is seen. */
const LOOK_MS = 500

export function startTors(options: TorsOptions): Tors {
  const { core, registry, log, leaseSeconds } = options
  const metrics = measure(registry)
  return holdLease({
    database: core.database,
    name: 'tors',
    work: (signal) => serve({ ...options, metrics }, signal),
    log,
    ...(leaseSeconds !== undefined && { seconds: leaseSeconds }),
  })
}

/** A ToR with what was last asked of it and said of it. */
interface Served {
  readonly setting: TorSetting
  readonly tor: Tor
  want: TorWant | null
  said: TorReport | null
  saidAt: number
}

interface Work extends TorsOptions {
  readonly metrics: TorMetrics
}

async function serve(work: Work, signal: AbortSignal): Promise<void> {
  const { core, tors, tls, hint, log, retry } = work
  const reader = await createChangeReader({ database: core.database, from: null, hint, log })
  const state = {
    spans: new Map((await readSpans(core.database, null)).map((span) => [span.id, span])),
    tunnelIps: { ...(await readTunnelIps(core.database)) },
  }
  const served = tors.map((setting): Served => {
    const connection = { target: setting.target, ...(tls && { tls }), ...(retry && { retry }) }
    const tor = createTor({ connection, log: log.child({ name: setting.name }) })
    return { setting, tor, want: null, said: null, saidAt: 0 }
  })
  signal.addEventListener('abort', () => void reader.close(), { once: true })
  if (signal.aborted) await reader.close()
  ask(served, state)
  const reading = reader.run(async (rows) => {
    const dirty = [...dirtyNetworks(rows, state.spans)]
    if (dirty.length === 0) return
    const found = new Map((await readSpans(core.database, dirty)).map((span) => [span.id, span]))
    for (const id of dirty) replace(state.spans, id, found.get(id))
    ask(served, state)
  })
  await Promise.all([reading, watch(work, served, state, signal)])
  await Promise.all(served.map(({ tor }) => tor.close()))
  work.metrics.reset()
}

interface State {
  readonly spans: Map<string, Span>
  /** By ToR, as last known: one that cannot be reached may well go on forwarding. */
  readonly tunnelIps: Record<string, string>
}

function replace(spans: Map<string, Span>, id: string, span: Span | undefined): void {
  if (span) spans.set(id, span)
  else spans.delete(id)
}

/** Hands each ToR what it should hold, where that is not what it was handed last. */
function ask(served: readonly Served[], { spans, tunnelIps }: State): void {
  const settings = served.map(({ setting }) => setting)
  const networks = spannedNetworks(settings, spans.values())
  for (const one of served) {
    const want = { ...wantOf(one.setting.name, tunnelIps, networks), switch: one.setting.switch }
    if (isDeepStrictEqual(want, one.want)) continue
    one.want = want
    one.tor.want(want)
  }
}

/** Looks at the ToRs until the end: a tunnel address that is new changes what the others want; what is new is said. */
async function watch(work: Work, served: readonly Served[], state: State, signal: AbortSignal): Promise<void> {
  const startedAt = new Date().toISOString()
  while (!signal.aborted) {
    for (const one of served) {
      const status = one.tor.status()
      const report = torReport(one.setting, status, state.tunnelIps[one.setting.name] ?? null)
      if (report.tunnel_ip !== null && report.tunnel_ip !== state.tunnelIps[one.setting.name]) {
        state.tunnelIps[one.setting.name] = report.tunnel_ip
        ask(served, state)
      }
      work.metrics.show(one.setting.name, status, one.want?.networks.length ?? 0)
      await say(work, one, report, status, startedAt).catch((error: Error) =>
        work.log.warn({ name: one.setting.name, error: error.message }, 'the state of a ToR could not be stored'),
      )
    }
    await sleep(LOOK_MS, undefined, { signal }).catch(() => undefined)
  }
}

/** Stores what is new at once, and a heartbeat when it is time for one. */
async function say(
  { core, heartbeatMs, log }: Work,
  one: Served,
  report: TorReport,
  { state, reason }: TorStatus,
  startedAt: string,
): Promise<void> {
  const news = !isDeepStrictEqual(report, one.said)
  const due = state !== 'unreachable' && performance.now() - one.saidAt >= heartbeatMs
  // Nothing is known before the first attempt has ended.
  if ((state === 'unreachable' && reason === null) || (!news && !due)) return
  await storeReport(core, one.setting.name, report, startedAt)
  if (news) logNews(log.child({ name: one.setting.name, target: one.setting.target }), one.said, report)
  one.said = report
  one.saidAt = performance.now()
}

/** What began or ended, each once. */
function logNews(log: Logger, before: TorReport | null, now: TorReport): void {
  const { unreachable, problems } = now
  const was = before && before.unreachable !== null
  if (unreachable !== null && !was) log.warn({ reason: unreachable }, 'the ToR is unreachable')
  if (unreachable === null && was !== false) log.info('the ToR is connected')
  const had = new Set((before?.problems ?? []).map((problem) => JSON.stringify(problem)))
  for (const problem of problems)
    if (!had.has(JSON.stringify(problem))) log.warn({ ...problem }, 'a network is not as it should be in the ToR')
}
