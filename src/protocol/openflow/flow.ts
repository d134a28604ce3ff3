/**
 * Flows and groups as a data plane writes them: text in the syntax of ovs-ofctl(8), ovs-fields(7) and ovs-actions(7),
 * so that a person can read a plan. `match.ts` and `actions.ts` say what of it is understood.
 */
import { instructionBytes } from './actions.ts'
import { matchTlvs } from './match.ts'

/** Never expires. `match` may be empty: everything. `actions` empty or `drop`: nothing is done. */
export interface Flow {
  readonly table: number
  readonly priority: number
  readonly cookie: bigint
  readonly match: string
  readonly actions: string
}

/** Which flow it is on a switch: one per table, priority and match. */
export const flowKey = (table: number, priority: number, match: string): string => `${table}/${priority}/${match}`

/** The key of a flow of ours, equal to `DumpedFlow.key` of the same flow. Throws when the match is not understood. */
export const keyOfFlow = ({ table, priority, match }: Flow): string =>
  flowKey(table, priority, matchTlvs(match).toString('hex'))

/** What a flow does, equal to `DumpedFlow.instructions` of the same flow. Throws when not understood. */
export const instructionsOf = ({ actions, match }: Flow): string => instructionBytes(actions, match).toString('hex')

/** One line, as `ovs-ofctl add-flow` takes it. */
export const formatFlow = ({ table, priority, cookie, match, actions }: Flow): string =>
  [`table=${table}`, `priority=${priority}`, `cookie=0x${cookie.toString(16)}`, match, `actions=${actions || 'drop'}`]
    .filter((part) => part !== '')
    .join(',')

export interface Bucket {
  /** Unique in its group. */
  readonly id: number
  /** For `select`; 1 without. */
  readonly weight?: number
  /** The bucket counts as dead while this port is down. */
  readonly watchPort?: number
  readonly actions: string
}

export interface Group {
  readonly id: number
  readonly type: 'all' | 'select' | 'indirect' | 'ff'
  readonly buckets: readonly Bucket[]
  /** For `select`: names of the fields hashed, for instance `['ip_src', 'ip_dst']`; the switch's choice without. */
  readonly hash?: readonly string[]
}

/** A rate limit that drops. `rate` in kbit/s or packets/s, `burst` in kbit or packets. */
export interface Meter {
  readonly id: number
  readonly unit: 'kbps' | 'pktps'
  readonly rate: number
  readonly burst: number
}

/** One line, for logs and errors. */
export const formatGroup = ({ id, type, buckets }: Group): string =>
  `group_id=${id},type=${type},${buckets.map((bucket) => `bucket=bucket_id:${bucket.id},actions=${bucket.actions}`).join(',')}`
