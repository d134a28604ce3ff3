/** Which things of one kind belong to which of another, looked up both ways. */

const NONE: ReadonlySet<string> = new Set()

export class Relation {
  readonly #rights = new Map<string, ReadonlySet<string>>()
  readonly #lefts = new Map<string, Set<string>>()

  rightsOf(left: string): ReadonlySet<string> {
    return this.#rights.get(left) ?? NONE
  }

  leftsOf(right: string): ReadonlySet<string> {
    return this.#lefts.get(right) ?? NONE
  }

  /** Makes these all that belong to `left`. Answers those that came or went. */
  put(left: string, rights: Iterable<string>): readonly string[] {
    const [before, after] = [this.rightsOf(left), new Set(rights)]
    const gone = [...before].filter((right) => !after.has(right))
    const come = [...after].filter((right) => !before.has(right))
    if (after.size > 0) this.#rights.set(left, after)
    else this.#rights.delete(left)
    for (const right of gone) {
      const lefts = this.#lefts.get(right)
      lefts?.delete(left)
      if (lefts?.size === 0) this.#lefts.delete(right)
    }
    for (const right of come) {
      const lefts = this.#lefts.get(right) ?? new Set()
      this.#lefts.set(right, lefts)
      lefts.add(left)
    }
    return [...gone, ...come]
  }
}
