/**
 * How fast a destination is asked, after what it answered. Pure.
 *
 * While it fails as a whole, batches halve, so that one event it cannot take is found and set apart, and pauses double;
 * the first success sets both right again. A refusal of one event keeps back that event alone. One that is slow gets
 * more time, or it would never be heard.
 */

export interface Pace {
  /** Events in the next batch. */
  readonly size: number
  /** Failures as a whole in a row. */
  readonly faults: number
  /** How often the usual time the next request may take. */
  readonly time: number
}

export const START: Pace = { size: Number.POSITIVE_INFINITY, faults: 0, time: 1 }

const EVENT = { base: 1000, most: 60_000 }
const DESTINATION = { base: 500, most: 15_000 }
const MOST_TIME = 6

/** What became of a request. */
export type Outcome =
  | { readonly kind: 'judged' /** What it took of its time: 1 is all of it. */; readonly took: number }
  /** `late`: its time was up. */
  | { readonly kind: 'fault'; readonly answered: boolean; readonly late: boolean }

/** `count` events were sent, `most` can be. */
export function paced({ size, faults, time }: Pace, outcome: Outcome, count: number, most: number): Pace {
  if (outcome.kind === 'judged') {
    const left = outcome.took < 1 / 4 ? Math.max(1, time / 2) : time
    return { size: Math.min(most, Math.max(size, 1) * 2), faults: 0, time: left }
  }
  const next = outcome.answered ? Math.max(1, Math.floor(Math.min(count, size) / 2)) : size
  return { size: next, faults: faults + 1, time: outcome.late ? Math.min(MOST_TIME, time * 2) : time }
}

/** Milliseconds; `random` in [0, 1): half of it is drawn, so that many do not come back at once. */
const delay = ({ base, most }: typeof EVENT, times: number, random: number): number =>
  Math.min(most, base * 2 ** Math.min(times - 1, 30)) * (0.5 + random / 2)

/** How long an event is kept back after so many refusals in a row: 1 s, doubled up to a minute. */
export const eventDelay = (failures: number, random: number): number => delay(EVENT, failures, random)

/** How long a destination is left alone after so many faults in a row: half a second, doubled up to 15 s. */
export const pause = (faults: number, random: number): number => (faults === 0 ? 0 : delay(DESTINATION, faults, random))
