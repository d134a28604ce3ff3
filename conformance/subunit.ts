/**
 * Reads subunit v2, the stream in which stestr tells what becomes of each test.
 *
 * A packet: signature 0xB3, flags (2 bytes), length of the whole, then what the flags announce, in this order:
 * timestamp, test id, tags, MIME type, file (name and content), routing code; a CRC-32 ends it. Lengths are
 * variable: the two upper bits of the first byte say how many bytes follow. Bytes between packets are noise.
 * https://github.com/testing-cabal/subunit#version-2
 */
import { crc32 } from 'node:zlib'

export interface Packet {
  readonly test: string | null
  readonly status: Status | null
  /** Seconds since 1970. */
  readonly at: number | null
  readonly file: { readonly name: string; readonly content: Buffer } | null
}

const STATUS = [null, 'exists', 'inprogress', 'success', 'uxsuccess', 'skip', 'fail', 'xfail'] as const
export type Status = NonNullable<(typeof STATUS)[number]>

const SIGNATURE = 0xb3
const HAS = { test: 0x0800, routing: 0x0400, time: 0x0200, tags: 0x0080, mime: 0x0020, file: 0x0040 } as const
/** Signature, flags, one byte of length, CRC. */
const SHORTEST = 8
const LONGEST = 4 * 1024 ** 2

/** Reads along a packet. */
const cursorOn = (bytes: Buffer, start: number) => {
  let at = start
  const number = (): number => {
    const first = bytes.readUInt8(at)
    const extra = first >> 6
    const value = [first, ...bytes.subarray(at + 1, at + 1 + extra)].reduce((sum, byte) => sum * 256 + byte, 0)
    at += 1 + extra
    return value - (first & 0xc0) * 256 ** extra
  }
  const blob = (): Buffer => {
    const length = number()
    at += length
    return bytes.subarray(at - length, at)
  }
  const seconds = (): number => {
    at += 4
    return bytes.readUInt32BE(at - 4) + number() / 1e9
  }
  return { number, blob, seconds, text: () => blob().toString('utf8') }
}

/** The packet that starts at `start`; `more` when its end has not come, null when there is none here. */
const packetAt = (bytes: Buffer, start: number): { packet: Packet; length: number } | 'more' | null => {
  if (bytes.length - start < SHORTEST) return 'more'
  const flags = bytes.readUInt16BE(start + 1)
  const extra = bytes.readUInt8(start + 3) >> 6
  if (flags >> 12 !== 2 || bytes.length - start < 4 + extra) return flags >> 12 === 2 ? 'more' : null
  const cursor = cursorOn(bytes, start + 3)
  const length = cursor.number()
  if (length < SHORTEST || length > LONGEST) return null
  if (bytes.length - start < length) return 'more'
  const end = start + length - 4
  if (crc32(bytes.subarray(start, end)) !== bytes.readUInt32BE(end)) return null
  const at = flags & HAS.time ? cursor.seconds() : null
  const test = flags & HAS.test ? cursor.text() : null
  if (flags & HAS.tags) for (let left = cursor.number(); left > 0; left--) cursor.text()
  if (flags & HAS.mime) cursor.text()
  const file = flags & HAS.file ? { name: cursor.text(), content: Buffer.from(cursor.blob()) } : null
  return { packet: { test, status: STATUS[flags & 7] ?? null, at, file }, length }
}

/** Takes the stream in pieces of any size; answers the packets that became whole. */
export const createReader = (): ((chunk: Buffer) => Packet[]) => {
  let rest = Buffer.alloc(0)
  return (chunk) => {
    const bytes = Buffer.concat([rest, chunk])
    const packets: Packet[] = []
    let at = 0
    for (;;) {
      const next = bytes.indexOf(SIGNATURE, at)
      if (next < 0) {
        at = bytes.length
        break
      }
      at = next
      const found = packetAt(bytes, at)
      if (found === 'more') break
      if (found) packets.push(found.packet)
      at += found?.length ?? 1
    }
    rest = bytes.subarray(at)
    return packets
  }
}
