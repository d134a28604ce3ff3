/**
 * The probe's packet: 24 bytes that say which run, which flow, which number, and when it left.
 * Times are milliseconds of CLOCK_MONOTONIC, which all processes of one machine share.
 */
const MAGIC = 0x64650001
export const PACKET_SIZE = 24

export interface Packet {
  readonly run: number
  readonly flow: number
  /** Counts from 0 within a run and flow. */
  readonly sequence: number
  readonly sentAt: number
}

export const encodePacket = ({ run, flow, sequence, sentAt }: Packet): Buffer => {
  const bytes = Buffer.allocUnsafe(PACKET_SIZE)
  bytes.writeUInt32BE(MAGIC, 0)
  bytes.writeUInt32BE(run, 4)
  bytes.writeUInt32BE(flow, 8)
  bytes.writeUInt32BE(sequence, 12)
  bytes.writeDoubleBE(sentAt, 16)
  return bytes
}

/** Null for anything that is not one of our packets. */
export const decodePacket = (bytes: Buffer): Packet | null => {
  if (bytes.length !== PACKET_SIZE || bytes.readUInt32BE(0) !== MAGIC) return null
  return {
    run: bytes.readUInt32BE(4),
    flow: bytes.readUInt32BE(8),
    sequence: bytes.readUInt32BE(12),
    sentAt: bytes.readDoubleBE(16),
  }
}

/** Milliseconds of CLOCK_MONOTONIC. */
export const monotonic = (): number => Number(process.hrtime.bigint()) / 1e6
