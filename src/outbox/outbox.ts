/**
 * The outbox of a server: reads the change log, and tells others what concerns them. Of many servers on one database one
 * does it at a time; should two believe it is theirs for a moment, taking and settling keep the order all the same.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '#kernel/log.ts'
import { counter, gauge, type Registry } from '#kernel/metrics.ts'
import { type Bell, createBell } from '#store/bell.ts'
import { holdLease } from '#store/lease.ts'
import type { Database } from '#store/pool.ts'
import { createDeliverer, type Deliverer } from './deliver.ts'
import { derive, type DeriveOptions, establish } from './derive.ts'
import type { Destination } from './event.ts'
import type { NovaWishes } from './nova-events.ts'
import { createQueue, type Queue } from './queue.ts'

export interface OutboxOptions {
  readonly database: Database
  /** Resolves when something may have been committed. */
  readonly hint: () => Promise<void>
  readonly destinations: readonly Destination[]
  readonly nova: NovaWishes
  /** Milliseconds a request to a destination may take. */
  readonly timeoutMs: number
  /** Milliseconds between batches that are not full. */
  readonly gatherMs: number
  /** Seconds for which events stay that were delivered. */
  readonly keepSeconds: number
  readonly registry: Registry
  readonly log: Logger
  /** Seconds after which others take over from a server that is gone. */
  readonly leaseSeconds?: number
}

export interface Outbox {
  /** What is under way is taken back or told; another server may go on at once. */
  close(): Promise<void>
}

const POLL_MS = 1000
/** Rows that stand at the fence are readable soon. */
const POLL_AT_FENCE_MS = 20
/** Changes gather for so long before they are read. */
const GATHER_CHANGES_MS = 20
const HOUSEKEEPING_MS = 5000

export function startOutbox(options: OutboxOptions): Outbox {
  const { database, log, leaseSeconds = 5 } = options
  const queue = createQueue({ database })
  const stop = new AbortController()
  // Every server does, held or not: what changes from now on is told.
  const begun = untilDone(() => establish(deriving(options)), stop.signal, log)
  const work = async (signal: AbortSignal): Promise<void> => {
    await begun
    log.info('this server works on the outbox')
    await Promise.all(worksOf({ ...options, queue }, signal))
  }
  const lease = holdLease({ database, name: 'outbox', seconds: leaseSeconds, work, log })
  return {
    close: async () => {
      stop.abort()
      await lease.close()
    },
  }
}

const deriving = ({ database, nova, destinations, log }: OutboxOptions): DeriveOptions => {
  const told = new Set(destinations.map(({ name }) => name))
  return {
    database,
    nova: told.has('nova') ? nova : { status: false, data: false },
    placement: told.has('placement'),
    log,
  }
}

interface Work extends OutboxOptions {
  readonly queue: Queue
}

/** What goes on side by side: reading, one delivery for each destination, and what is done now and then. */
function worksOf(work: Work, signal: AbortSignal): Promise<void>[] {
  const { destinations, queue, timeoutMs, gatherMs, registry, log } = work
  const answers = countersOf(registry)
  const deliveries = destinations.map((destination) => ({
    bell: bellUntil(signal, () => new Promise<void>(() => undefined)),
    deliverer: createDeliverer({
      queue,
      destination,
      timeoutMs,
      gatherMs,
      log,
      onAnswer: (event, outcome) => answers.inc({ destination: event.destination, outcome }),
    }),
  }))
  return [
    read(work, signal, () => deliveries.forEach(({ bell }) => bell.ring())),
    ...deliveries.map(({ bell, deliverer }) => deliver(bell, deliverer, signal, log)),
    keepHouse(work, signal),
  ]
}

async function read(work: Work, signal: AbortSignal, news: () => void): Promise<void> {
  const bell = bellUntil(signal, work.hint)
  while (!signal.aborted) {
    bell.listen()
    const { events, standing } = await derive(deriving(work)).catch((error: Error) => {
      work.log.warn({ error: error.message }, 'the outbox cannot read the change log; trying again')
      return { events: 0, standing: false }
    })
    if (events > 0) news()
    if (signal.aborted) return
    await bell.heard(standing ? POLL_AT_FENCE_MS : POLL_MS)
    await pauseFor(GATHER_CHANGES_MS, signal)
  }
}

async function deliver(bell: Bell, deliverer: Deliverer, signal: AbortSignal, log: Logger): Promise<void> {
  while (!signal.aborted) {
    bell.listen()
    const wait = await deliverer.step(signal).catch((error: Error) => {
      log.warn({ error: error.message }, 'the outbox cannot reach its events; trying again')
      return POLL_MS
    })
    if (signal.aborted) return
    if (wait === null) await bell.heard(POLL_MS)
    else if (wait > 0) await pauseFor(wait, signal)
  }
}

async function keepHouse(
  { queue, keepSeconds, registry, destinations, log }: Work,
  signal: AbortSignal,
): Promise<void> {
  const pending = gaugeOf(registry, 'outbox_pending', 'Events that others have not heard yet')
  const oldest = gaugeOf(registry, 'outbox_oldest_seconds', 'Age of the oldest event that was not heard yet')
  while (!signal.aborted) {
    try {
      const backlog = new Map((await queue.backlog()).map((one) => [one.destination, one]))
      for (const { name: destination } of destinations) {
        pending.set({ destination }, backlog.get(destination)?.pending ?? 0)
        oldest.set({ destination }, backlog.get(destination)?.oldest ?? 0)
      }
      await queue.forget(keepSeconds)
    } catch (error) {
      log.warn({ error: (error as Error).message }, 'the outbox was not tidied')
    }
    await pauseFor(HOUSEKEEPING_MS, signal)
  }
  // Whoever works on it now says it.
  pending.reset()
  oldest.reset()
}

type Metric<T> = T | undefined
/** Made once a process, however often this server takes over. */
const gaugeOf = (registry: Registry, name: string, help: string) =>
  (registry.getSingleMetric(`deuteron_${name}`) as Metric<ReturnType<typeof gauge<'destination'>>>) ??
  gauge(registry, name, help, ['destination'])
const countersOf = (registry: Registry) =>
  (registry.getSingleMetric('deuteron_outbox_answers_total') as Metric<
    ReturnType<typeof counter<'destination' | 'outcome'>>
  >) ??
  counter(registry, 'outbox_answers_total', 'What became of events that were sent: done, again, fault', [
    'destination',
    'outcome',
  ])

function bellUntil(signal: AbortSignal, hint: () => Promise<void>): Bell {
  const bell = createBell(hint)
  signal.addEventListener('abort', () => bell.ring(), { once: true })
  return bell
}

const pauseFor = (ms: number, signal: AbortSignal): Promise<void> =>
  sleep(ms, undefined, { signal }).catch(() => undefined)

async function untilDone(task: () => Promise<void>, signal: AbortSignal, log: Logger): Promise<void> {
  while (!signal.aborted) {
    const failed = await task().catch((error: Error) => error)
    if (!failed) return
    log.warn({ error: failed.message }, 'the outbox cannot begin; trying again')
    await pauseFor(POLL_MS, signal)
  }
}
