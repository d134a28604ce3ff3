/** What may have changed, by host: hints for the streams. Too many do no harm, too few would. */
import type { WireKey } from '#wire/objects.ts'

export class Marks {
  #marks = new Map<string, Set<WireKey>>()

  add(hosts: Iterable<string>, keys: Iterable<WireKey>): void {
    const all = [...keys]
    for (const host of hosts) {
      const marks = this.#marks.get(host) ?? new Set()
      this.#marks.set(host, marks)
      for (const key of all) marks.add(key)
    }
  }

  forget(host: string): void {
    this.#marks.delete(host)
  }

  take(): ReadonlyMap<string, ReadonlySet<WireKey>> {
    const marks = this.#marks
    this.#marks = new Map()
    return marks
  }
}
