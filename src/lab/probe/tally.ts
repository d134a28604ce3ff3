/**
 * Counting what arrives of one flow, and judging it against what was sent. Pure but for the counters it owns.
 */
import type { Packet } from './packet.ts'

export interface Received {
  /** Different sequence numbers seen. */
  readonly unique: number
  readonly duplicates: number
  /** Packets that came after one with a higher number. */
  readonly reordered: number
  /** Longest time between two arrivals, ms, and the sequence number that ended it. */
  readonly longestGap: number
  readonly longestGapAt: number
  /** One-way delay, ms. */
  readonly maxDelay: number
  readonly meanDelay: number
  /** Ranges of missing numbers below the highest seen, first and last inclusive; at most 50. */
  readonly missing: readonly (readonly [number, number])[]
  readonly highest: number
}

export interface Tally {
  add(packet: Packet, now: number): void
  read(): Received
}

/** A counter for one flow of one run; memory grows with the highest sequence number, one byte each. */
export const createTally = (): Tally => {
  let seen = new Uint8Array(16_384)
  let unique = 0
  let duplicates = 0
  let reordered = 0
  let highest = -1
  let last = 0
  let longestGap = 0
  let longestGapAt = 0
  let maxDelay = 0
  let delays = 0
  return {
    add(packet, now) {
      const { sequence } = packet
      if (sequence >= seen.length) {
        const larger = new Uint8Array(Math.max(seen.length * 2, sequence + 1))
        larger.set(seen)
        seen = larger
      }
      if (last > 0 && now - last > longestGap) {
        longestGap = now - last
        longestGapAt = sequence
      }
      last = now
      if (seen[sequence] === 1) {
        duplicates++
        return
      }
      seen[sequence] = 1
      unique++
      if (sequence < highest) reordered++
      else highest = sequence
      const delay = now - packet.sentAt
      delays += delay
      maxDelay = Math.max(maxDelay, delay)
    },
    read: () => ({
      unique,
      duplicates,
      reordered,
      longestGap,
      longestGapAt,
      maxDelay,
      meanDelay: unique === 0 ? 0 : delays / unique,
      missing: missingRanges(seen, highest),
      highest,
    }),
  }
}

const missingRanges = (seen: Uint8Array, highest: number): [number, number][] => {
  const ranges: [number, number][] = []
  for (let i = 0; i <= highest && ranges.length < 50; i++) {
    if (seen[i] === 1) continue
    const first = i
    while (i < highest && seen[i + 1] !== 1) i++
    ranges.push([first, i])
  }
  return ranges
}

export interface Sent {
  readonly sent: number
  /** Packets the sender's kernel refused; they are in `sent` and so count as lost. */
  readonly errors: number
  /** Longest time between two of the sender's turns, ms: a figure for how disturbed the machine was. */
  readonly longestPause: number
  readonly tcp: TcpReport
}

export interface TcpReport {
  readonly messages: number
  readonly echoed: number
  /** Connections that ended before the run did, by reset or otherwise. */
  readonly broken: number
  /** Echoes that were not what was sent. */
  readonly corrupt: number
  /** Longest time between two echoes, ms. */
  readonly longestStall: number
  /** What ended the connections, for the reader. */
  readonly errors: readonly string[]
}

export interface FlowResult {
  readonly from: string
  readonly to: string
  readonly sent: number
  readonly lost: number
  readonly duplicates: number
  readonly reordered: number
  readonly longestGap: number
  readonly maxDelay: number
  readonly meanDelay: number
  readonly senderPause: number
  readonly missing: readonly (readonly [number, number])[]
  readonly tcp: TcpReport
}

/** Joins both ends' counts. Numbers above the highest seen are lost too: the flow died before the end. */
export const joinFlow = (from: string, to: string, sent: Sent, received: Received): FlowResult => ({
  from,
  to,
  sent: sent.sent,
  lost: sent.sent - received.unique,
  duplicates: received.duplicates,
  reordered: received.reordered,
  longestGap: received.longestGap,
  maxDelay: received.maxDelay,
  meanDelay: received.meanDelay,
  senderPause: sent.longestPause,
  missing:
    received.highest < sent.sent - 1
      ? [...received.missing, [received.highest + 1, sent.sent - 1] as const]
      : received.missing,
  tcp: sent.tcp,
})

/** Nothing lost, nothing twice, no TCP connection broken or corrupted, every message echoed. */
export const isLossless = (flows: readonly FlowResult[]): boolean =>
  flows.length > 0 &&
  flows.every(
    ({ sent, lost, duplicates, tcp }) =>
      sent > 0 &&
      lost === 0 &&
      duplicates === 0 &&
      tcp.broken === 0 &&
      tcp.corrupt === 0 &&
      tcp.echoed === tcp.messages,
  )
