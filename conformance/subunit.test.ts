/** Subunit v2 as the Python library writes it: whole, in crumbs, with noise between, with a packet that was damaged. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { createReader, type Packet } from './subunit.ts'

/** A number in the fewest bytes. */
const number = (value: number): Buffer => {
  const extra = value < 2 ** 6 ? 0 : value < 2 ** 14 ? 1 : value < 2 ** 22 ? 2 : 3
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  const short = Buffer.from(bytes.subarray(3 - extra))
  short[0] = (short[0] as number) | (extra << 6)
  return short
}
const blob = (content: Buffer): Buffer => Buffer.concat([number(content.length), content])
const text = (content: string): Buffer => blob(Buffer.from(content))

const STATUS = ['', 'exists', 'inprogress', 'success', 'uxsuccess', 'skip', 'fail', 'xfail']

/** Writes a packet with everything the reader does not tell (tags, MIME type, routing code) when `full`. */
const written = ({ test: id, status, at, file }: Packet, full = false): Buffer => {
  let flags = 0x2100 | STATUS.indexOf(status ?? '')
  const parts: Buffer[] = []
  const add = (flag: number, ...bytes: Buffer[]): void => {
    flags |= flag
    parts.push(...bytes)
  }
  const seconds = Buffer.alloc(4)
  seconds.writeUInt32BE(Math.floor(at ?? 0))
  if (at !== null) add(0x0200, seconds, number(Math.round((at % 1) * 1e9)))
  if (id !== null) add(0x0800, text(id))
  if (full) add(0x0080, number(2), text('worker-0'), text('slow'))
  if (full) add(0x0020, text('text/plain; charset=utf8'))
  if (file) add(0x0040, text(file.name), blob(file.content))
  if (full) add(0x0400, text('0/1'))
  const body = Buffer.concat(parts)
  const bare = 1 + 2 + body.length + 4
  const width = bare <= 62 ? 1 : bare <= 16_381 ? 2 : 3
  const head = Buffer.from([0xb3, flags >> 8, flags & 0xff])
  const whole = Buffer.concat([head, number(bare + width), body])
  const sum = Buffer.alloc(4)
  sum.writeUInt32BE(crc32(whole))
  return Buffer.concat([whole, sum])
}

const packets: fc.Arbitrary<Packet> = fc.record({
  test: fc.option(fc.string({ minLength: 1 })),
  status: fc.option(fc.constantFrom('exists', 'inprogress', 'success', 'uxsuccess', 'skip', 'fail', 'xfail')),
  at: fc.option(fc.tuple(fc.nat(4e9), fc.nat(999)).map(([seconds, milli]) => seconds + milli / 1000)),
  file: fc.option(
    fc.record(
      { name: fc.string({ minLength: 1 }), content: fc.uint8Array({ maxLength: 20_000 }).map(Buffer.from) },
      { noNullPrototype: true },
    ),
  ),
}) as fc.Arbitrary<Packet>

const rounded = (all: readonly Packet[]): unknown[] =>
  all.map((one) => ({ ...one, at: one.at === null ? null : Math.round(one.at * 1000) }))

test('what is written is read, however it is cut, with words that are no packet between', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(packets, fc.boolean()), { maxLength: 6 }),
      fc.integer({ min: 1, max: 9000 }),
      (all, step) => {
        const noise = Buffer.from('some words\n')
        const stream = Buffer.concat(all.flatMap(([packet, full]) => [noise, written(packet, full)]))
        const read = createReader()
        const found: Packet[] = []
        for (let at = 0; at < stream.length; at += step) found.push(...read(stream.subarray(at, at + step)))
        assert.deepEqual(rounded(found), rounded(all.map(([packet]) => packet)))
      },
    ),
    { numRuns: 60 },
  )
})

test('a packet with one byte changed is left out, and those after it are read', () => {
  const one: Packet = { test: 'a.b.C.test_d', status: 'success', at: 1, file: null }
  const damaged = written(one)
  damaged[12] = (damaged[12] as number) ^ 1
  assert.deepEqual(createReader()(Buffer.concat([damaged, written(one)])), [one])
})

test('the bytes of the format’s own example are read', () => {
  // From the README of subunit: an "exists" of the test "foo", without a time.
  const bytes = Buffer.from('b329010c03666f6f08555f1b', 'hex')
  assert.deepEqual(createReader()(bytes), [{ test: 'foo', status: 'exists', at: null, file: null }])
})
