/** What a switch answers, read: flows, groups, ports, flow monitor updates (OpenFlow 1.5 §7.3.5). */
import { flowKey } from './flow.ts'
import { keyOfTlvs } from './match.ts'

/** A flow as the switch holds it. */
export interface DumpedFlow {
  /** Equal to `keyOfFlow` of the flow that was added. */
  readonly key: string
  readonly table: number
  readonly priority: number
  readonly cookie: bigint
  /** Equal to `matchKey(parseMatch(text))`. */
  readonly match: string
  /** Equal to `instructionsOf` of the flow that was added. */
  readonly instructions: string
  readonly packets: bigint
  readonly bytes: bigint
}

const OXS_CLASS = 0x8002
const OXS_PACKETS = 4
const OXS_BYTES = 5

const pad8 = (length: number): number => (length + 7) & ~7

export function readFlows(body: Buffer): DumpedFlow[] {
  const flows: DumpedFlow[] = []
  for (let at = 0; at + 24 <= body.length; ) {
    const end = at + body.readUInt16BE(at)
    const matchLength = body.readUInt16BE(at + 26)
    const match = keyOfTlvs(body.subarray(at + 28, at + 24 + matchLength))
    const stats = at + 24 + pad8(matchLength)
    const statsLength = body.readUInt16BE(stats + 2)
    const [table, priority] = [body.readUInt8(at + 4), body.readUInt16BE(at + 6)]
    flows.push({
      key: flowKey(table, priority, match),
      table,
      priority,
      cookie: body.readBigUInt64BE(at + 16),
      match,
      instructions: body.toString('hex', stats + pad8(statsLength), end),
      ...readStats(body.subarray(stats + 4, stats + statsLength)),
    })
    at = end
  }
  return flows
}

/** OXS TLVs: class 16 bits, field 7, reserved 1, length 8. */
function readStats(bytes: Buffer): { packets: bigint; bytes: bigint } {
  const stats = { packets: 0n, bytes: 0n }
  for (let at = 0; at + 4 <= bytes.length; at += 4 + (bytes[at + 3] ?? 0)) {
    if (bytes.readUInt16BE(at) !== OXS_CLASS) continue
    const field = (bytes[at + 2] ?? 0) >> 1
    if (field === OXS_PACKETS) stats.packets = bytes.readBigUInt64BE(at + 4)
    if (field === OXS_BYTES) stats.bytes = bytes.readBigUInt64BE(at + 4)
  }
  return stats
}

export interface DumpedGroup {
  readonly id: number
  /** Equal to `keyOfGroup` of the group that was set. */
  readonly key: string
}

export function readGroups(body: Buffer): DumpedGroup[] {
  const groups: DumpedGroup[] = []
  for (let at = 0; at + 16 <= body.length; ) {
    const end = at + body.readUInt16BE(at)
    const type = body.toString('hex', at + 2, at + 3)
    const length = body.toString('hex', at + 8, at + 10)
    groups.push({ id: body.readUInt32BE(at + 4), key: type + length + body.toString('hex', at + 16, end) })
    at = end
  }
  return groups
}

/** Ids of meters. */
export function readMeters(body: Buffer): number[] {
  const meters: number[] = []
  for (let at = 0; at + 8 <= body.length; at += Math.max(8, body.readUInt16BE(at)))
    meters.push(body.readUInt32BE(at + 4))
  return meters
}

export interface SwitchPort {
  readonly number: number
  readonly name: string
  readonly mac: string
  /** Administratively up and with a link. */
  readonly up: boolean
}

export function readPorts(body: Buffer): SwitchPort[] {
  const ports: SwitchPort[] = []
  for (let at = 0; at + 40 <= body.length; at += Math.max(40, body.readUInt16BE(at + 4))) {
    const name = body.subarray(at + 16, at + 32)
    const down = (body.readUInt32BE(at + 32) & 1) | (body.readUInt32BE(at + 36) & 1)
    ports.push({
      number: body.readUInt32BE(at),
      name: name.toString('utf8', 0, Math.max(0, name.indexOf(0))),
      mac: (body.toString('hex', at + 8, at + 14).match(/../g) ?? []).join(':'),
      up: down === 0,
    })
  }
  return ports
}

/** What someone did to a flow. */
export interface FlowUpdate {
  readonly event: 'added' | 'removed' | 'modified'
  readonly key: string
  readonly table: number
  readonly priority: number
  readonly cookie: bigint
  readonly match: string
  readonly instructions: string
}
export type MonitorUpdate =
  | FlowUpdate
  /** A change made with message `xid` on this connection. */
  | { readonly event: 'own'; readonly xid: number }
  /** The switch stopped telling because we read too slowly; it tells everything that is left over, then resumes. */
  | { readonly event: 'paused' | 'resumed' }

const EVENTS = ['added', 'added', 'removed', 'modified'] as const
const ABBREVIATED = 4
const PAUSED = 5
const RESUMED = 6

export function readUpdates(body: Buffer): MonitorUpdate[] {
  const updates: MonitorUpdate[] = []
  for (let at = 0; at + 8 <= body.length; ) {
    const length = Math.max(8, body.readUInt16BE(at))
    const event = body.readUInt16BE(at + 2)
    const full = EVENTS[event]
    if (event === ABBREVIATED) updates.push({ event: 'own', xid: body.readUInt32BE(at + 4) })
    else if (event === PAUSED || event === RESUMED) updates.push({ event: event === PAUSED ? 'paused' : 'resumed' })
    else if (full) updates.push(readFullUpdate(full, body.subarray(at, at + length)))
    at += length
  }
  return updates
}

function readFullUpdate(event: FlowUpdate['event'], bytes: Buffer): FlowUpdate {
  const matchLength = bytes.readUInt16BE(26)
  const match = keyOfTlvs(bytes.subarray(28, 24 + matchLength))
  const [table, priority] = [bytes.readUInt8(4), bytes.readUInt16BE(10)]
  const instructions = bytes.toString('hex', 24 + pad8(matchLength))
  const cookie = bytes.readBigUInt64BE(16)
  return { event, key: flowKey(table, priority, match), table, priority, cookie, match, instructions }
}
