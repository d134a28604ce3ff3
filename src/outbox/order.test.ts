/** However transactions interleave, events come in the order of what happened; what is left out is said by another. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { ChangeRow } from '#store/change-reader.ts'
import type { DerivedEvent } from './event.ts'
import { inOrderOfObjects, type Tail, withoutRepetitions } from './order.ts'

/** A log of objects whose rows stand in any order, as superseded as its reader says. */
const log = fc
  .array(fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.integer({ min: 0, max: 1_000_000 })), { maxLength: 40 })
  .map((drawn) => {
    const generations = new Map<string, number>()
    const rows = drawn.map(([id, place]) => {
      const generation = (generations.get(id) ?? 0) + 1
      generations.set(id, generation)
      return { id, place, generation }
    })
    const highest = new Map<string, number>()
    return rows
      .toSorted((x, y) => x.place - y.place)
      .map(({ id, generation }, index): ChangeRow => {
        const seen = highest.get(id) ?? 0
        highest.set(id, Math.max(seen, generation))
        return { kind: 'port', id, generation, cursor: String(index), superseded: seen > generation } as ChangeRow
      })
  })

test('in batches of any size, every change once, and those of an object by generation', () => {
  fc.assert(
    fc.property(log, fc.integer({ min: 1, max: 10 }), (rows, size) => {
      const told: ChangeRow[] = []
      const known = new Set<string>()
      for (let at = 0; at < rows.length; at += size) {
        const batch = rows.slice(at, at + size)
        const ahead = rows.filter((later, index) =>
          batch.some((row) => row.id === later.id && later.generation < row.generation && index > rows.indexOf(row)),
        )
        // What was read ahead before is in the table already: the database keeps it once.
        told.push(...inOrderOfObjects(batch, ahead).filter(({ cursor }) => !known.has(cursor)))
        for (const { cursor } of told) known.add(cursor)
      }
      for (const [, changes] of Map.groupBy(told, ({ id }) => id)) {
        const generations = changes.map(({ generation }) => generation)
        assert.deepEqual(
          generations,
          generations.toSorted((x, y) => x - y),
        )
      }
      assert.equal(told.length, rows.length)
    }),
  )
})

const event = fc.record({
  subject: fc.constantFrom('p1', 'p2'),
  name: fc.constantFrom('plugged', 'unplugged', 'changed'),
})
const asEvent = ({ subject, name }: { subject: string; name: string }): DerivedEvent => ({
  destination: 'nova',
  subject,
  name,
  body: { name, tag: subject },
  era: 1,
  xid: 1n,
  seq: 1n,
  ordinal: 0,
})

test('only what stands right behind its like is left out, and never behind one that is on its way', () => {
  fc.assert(
    fc.property(fc.array(event), fc.constantFrom('pending' as const, 'delivering' as const), (drawn, state) => {
      const events = drawn.map(asEvent)
      const tail: Tail = { ...asEvent({ subject: 'p1', name: 'changed' }), state }
      const kept = withoutRepetitions(events, [tail])
      for (const subject of ['p1', 'p2']) {
        const told = [...(subject === 'p1' && state === 'pending' ? ['changed'] : []), ...of(kept, subject)]
        const all = [...(subject === 'p1' && state === 'pending' ? ['changed'] : []), ...of(events, subject)]
        assert.deepEqual(
          told,
          all.filter((name, index) => name !== all[index - 1]),
        )
      }
    }),
  )
})
const of = (events: readonly DerivedEvent[], subject: string): string[] =>
  events.filter((one) => one.subject === subject).map(({ name }) => name)
