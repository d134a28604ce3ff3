/** The JSON framer, with chunks cut anywhere. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createJsonFramer } from './frames.ts'

const objects = fc.array(fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue()), { maxLength: 8 })

test('any cut of the stream gives the same messages', () => {
  fc.assert(
    fc.property(objects, fc.infiniteStream(fc.integer({ min: 1, max: 40 })), (messages, sizes) => {
      const texts = messages.map((message) => JSON.stringify(message))
      const bytes = Buffer.from(texts.join(''))
      const frame = createJsonFramer()
      const got: unknown[] = []
      for (let at = 0; at < bytes.length; ) {
        const size = sizes.next().value ?? 1
        got.push(...frame(bytes.subarray(at, at + size)))
        at += size
      }
      assert.deepEqual(
        got,
        texts.map((text) => JSON.parse(text) as unknown),
      )
    }),
  )
})

test('a long message in many chunks costs linear time', () => {
  const cost = (size: number): number => {
    const bytes = Buffer.from(JSON.stringify({ text: 'x'.repeat(size) }))
    const frame = createJsonFramer()
    const start = performance.now()
    let got = 0
    for (let at = 0; at < bytes.length; at += 64) got += frame(bytes.subarray(at, at + 64)).length
    assert.equal(got, 1)
    return performance.now() - start
  }
  cost(1 << 20)
  const [small, large] = [cost(1 << 20), cost(1 << 23)]
  assert.ok(large < 64 * Math.max(small, 1), `1 MiB ${small} ms, 8 MiB ${large} ms`)
})

test('a message that is not JSON throws', () => {
  assert.throws(() => createJsonFramer()(Buffer.from('{nonsense}')), SyntaxError)
})
