import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decodePacket, encodePacket, PACKET_SIZE } from './packet.ts'
import { createTally, isLossless, joinFlow, type Sent } from './tally.ts'

const tcp = { messages: 10, echoed: 10, broken: 0, corrupt: 0, longestStall: 5, errors: [] }
const sentOf = (sent: number): Sent => ({ sent, errors: 0, longestPause: 1, tcp })
const flowOf = (sent: number, arrivals: readonly number[]) => {
  const tally = createTally()
  arrivals.forEach((sequence, i) => tally.add({ run: 1, flow: 0, sequence, sentAt: i + 1 }, i + 2))
  return joinFlow('a', 'b', sentOf(sent), tally.read())
}

test('any loss and any doubling is counted, and only then a flow is not lossless', () => {
  const arb = fc
    .integer({ min: 1, max: 300 })
    .chain((sent) => fc.tuple(fc.constant(sent), fc.array(fc.nat({ max: sent - 1 }), { maxLength: 600 })))
  fc.assert(
    fc.property(arb, ([sent, arrivals]) => {
      const flow = flowOf(sent, arrivals)
      const different = new Set(arrivals).size
      assert.equal(flow.lost, sent - different)
      assert.equal(flow.duplicates, arrivals.length - different)
      assert.equal(isLossless([flow]), flow.lost === 0 && arrivals.length === sent)
      if (flow.missing.length < 50) {
        const missing = flow.missing.flatMap(([first, last]) =>
          Array.from({ length: last - first + 1 }, (_, i) => first + i),
        )
        assert.deepEqual(
          missing,
          Array.from({ length: sent }, (_, i) => i).filter((i) => !arrivals.includes(i)),
        )
      }
    }),
  )
})

test('the longest gap and packets out of order are seen', () => {
  const tally = createTally()
  for (const [sequence, now] of [
    [0, 10],
    [1, 11],
    [4, 40],
    [3, 41],
  ] as const)
    tally.add({ run: 1, flow: 0, sequence, sentAt: now - 1 }, now)
  const { longestGap, longestGapAt, reordered, missing, meanDelay } = tally.read()
  assert.deepEqual(
    { longestGap, longestGapAt, reordered, missing, meanDelay },
    { longestGap: 29, longestGapAt: 4, reordered: 1, missing: [[2, 2]], meanDelay: 1 },
  )
})

test('TCP trouble or no flow at all is never lossless', () => {
  const good = flowOf(2, [0, 1])
  assert.ok(isLossless([good]))
  assert.ok(!isLossless([]))
  for (const trouble of [{ broken: 1 }, { corrupt: 1 }, { echoed: 9 }])
    assert.ok(!isLossless([good, { ...good, tcp: { ...tcp, ...trouble } }]))
})

test('packets come back as they were; other bytes are not taken for packets', () => {
  const packet = { run: 7, flow: 3, sequence: 4_000_000_000, sentAt: 123456.789 }
  assert.deepEqual(decodePacket(encodePacket(packet)), packet)
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 0, maxLength: PACKET_SIZE + 8 }), (bytes) => {
      const buffer = Buffer.from(bytes)
      if (buffer.length !== PACKET_SIZE || buffer.readUInt32BE(0) !== 0x64650001)
        assert.equal(decodePacket(buffer), null)
    }),
  )
})
