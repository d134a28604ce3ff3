/**
 * Keeps every configured ToR as the database wants it, and tells how each is. Of many servers one does it at a time.
 *
 * What is wanted is read whole once, and then network by network as the change log makes them dirty; a ToR's own part,
 * planning and transactions, is the driver's. Two that do it at once want the same and end in the same rows.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import type { Core } from '#core/operation.ts'
import { TOR_AGENT } from '#drivers/mechanism/vtep/driver.ts'
import { createTor, type Tor, type TorStatus } from '#drivers/mechanism/vtep/tor.ts'
import { type TorNetwork, wantOf } from '#drivers/mechanism/vtep/want.ts'
import type { Logger } from '#kernel/log.ts'
import type { Registry } from '#kernel/metrics.ts'
import type { Retry, TlsIdentity } from '#protocol/socket.ts'
import { createChangeReader } from '#store/change-reader.ts'
import { holdLease } from '#store/lease.ts'
import { measure, type TorMetrics } from './metrics.ts'
import { createEvader, type Evader } from './evade.ts'
import { readKnown, readSpans } from './queries.ts'
import { type Known, lasting, retire, storeReport, torReport, type TorReport, UNKNOWN } from './report.ts'
import { type Change, dirtyNetworks, networkOf, type Span, spannedNetworks, type TorSetting } from './spans.ts'

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

/** A ToR with what was last asked of it, segment by segment, and what was last said of it. */
interface Served {
  readonly setting: TorSetting
  readonly tor: Tor
  readonly wanted: Map<string, TorNetwork>
  readonly evader: Evader
  asked: boolean
  said: TorReport | null
  saidAt: number
}

interface Work extends TorsOptions {
  readonly metrics: TorMetrics
}

async function serve(work: Work, signal: AbortSignal): Promise<void> {
  const { core, tors, tls, hint, log, retry } = work
  const reader = await createChangeReader({ database: core.database, from: null, hint, log })
  const retired = await retire(
    core,
    tors.map(({ name }) => name),
  )
  for (const { name } of retired) log.warn({ name }, 'a ToR is not in the settings any more: it keeps what it holds')
  const state = {
    spans: Map.groupBy(await readSpans(core.database, null), (span) => span.id),
    known: await readKnown(core.database),
    retired: new Map(retired.map((setting) => [setting.name, setting])),
  }
  const served = tors.map((setting): Served => {
    const connection = { target: setting.target, ...(tls && { tls }), ...(retry && { retry }) }
    const own = log.child({ name: setting.name })
    const evader = createEvader(core, setting, own)
    return {
      setting,
      tor: createTor({ connection, log: own }),
      evader,
      wanted: new Map(),
      asked: false,
      said: null,
      saidAt: 0,
    }
  })
  signal.addEventListener('abort', () => void reader.close(), { once: true })
  if (signal.aborted) await reader.close()
  ask(served, state, [...state.spans.keys()])
  const reading = reader.run(async (rows) => {
    if (forgotten(rows, state)) ask(served, state, [...state.spans.keys()])
    const dirty = [...dirtyNetworks(rows, state.spans)]
    if (dirty.length === 0) return
    const found = Map.groupBy(await readSpans(core.database, dirty), (span) => span.id)
    for (const id of dirty) replace(state.spans, id, found.get(id))
    ask(served, state, dirty)
  })
  await Promise.all([reading, watch(work, served, state, signal)])
  await Promise.all(served.map(({ tor }) => tor.close()))
  work.metrics.reset()
}

interface State {
  /** By network. */
  readonly spans: Map<string, readonly Span[]>
  /** By ToR. */
  readonly known: Map<string, Known>
  /** Not configured any more, but not forgotten either: what is behind them is still behind them. */
  readonly retired: Map<string, TorSetting>
}

/** Takes out ToRs that are not configured and whose agents were deleted. Answers whether there were any. */
function forgotten(rows: readonly Change[], { known, retired }: State): boolean {
  const gone = rows.flatMap(({ kind, before, after }) =>
    kind === 'agent' && before?.['agent_type'] === TOR_AGENT && !after ? [String(before['host'])] : [],
  )
  return gone.filter((name) => retired.delete(name) && known.delete(name)).length > 0
}

function replace<T>(all: Map<string, T>, id: string, one: T | undefined): void {
  if (one) all.set(id, one)
  else all.delete(id)
}

/** Works out what these networks are at each ToR, and hands a ToR all that it should hold when one of them changed. */
function ask(served: readonly Served[], { spans, known, retired }: State, dirty: readonly string[]): void {
  const tunnelIps = Object.fromEntries(
    [...known].flatMap(([name, { tunnel_ip }]) => (tunnel_ip === null ? [] : [[name, tunnel_ip] as const])),
  )
  const concerned = new Set(dirty)
  // Of two at one physical network the one that is configured counts.
  const settings = [...retired.values(), ...served.map(({ setting }) => setting)]
  const networks = spannedNetworks(
    settings,
    dirty.flatMap((id) => spans.get(id) ?? []),
  )
  for (const one of served) {
    const { name, switch: own } = one.setting
    const now = new Map(wantOf(name, tunnelIps, networks).networks.map((network) => [network.id, network]))
    const names = new Set([...now.keys(), ...[...one.wanted.keys()].filter((id) => concerned.has(networkOf(id)))])
    const changed = [...names].filter((id) => !isDeepStrictEqual(now.get(id), one.wanted.get(id)))
    for (const id of changed) replace(one.wanted, id, now.get(id))
    if (changed.length === 0 && one.asked) continue
    one.asked = true
    // In order of id, whatever came first: who is first at a VLAN stays.
    const all = [...one.wanted.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1))
    one.tor.want({ version: 1, switch: own, networks: all })
  }
}

/** Looks at the ToRs until the end: a tunnel address that is new changes what the others want; what is new is said. */
async function watch(work: Work, served: readonly Served[], state: State, signal: AbortSignal): Promise<void> {
  const startedAt = new Date().toISOString()
  while (!signal.aborted) {
    for (const one of served) {
      const { name } = one.setting
      const status = one.tor.status()
      const known = state.known.get(name) ?? UNKNOWN
      const report = torReport(one.setting, status, known, (problem) => one.evader.remedy(problem))
      state.known.set(name, report)
      if (report.tunnel_ip !== known.tunnel_ip) ask(served, state, [...state.spans.keys()])
      work.metrics.show(name, status, one.wanted.size)
      await say(work, one, report, status, startedAt).catch((error: Error) =>
        work.log.warn({ name, error: error.message }, 'the state of a ToR could not be stored'),
      )
      if (status.switch && report.unreachable === null) await one.evader.look(status.problems, report.foreign_vlans)
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
  const news = !one.said || !isDeepStrictEqual(lasting(report), lasting(one.said))
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
