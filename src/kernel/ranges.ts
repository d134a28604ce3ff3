/** Pure: sets of whole numbers as lists of inclusive ranges; addresses and segmentation ids alike. */

export interface NumberRange {
  readonly first: bigint
  readonly last: bigint
}

/** The same numbers in disjoint ranges, in order, joined where they touch. */
export function merge(ranges: readonly NumberRange[]): NumberRange[] {
  const out: NumberRange[] = []
  for (const one of [...ranges].sort((a, b) => (a.first < b.first ? -1 : 1))) {
    const previous = out.at(-1)
    if (!previous || one.first > previous.last + 1n) out.push(one)
    else if (one.last > previous.last) out[out.length - 1] = { first: previous.first, last: one.last }
  }
  return out
}

/** What is left of a range without others, which are disjoint and in order. */
export function without({ first, last }: NumberRange, others: readonly NumberRange[]): NumberRange[] {
  const out: NumberRange[] = []
  let from = first
  for (const other of others) {
    if (other.last < from || other.first > last) continue
    if (other.first > from) out.push({ first: from, last: other.first - 1n })
    from = other.last + 1n
  }
  return from <= last ? [...out, { first: from, last }] : out
}
