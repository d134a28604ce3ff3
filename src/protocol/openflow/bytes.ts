/** A byte buffer that grows by doubling, so that a long run of messages costs linear time and one write. */
export interface Writer {
  readonly length: number
  u8(value: number): Writer
  u16(value: number): Writer
  u32(value: number): Writer
  u64(value: bigint): Writer
  /** `count` bytes of `value`, big-endian. */
  uint(value: bigint, count: number): Writer
  zeros(count: number): Writer
  bytes(bytes: Uint8Array): Writer
  /** Zeros up to a multiple of 8, counted from `from`. */
  pad8(from?: number): Writer
  /** Overwrites two bytes: a length known only afterwards. */
  setU16(at: number, value: number): Writer
  done(): Buffer
}

export function createWriter(size = 256): Writer {
  let buffer = Buffer.alloc(size)
  let length = 0
  const room = (count: number): number => {
    if (length + count > buffer.length) {
      const larger = Buffer.alloc(Math.max(buffer.length * 2, length + count))
      buffer.copy(larger, 0, 0, length)
      buffer = larger
    }
    length += count
    return length - count
  }
  // `room` may replace `buffer`: it must run before `buffer` is looked at.
  const writer: Writer = {
    get length() {
      return length
    },
    u8: (value) => {
      const at = room(1)
      buffer.writeUInt8(value, at)
      return writer
    },
    u16: (value) => {
      const at = room(2)
      buffer.writeUInt16BE(value, at)
      return writer
    },
    u32: (value) => {
      const at = room(4)
      buffer.writeUInt32BE(value >>> 0, at)
      return writer
    },
    u64: (value) => {
      const at = room(8)
      buffer.writeBigUInt64BE(value, at)
      return writer
    },
    uint: (value, count) => {
      const at = room(count)
      if (count <= 4) buffer.writeUIntBE(Number(value), at, count)
      else for (let i = count - 1, rest = value; i >= 0; i--, rest >>= 8n) buffer[at + i] = Number(rest & 0xffn)
      return writer
    },
    zeros: (count) => {
      const at = room(count)
      buffer.fill(0, at, length)
      return writer
    },
    bytes: (bytes) => {
      const at = room(bytes.length)
      buffer.set(bytes, at)
      return writer
    },
    pad8: (from = 0) => writer.zeros((8 - ((length - from) % 8)) % 8),
    setU16: (at, value) => {
      buffer.writeUInt16BE(value, at)
      return writer
    },
    done: () => buffer.subarray(0, length),
  }
  return writer
}

/** An unsigned integer of any width, big-endian. */
export const readUint = (bytes: Buffer, at: number, count: number): bigint => {
  if (count <= 4) return BigInt(bytes.readUIntBE(at, count))
  return BigInt(`0x${bytes.toString('hex', at, at + count)}`)
}
