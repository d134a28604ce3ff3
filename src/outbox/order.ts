/**
 * The order in which changes become events, and which events need not be kept twice. Pure.
 *
 * The change log's order is not that of commits: a row may come after one with a higher generation of its object. What
 * it says happened first all the same, so it is told first: it is read ahead, and skipped where it stands.
 */
import type { ChangeRow } from '#store/change-reader.ts'
import type { DerivedEvent, OutboxEvent } from './event.ts'

/**
 * `rows` in the order of what happened to each object. `ahead`: rows with lower generations that stand after a row of
 * `rows`; they are superseded where they stand.
 */
export function inOrderOfObjects(rows: readonly ChangeRow[], ahead: readonly ChangeRow[]): ChangeRow[] {
  const waiting = Map.groupBy(ahead, keyOf)
  const told = new Set<string>()
  return rows.flatMap((row) => {
    if (row.superseded) return []
    const before = (waiting.get(keyOf(row)) ?? [])
      .filter((one) => one.generation < row.generation && !told.has(one.cursor))
      .sort((a, b) => a.generation - b.generation)
    for (const one of before) told.add(one.cursor)
    return [...before, row]
  })
}

const keyOf = ({ kind, id }: ChangeRow): string => `${kind} ${id}`

/** An event that waits and was not sent yet, or not for certain: the last of its subject. */
export interface Tail extends OutboxEvent {
  readonly state: 'pending' | 'delivering'
}

/**
 * Leaves out what the event before it of the same subject says already, if that one is still to be sent: whoever hears
 * it looks at what is true then.
 */
export function withoutRepetitions(events: readonly DerivedEvent[], tails: readonly Tail[]): DerivedEvent[] {
  const last = new Map(tails.map((one): [string, Tail] => [subjectOf(one), one]))
  return events.filter((event) => {
    const before = last.get(subjectOf(event))
    if (before?.state === 'pending' && sameWords(before, event)) return false
    last.set(subjectOf(event), { ...event, state: 'pending' })
    return true
  })
}

const subjectOf = ({ destination, subject }: OutboxEvent): string => `${destination} ${subject}`

/** Bodies are flat; PostgreSQL gives their keys in an order of its own. */
const sameWords = (a: OutboxEvent, b: OutboxEvent): boolean => {
  const names = Object.keys({ ...a.body, ...b.body })
  return a.name === b.name && names.every((name) => a.body[name] === b.body[name])
}
