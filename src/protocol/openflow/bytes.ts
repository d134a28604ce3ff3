/** Bytes written and read, big-endian. */

/** A buffer that grows by doubling, so that a long run of messages costs linear time and one write. */
export class Writer {
  #buffer: Buffer
  #length = 0

  constructor(size: number) {
    this.#buffer = Buffer.alloc(size)
  }

  get length(): number {
    return this.#length
  }
  u8(value: number): this {
    const at = this.#room(1)
    this.#buffer.writeUInt8(value, at)
    return this
  }
  u16(value: number): this {
    const at = this.#room(2)
    this.#buffer.writeUInt16BE(value, at)
    return this
  }
  u32(value: number): this {
    const at = this.#room(4)
    this.#buffer.writeUInt32BE(value >>> 0, at)
    return this
  }
  u64(value: bigint): this {
    const at = this.#room(8)
    this.#buffer.writeBigUInt64BE(value, at)
    return this
  }
  /** `count` bytes of `value`. */
  uint(value: bigint, count: number): this {
    const at = this.#room(count)
    if (count <= 6) this.#buffer.writeUIntBE(Number(value), at, count)
    else for (let i = count - 1, rest = value; i >= 0; i--, rest >>= 8n) this.#buffer[at + i] = Number(rest & 0xffn)
    return this
  }
  zeros(count: number): this {
    const at = this.#room(count)
    this.#buffer.fill(0, at, this.#length)
    return this
  }
  bytes(bytes: Uint8Array): this {
    const at = this.#room(bytes.length)
    this.#buffer.set(bytes, at)
    return this
  }
  /** Zeros up to a multiple of 8, counted from `from`. */
  pad8(from = 0): this {
    return this.zeros((8 - ((this.#length - from) % 8)) % 8)
  }
  /** Overwrites two bytes: a length known only afterwards. */
  setU16(at: number, value: number): this {
    this.#buffer.writeUInt16BE(value, at)
    return this
  }
  /** What was written; valid until the next write. */
  done(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  /** Makes room and answers where it begins. May replace the buffer, so it runs before the buffer is looked at. */
  #room(count: number): number {
    const at = this.#length
    if (at + count > this.#buffer.length) {
      const larger = Buffer.alloc(Math.max(this.#buffer.length * 2, at + count))
      this.#buffer.copy(larger, 0, 0, at)
      this.#buffer = larger
    }
    this.#length += count
    return at
  }
}

export const createWriter = (size = 256): Writer => new Writer(size)

/** An unsigned integer of any width, big-endian. */
export const readUint = (bytes: Buffer, at: number, count: number): bigint => {
  if (count <= 6) return BigInt(bytes.readUIntBE(at, count))
  return BigInt(`0x${bytes.toString('hex', at, at + count)}`)
}
