/**
 * Where a stream stands: `era.xid.seq`, in decimal. An era is a stretch of history on one cluster; a dump restored
 * elsewhere begins another. Inside one era positions are ordered by transaction and sequence. Servers write positions,
 * agents keep them and compare them, nobody else looks inside.
 *
 * To agents an era is named by the millisecond in which it began, never by its number in the database: one backup
 * restored twice gives two eras of the same number, and an agent that knew the first would refuse the second.
 */

interface Parts {
  readonly era: bigint
  readonly xid: bigint
  readonly seq: bigint
}

const parse = (position: string): Parts | null => {
  const match = /^(\d+)\.(\d+)\.(\d+)$/.exec(position)
  if (!match) return null
  const [, era = '', xid = '', seq = ''] = match
  return { era: BigInt(era), xid: BigInt(xid), seq: BigInt(seq) }
}

export const isPosition = (text: string): boolean => parse(text) !== null

export const eraOf = (position: string): string => position.slice(0, position.indexOf('.'))

/** The same place, its era called by another name. */
export const inEra = (era: string, position: string): string => era + position.slice(position.indexOf('.'))

/** True when `next` lies before `last` in the same era: a stream that says so would take its reader back in time. */
export const goesBack = (last: string, next: string): boolean => {
  const [a, b] = [parse(last), parse(next)]
  if (!a || !b || a.era !== b.era) return false
  return b.xid < a.xid || (b.xid === a.xid && b.seq < a.seq)
}

/** The later of two positions; a higher era is later. */
export const laterOf = (a: string, b: string): string => {
  const [x, y] = [parse(a), parse(b)]
  if (!x || !y) return x ? a : b
  if (x.era !== y.era) return x.era > y.era ? a : b
  return goesBack(b, a) ? b : a
}
