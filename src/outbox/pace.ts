/**
 * How fast a destination is asked, after what it answered. Pure.
 *
 * While it fails as a whole, batches halve, so that one event it cannot take is found and set apart, and pauses double;
 * the first success sets both right again. A refusal of one event keeps back that event alone.
 */
import type { Sent } from './event.ts'

export interface Pace {
  /** Events in the next batch. */
  readonly size: number
  /** Failures as a whole in a row. */
  readonly faults: number
}

export const START: Pace = { size: Number.POSITIVE_INFINITY, faults: 0 }

const EVENT = { base: 1000, most: 60_000 }
const DESTINATION = { base: 500, most: 15_000 }

/** `count` events were sent, `most` can be. */
export function paced(
  { size, faults }: Pace,
  sent: Sent['kind'],
  answered: boolean,
  count: number,
  most: number,
): Pace {
  if (sent === 'judged') return { size: Math.min(most, Math.max(size, 1) * 2), faults: 0 }
  const next = answered ? Math.max(1, Math.floor(Math.min(count, size) / 2)) : size
  return { size: next, faults: faults + 1 }
}

/** Milliseconds; `random` in [0, 1): half of it is drawn, so that many do not come back at once. */
const delay = ({ base, most }: typeof EVENT, times: number, random: number): number =>
  Math.min(most, base * 2 ** Math.min(times - 1, 30)) * (0.5 + random / 2)

/** How long an event is kept back after so many refusals in a row: 1 s, doubled up to a minute. */
export const eventDelay = (failures: number, random: number): number => delay(EVENT, failures, random)

/** How long a destination is left alone after so many faults in a row: half a second, doubled up to 15 s. */
export const pause = (faults: number, random: number): number => (faults === 0 ? 0 : delay(DESTINATION, faults, random))
