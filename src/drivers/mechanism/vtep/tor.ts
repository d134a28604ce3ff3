/**
 * Keeps one ToR as wanted: connection, planner and transactions, again whenever the want, the database or the
 * connection changes. Decides nothing about networks; `plan.ts` does.
 *
 * Promised: nothing is touched before the first `want`; a change by others is put right as soon as the database tells
 * of it; each transaction leaves every network it names whole; a network that the ToR refuses keeps no other waiting.
 */
import type { Logger } from '#kernel/log.ts'
import { createReplica, type OvsdbReplica } from '#protocol/ovsdb/replica.ts'
import { retryDelay, sleep, type Retry, type TlsIdentity } from '#protocol/socket.ts'
import { planTor, type TorProblem } from './plan.ts'
import { DATABASE, foreignVlans, holdingsOf, MONITORED, readSwitches, readTor, type TorHoldings } from './seen.ts'
import type { TorWant } from './want.ts'

export interface TorOptions {
  readonly connection: {
    /** `tcp:host:port`, `ssl:host:port` or `unix:/path` of the ToR's database. */
    readonly target: string
    readonly tls?: TlsIdentity
    /** Between attempts to connect; 100 ms doubling to 5 s by default. */
    readonly retry?: Retry
    /** A ToR that says nothing for twice as long is given up; 5 s by default. */
    readonly probeMs?: number
  }
  readonly log: Logger
}

/**
 * `idle`: connected, nothing wanted yet. `unreachable`: no connection, `reason` says why. `working`: something is still
 * to be written. `failing`: the ToR refuses something, see `problems`; tried again. `in_sync`: all is there that can be.
 */
export type TorState = 'unreachable' | 'idle' | 'working' | 'failing' | 'in_sync'

export interface TorStatus {
  readonly state: TorState
  /** Of the state, in one sentence; null where there is nothing to say, or the first attempt to connect goes on. */
  readonly reason: string | null
  /** When this state began. */
  readonly since: Date
  /** Networks that are not, or not wholly, in the ToR, and why. */
  readonly problems: readonly TorProblem[]
  /** How often something that others changed was put right. */
  readonly repaired: number
  /** When its whole database was last compared with what is wanted. */
  readonly reconciledAt: Date | null
  /** Why it was last unreachable or refused something, and when that began. */
  readonly lastError: { readonly at: Date; readonly message: string } | null
  /** What of ours it held when they were compared. */
  readonly held: TorHoldings
  /** The switch as its database shows it; null: not there, or not known yet. */
  readonly switch: {
    readonly tunnelIps: readonly string[]
    readonly ports: readonly string[]
    readonly faults: readonly string[]
    /** Port → VLANs that somebody else uses on it. */
    readonly foreign: Readonly<Record<string, readonly number[]>>
  } | null
}

export interface Tor {
  /** Replaces what is wanted. */
  want(state: TorWant): void
  status(): TorStatus
  /** Ends the connection; what is in the ToR stays and goes on working. */
  close(): Promise<void>
}

const CONNECT: Retry = { firstMs: 100, maxMs: 5_000 }
const REFUSED: Retry = { firstMs: 200, maxMs: 60_000 }
/** Between two rounds: another writer who insists must not make a loop. */
const PAUSE_MS = 50
/** With nothing to do it compares all the same, so that the time since then says whether it is at work. */
const COMPARE_MS = 60_000

export function createTor({ connection, log }: TorOptions): Tor {
  const { target } = connection
  const replica = follow(connection, log)
  const stop = new AbortController()
  const bell = createBell(stop.signal)
  const state = createState(replica)
  let wanted: TorWant | null = null
  /** True after a round that left nothing to do, until the want changes or the connection is lost. */
  let settled = false

  replica.onChange(bell.ring)
  replica.onUp(bell.ring)
  replica.onDown(() => {
    settled = false
    bell.ring()
  })

  const running = (async (): Promise<void> => {
    for (let attempt = 0; !stop.signal.aborted; ) {
      await bell.rung(attempt > 0 ? retryDelay(REFUSED, attempt - 1) : null)
      if (stop.signal.aborted) return
      if (!replica.connected || !wanted) {
        attempt = 0
        continue
      }
      const round = wanted
      if (!settled) state.set('working')
      const done = await reconcile(replica, round, stop.signal).catch((error: Error) => ({ error }))
      if ('error' in done) {
        state.set(replica.connected ? 'failing' : 'unreachable', done.error.message)
        attempt++
        continue
      }
      if (done.changed.length > 0 && settled) {
        state.repaired++
        log.warn({ tor: target, networks: done.changed }, 'put right what others changed in the ToR')
      }
      state.reconciled(done.held)
      const refused = done.problems.filter(({ reason }) => reason === 'refused')
      const message = String(refused[0]?.facts['message'] ?? '') || null
      if (round === wanted) state.set(message === null ? 'in_sync' : 'failing', message)
      state.problems = done.problems
      settled = refused.length === 0 && round === wanted
      attempt = refused.length > 0 ? attempt + 1 : 0
      await sleep(PAUSE_MS, stop.signal)
    }
  })()

  return {
    want: (next) => {
      wanted = next
      settled = false
      if (replica.connected) state.set('working')
      bell.ring()
    },
    status: () => state.read(wanted),
    close: async () => {
      stop.abort()
      bell.ring()
      await Promise.all([running, replica.close()])
    },
  }
}

/** Attempts that fail are in the status; a ToR that is away for days is not to fill the log. */
function follow(connection: TorOptions['connection'], log: Logger): OvsdbReplica {
  const { target, tls, retry = CONNECT, probeMs = 5_000 } = connection
  const options = { target, database: DATABASE, tables: MONITORED, retry, probeMs, ...(tls && { tls }) }
  return createReplica({ ...options, log: log.child({}, { level: 'error' }) })
}

/**
 * One transaction after the other until the plan is empty. When the ToR refuses one for several networks, each is
 * tried alone; who is refused alone is left out and reported.
 */
async function reconcile(
  replica: OvsdbReplica,
  want: TorWant,
  signal: AbortSignal,
): Promise<{ changed: readonly string[]; problems: readonly TorProblem[]; held: TorHoldings }> {
  const refused = new Map<string, string>()
  const changed = new Set<string>()
  let most: number | null = null
  for (;;) {
    const skip = new Set(refused.keys())
    const seen = readTor(replica.table)
    const plan = planTor(want, seen, most === null ? { skip } : { skip, most })
    if (plan.ops.length === 0 || signal.aborted) {
      const failed = [...refused].map(([network, message]) => ({
        network,
        reason: 'refused' as const,
        facts: { message },
      }))
      return { changed: [...changed], problems: [...plan.problems, ...failed], held: holdingsOf(seen) }
    }
    try {
      await replica.transact(plan.ops)
      for (const network of plan.networks) changed.add(network)
    } catch (error) {
      if (!replica.connected) throw error
      const [first = ''] = plan.networks
      if (plan.networks.length === 1) refused.set(first, (error as Error).message)
      most = 1
    }
  }
}

/** The state and since when, with what the database says about the switch. */
function createState(replica: OvsdbReplica) {
  const held = { state: 'unreachable' as TorState, reason: null as string | null, since: new Date() }
  const told = {
    reconciledAt: null as Date | null,
    lastError: null as TorStatus['lastError'],
    held: { networks: 0, vlanBindings: 0, remoteMacs: 0 } as TorHoldings,
  }
  const set = (next: TorState, reason: string | null = null): void => {
    if (reason !== null && held.reason !== reason) told.lastError = { at: new Date(), message: reason }
    if (held.state !== next) held.since = new Date()
    held.state = next
    held.reason = reason
  }
  const state = {
    repaired: 0,
    problems: [] as readonly TorProblem[],
    reconciled: (now: TorHoldings): void => {
      told.reconciledAt = new Date()
      told.held = now
    },
    set,
    read: (wanted: TorWant | null): TorStatus => {
      if (!replica.connected) set('unreachable', replica.failure?.message ?? null)
      else if (held.state === 'unreachable') set(wanted ? 'working' : 'idle')
      const seen = wanted ? readSwitches(replica.table).get(wanted.switch) : undefined
      const { repaired, problems } = state
      const shown = seen
        ? {
            tunnelIps: seen.tunnelIps,
            ports: [...seen.ports.keys()],
            faults: [...seen.faults, ...[...seen.ports.values()].flatMap(({ faults }) => faults)],
            foreign: foreignVlans(replica.table, seen),
          }
        : null
      return { ...held, ...told, problems, repaired, switch: shown }
    },
  }
  return state
}

/** Something to do: `ring` is remembered until somebody waits for it. */
function createBell(signal: AbortSignal): { ring(): void; rung(withinMs: number | null): Promise<void> } {
  let rang = false
  let wake: (() => void) | null = null
  const ring = (): void => {
    rang = true
    wake?.()
  }
  signal.addEventListener('abort', ring, { once: true })
  return {
    ring,
    /** Resolves when it rang, or after a while; with a time limit a ring alone does not shorten the wait. */
    rung: async (withinMs) => {
      if (withinMs !== null) await sleep(withinMs, signal)
      else if (!rang) {
        const ringing = Promise.withResolvers<void>()
        const timer = setTimeout(ringing.resolve, COMPARE_MS)
        wake = ringing.resolve
        await ringing.promise
        clearTimeout(timer)
      }
      rang = false
      wake = null
    },
  }
}
