/** Who read what: for each reader the facts it read last, for each fact its readers. */

export interface Dependencies<Reader> {
  /** `reader` has just read exactly `facts`. */
  note(reader: Reader, facts: ReadonlySet<string>): void
  readersOf(fact: string): Iterable<Reader>
}

export function createDependencies<Reader>(): Dependencies<Reader> {
  const reads = new Map<Reader, ReadonlySet<string>>()
  const readers = new Map<string, Set<Reader>>()

  const forget = (reader: Reader, fact: string): void => {
    const all = readers.get(fact)
    all?.delete(reader)
    if (all?.size === 0) readers.delete(fact)
  }

  return {
    note: (reader, facts) => {
      for (const fact of reads.get(reader) ?? []) if (!facts.has(fact)) forget(reader, fact)
      for (const fact of facts) {
        const all = readers.get(fact)
        if (all) all.add(reader)
        else readers.set(fact, new Set([reader]))
      }
      if (facts.size > 0) reads.set(reader, facts)
      else reads.delete(reader)
    },
    readersOf: (fact) => readers.get(fact) ?? [],
  }
}
