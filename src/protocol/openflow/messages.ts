/** Messages of OpenFlow 1.5 written as bytes: modifications of flows, groups and meters, bundles, requests. */
import { createWriter, type Writer } from './bytes.ts'
import { instructionBytes, writeActions } from './actions.ts'
import { fieldNamed } from './fields.ts'
import { type Flow, formatFlow, formatGroup, type Group, type Meter } from './flow.ts'
import { matchTlvs, writeTlv } from './match.ts'

export const VERSION = 6
export const TYPE = {
  hello: 0,
  error: 1,
  echoRequest: 2,
  echoReply: 3,
  experimenter: 4,
  featuresRequest: 5,
  packetOut: 13,
  flowMod: 14,
  groupMod: 15,
  multipartRequest: 18,
  multipartReply: 19,
  barrierRequest: 20,
  barrierReply: 21,
  meterMod: 29,
  bundleControl: 33,
  bundleAdd: 34,
} as const
export const MULTIPART = { flowDesc: 1, groupDesc: 7, meterDesc: 10, portDesc: 13, flowMonitor: 16 } as const
export const BUNDLE = { open: 0, close: 2, commit: 4, discard: 6 } as const

const ANY = 0xffffffff
const NO_BUFFER = 0xffffffff
const ALL_TABLES = 0xff

/**
 * One change of a switch's tables.
 *
 * `add`: also replaces a flow of the same table, priority and match. `modify`: changes that flow's actions and cookie
 * keeps its counters; nothing happens when there is none. `delete`: exactly that flow. `delete-where`: every flow of
 * the table (`null`: of all) whose cookie equals `cookie` in the bits of `mask`. `set-group`: adds or replaces.
 */
export type Change =
  | { readonly op: 'add' | 'modify' | 'delete'; readonly flow: Flow }
  | { readonly op: 'delete-where'; readonly table: number | null; readonly cookie: bigint; readonly mask: bigint }
  | { readonly op: 'set-group'; readonly group: Group }
  | { readonly op: 'delete-group'; readonly id: number }

/** One line for logs and errors. */
export function describe(change: Change): string {
  switch (change.op) {
    case 'add':
    case 'modify':
    case 'delete':
      return `${change.op} ${formatFlow(change.flow)}`
    case 'delete-where':
      return `delete table=${change.table ?? 'all'},cookie=0x${change.cookie.toString(16)}/0x${change.mask.toString(16)}`
    case 'set-group':
      return `set ${formatGroup(change.group)}`
    case 'delete-group':
      return `delete group_id=${change.id}`
  }
}

/** Writes one message; `body` writes what follows the header. */
export function writeMessage(out: Writer, type: number, xid: number, body?: (out: Writer) => void): void {
  const start = out.length
  out.u8(VERSION).u8(type).u16(0).u32(xid)
  body?.(out)
  const length = out.length - start
  if (length > 0xffff) throw new Error(`a message of ${length} bytes is too long for OpenFlow (65535)`)
  out.setU16(start + 2, length)
}

export function writeChange(out: Writer, xid: number, change: Change): void {
  switch (change.op) {
    case 'set-group':
    case 'delete-group':
      return writeMessage(out, TYPE.groupMod, xid, () => writeGroupMod(out, change))
    default:
      return writeMessage(out, TYPE.flowMod, xid, () => writeFlowMod(out, change))
  }
}

const COMMAND = { add: 0, modify: 2, 'delete-where': 3, delete: 4 } as const

function writeFlowMod(out: Writer, change: Exclude<Change, { op: 'set-group' | 'delete-group' }>): void {
  const flow = change.op === 'delete-where' ? null : change.flow
  const [cookie, mask] = change.op === 'delete-where' ? [change.cookie, change.mask] : [change.flow.cookie, 0n]
  const table = change.op === 'delete-where' ? (change.table ?? ALL_TABLES) : change.flow.table
  out
    .u64(cookie)
    .u64(mask)
    .u8(table)
    .u8(COMMAND[change.op])
    .u16(0)
    .u16(0)
    .u16(flow?.priority ?? 0)
  out.u32(ANY).u32(ANY).u32(ANY).u16(0).u16(0)
  writeMatch(out, flow?.match ?? '')
  if (flow && change.op !== 'delete') out.bytes(instructionBytes(flow.actions, flow.match))
}

/** `ofp_match`: type OXM, length without padding, TLVs, padding to 8 bytes. */
function writeMatch(out: Writer, match: string): void {
  const tlvs = matchTlvs(match)
  const start = out.length
  out
    .u16(1)
    .u16(4 + tlvs.length)
    .bytes(tlvs)
    .pad8(start)
}

const GROUP_TYPE = { all: 0, select: 1, indirect: 2, ff: 3 } as const
const NETRONOME = 0x0000154d

function writeGroupMod(out: Writer, change: Extract<Change, { op: 'set-group' | 'delete-group' }>): void {
  if (change.op === 'delete-group') {
    out.u16(2).u8(0).zeros(1).u32(change.id).u16(0).zeros(2).u32(ANY)
    return
  }
  // 0x8000 adds or modifies: an extension of Open vSwitch.
  out.u16(0x8000).u8(GROUP_TYPE[change.group.type]).zeros(1).u32(change.group.id)
  const lengthAt = out.length
  out.u16(0).zeros(2).u32(ANY)
  writeBuckets(out, change.group, lengthAt)
}

/** Buckets and properties of a group as modifications and descriptions both carry them. */
function writeBuckets(out: Writer, { type, buckets, hash }: Group, lengthAt: number): void {
  const start = out.length
  for (const bucket of buckets) {
    const at = out.length
    out.u16(0).u16(0).u32(bucket.id)
    const actionsAt = out.length
    writeActions(out, bucket.actions)
    out.setU16(at + 2, out.length - actionsAt)
    if (type === 'select')
      out
        .u16(0)
        .u16(8)
        .u16(bucket.weight ?? 1)
        .zeros(2)
    if (bucket.watchPort !== undefined) out.u16(1).u16(8).u32(bucket.watchPort)
    out.setU16(at, out.length - at)
  }
  out.setU16(lengthAt, out.length - start)
  if (hash) writeHash(out, hash)
}

/** Netronome's selection method property, which Open vSwitch understands: hash over these fields. */
function writeHash(out: Writer, names: readonly string[]): void {
  const start = out.length
  out.u16(0xffff).u16(0).u32(NETRONOME).u32(1).zeros(4)
  out.bytes(Buffer.from('hash'.padEnd(16, '\0'))).u64(0n)
  for (const field of names.map(fieldNamed).sort((a, b) => a.rank - b.rank))
    writeTlv(out, field, field.full, field.full)
  out.setU16(start + 2, out.length - start)
  out.pad8(start)
}

/** Everything of a group that a description repeats, in hex: equal to `DumpedGroup.key` of the same group. */
export function keyOfGroup(group: Group): string {
  const out = createWriter()
  out.u8(GROUP_TYPE[group.type]).u16(0)
  writeBuckets(out, group, 1)
  return out.done().toString('hex')
}

export const writeMeter = (out: Writer, xid: number, op: 'add' | 'modify' | 'delete', meter: Meter): void =>
  writeMessage(out, TYPE.meterMod, xid, () => {
    const flags = (meter.unit === 'kbps' ? 1 : 2) | 4
    out.u16({ add: 0, modify: 1, delete: 2 }[op]).u16(flags).u32(meter.id)
    if (op !== 'delete') out.u16(1).u16(16).u32(meter.rate).u32(meter.burst).zeros(4)
  })

const NICIRA = 0x00002320
const CT_FLUSH_ZONE = 29

/** `NXT_CT_FLUSH_ZONE` (Open vSwitch, nicira-ext.h): forgets every connection of a conntrack zone. */
export const writeFlushZone = (out: Writer, xid: number, zone: number): void =>
  writeMessage(out, TYPE.experimenter, xid, () => out.u32(NICIRA).u32(CT_FLUSH_ZONE).zeros(6).u16(zone))

/** A frame for the switch to send by these actions, as if it came from the controller. */
export const writePacketOut = (out: Writer, xid: number, actions: string, frame: Buffer): void =>
  writeMessage(out, TYPE.packetOut, xid, () => {
    out.u32(NO_BUFFER)
    const lengthAt = out.length
    out.u16(0).zeros(2)
    writeMatch(out, 'in_port=controller')
    const start = out.length
    writeActions(out, actions)
    out.setU16(lengthAt, out.length - start)
    out.bytes(frame)
  })

const ATOMIC_ORDERED = 3

export const writeBundleControl = (out: Writer, xid: number, bundle: number, type: number): void =>
  writeMessage(out, TYPE.bundleControl, xid, () => out.u32(bundle).u16(type).u16(ATOMIC_ORDERED))

/** The inner message must carry the xid of the outer one. */
export const writeBundleAdd = (out: Writer, xid: number, bundle: number, change: Change): void =>
  writeMessage(out, TYPE.bundleAdd, xid, () => {
    out.u32(bundle).zeros(2).u16(ATOMIC_ORDERED)
    writeChange(out, xid, change)
  })

const writeMultipart = (out: Writer, xid: number, type: number, body?: (out: Writer) => void): void =>
  writeMessage(out, TYPE.multipartRequest, xid, () => {
    out.u16(type).u16(0).zeros(4)
    body?.(out)
  })

export interface FlowFilter {
  /** All tables without. */
  readonly table?: number
  readonly cookie?: bigint
  readonly cookieMask?: bigint
}

export const writeFlowRequest = (out: Writer, xid: number, { table, cookie, cookieMask }: FlowFilter): void =>
  writeMultipart(out, xid, MULTIPART.flowDesc, () => {
    out
      .u8(table ?? ALL_TABLES)
      .zeros(3)
      .u32(ANY)
      .u32(ANY)
      .zeros(4)
      .u64(cookie ?? 0n)
      .u64(cookieMask ?? 0n)
    writeMatch(out, '')
  })

export const writeGroupRequest = (out: Writer, xid: number): void =>
  writeMultipart(out, xid, MULTIPART.groupDesc, () => out.u32(0xfffffffc).zeros(4))

export const writeMeterRequest = (out: Writer, xid: number): void =>
  writeMultipart(out, xid, MULTIPART.meterDesc, () => out.u32(ANY).zeros(4))

export const writePortRequest = (out: Writer, xid: number): void =>
  writeMultipart(out, xid, MULTIPART.portDesc, () => out.u32(ANY).zeros(4))

/** Additions, removals and modifications by others in full; what this connection did, as bare xids. */
export const writeMonitorRequest = (out: Writer, xid: number, id: number): void =>
  writeMultipart(out, xid, MULTIPART.flowMonitor, () => {
    const [added, removed, modified, instructions] = [2, 4, 8, 16]
    out
      .u32(id)
      .u32(ANY)
      .u32(ANY)
      .u16(added | removed | modified | instructions)
    out.u8(ALL_TABLES).u8(0)
    writeMatch(out, '')
  })
