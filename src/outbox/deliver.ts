/** Delivers to one destination, a batch at a time: take, send, keep the answer. A crash between any two repeats at most. */
import type { Logger } from '#kernel/log.ts'
import type { Destination, Sent, TakenEvent } from './event.ts'
import { eventDelay, type Outcome, type Pace, paced, pause, START } from './pace.ts'
import type { Queue } from './queue.ts'

export interface DelivererOptions {
  readonly queue: Queue
  readonly destination: Destination
  /** Milliseconds a request may take; more after some that were too slow. */
  readonly timeoutMs: number
  /** Milliseconds between batches that are not full, so that events gather. */
  readonly gatherMs: number
  readonly log: Logger
  readonly random?: () => number
  /** Told of every event once its answer is kept. */
  readonly onAnswer?: (event: TakenEvent, outcome: 'done' | 'again' | 'fault') => void
}

export interface Deliverer {
  /** One batch, if there is any to be sent. Answers after how many milliseconds to come again; null: when there is news. */
  step(signal?: AbortSignal): Promise<number | null>
}

/** So many events refused by themselves, one after the other: it is not the events. */
const MANY = 10
/** Nobody else takes what we have before this long after we gave up sending. */
const SLACK_MS = 3000

export function createDeliverer(options: DelivererOptions): Deliverer {
  const { queue, destination, timeoutMs, gatherMs, random = Math.random } = options
  let pace: Pace = START
  /** Refused by themselves since something was taken. */
  let apart = 0
  /** Whether those that go alone have their turn. */
  let alone = false
  const take = async (timeMs: number): Promise<{ events: TakenEvent[]; alone: boolean }> => {
    alone = !alone
    for (const turn of [alone, !alone]) {
      const limit = turn ? 1 : Math.min(pace.size, destination.batch)
      const request = { destination: destination.name, limit, alone: turn, holdMs: timeMs + SLACK_MS }
      const events = await queue.take(request)
      if (events.length > 0) return { events, alone: turn }
    }
    return { events: [], alone: false }
  }
  return {
    step: async (signal = new AbortController().signal) => {
      const timeMs = timeoutMs * pace.time
      const began = performance.now()
      const { events, alone: byItself } = await take(timeMs)
      if (events.length === 0 || signal.aborted) return null
      // What we took may be taken by others when its time is up: the request ends before, however slow taking was.
      const left = Math.max(1, Math.ceil(timeMs - (performance.now() - began)))
      const { sent, outcome } = await sendWithin(destination, events, left, signal)
      await keep(options, events, sent, random)
      witness(options, events.length, sent, pace)
      const { kind } = sent
      if (kind === 'judged') apart = 0
      // One that is set apart says nothing of the others.
      if (byItself && kind === 'fault' && sent.answered && ++apart <= MANY) return 0
      pace = paced(pace, outcome, events.length, destination.batch)
      if (kind === 'fault') return pause(pace.faults, random())
      return byItself || events.length >= destination.batch ? 0 : gatherMs
    },
  }
}

async function sendWithin(
  destination: Destination,
  events: readonly TakenEvent[],
  ms: number,
  signal: AbortSignal,
): Promise<{ sent: Sent; outcome: Outcome }> {
  const began = performance.now()
  const time = AbortSignal.timeout(ms)
  const sent = await destination.send(events, AbortSignal.any([signal, time]))
  const { kind } = sent
  if (kind === 'judged') return { sent, outcome: { kind, took: (performance.now() - began) / ms } }
  return { sent, outcome: { kind, answered: sent.answered, late: time.aborted } }
}

async function keep(
  { queue, onAnswer = () => undefined }: DelivererOptions,
  events: readonly TakenEvent[],
  sent: Sent,
  random: () => number,
): Promise<void> {
  if (sent.kind === 'judged') {
    await queue.settle(events, sent.verdicts, (failures) => eventDelay(failures, random()))
    for (const [index, event] of events.entries()) onAnswer(event, sent.verdicts[index]?.kind ?? 'again')
    return
  }
  const [only] = events
  const apart = sent.answered && events.length === 1 && only
  await queue.giveBack(events, sent.why, apart ? { delayMs: eventDelay(only.failures + 1, random()) } : undefined)
  for (const event of events) onAnswer(event, 'fault')
}

/** Says in the log when a destination goes and when it is back: once each. */
function witness({ log, destination }: DelivererOptions, count: number, sent: Sent, { faults }: Pace): void {
  const facts = { destination: destination.name, events: count }
  if (sent.kind === 'fault' && faults === 0)
    log.warn({ ...facts, why: sent.why }, 'events cannot be delivered; they wait')
  if (sent.kind === 'judged' && faults > 0) log.info(facts, 'events are delivered again')
}
