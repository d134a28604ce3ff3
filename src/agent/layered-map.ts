/**
 * A read-only map that is cheap to change one entry at a time: a shared base and a small layer of differences.
 * A changed map is a new value; whoever holds the old one keeps seeing the old entries.
 */

const GONE = Symbol('gone')

export class LayeredMap<V> implements ReadonlyMap<string, V> {
  readonly #base: ReadonlyMap<string, V>
  readonly #layer: ReadonlyMap<string, V | typeof GONE>
  readonly size: number

  private constructor(base: ReadonlyMap<string, V>, layer: ReadonlyMap<string, V | typeof GONE>, size: number) {
    this.#base = base
    this.#layer = layer
    this.size = size
  }

  static of<V>(entries: Iterable<readonly [string, V]>): LayeredMap<V> {
    const base = new Map(entries)
    return new LayeredMap(base, new Map(), base.size)
  }

  /** A map with these entries put (a value) or removed (undefined). */
  with(changes: Iterable<readonly [string, V | undefined]>): LayeredMap<V> {
    const layer = new Map(this.#layer)
    let size = this.size
    for (const [key, value] of changes) {
      const seen = layer.get(key)
      const had = seen === undefined ? this.#base.has(key) : seen !== GONE
      size += Number(value !== undefined) - Number(had)
      layer.set(key, value === undefined ? GONE : value)
    }
    const next = new LayeredMap(this.#base, layer, size)
    // Copying the layer on every change is cheap only while it is small beside the base.
    return layer.size * layer.size > Math.max(1024, this.#base.size) ? LayeredMap.of(next) : next
  }

  get(key: string): V | undefined {
    const seen = this.#layer.get(key)
    if (seen === undefined) return this.#base.get(key)
    return seen === GONE ? undefined : seen
  }

  has(key: string): boolean {
    return this.get(key) !== undefined
  }

  *entries(): MapIterator<[string, V]> {
    for (const [key, value] of this.#base) if (!this.#layer.has(key)) yield [key, value]
    for (const [key, value] of this.#layer) if (value !== GONE) yield [key, value]
  }

  *keys(): MapIterator<string> {
    for (const [key] of this.entries()) yield key
  }

  *values(): MapIterator<V> {
    for (const [, value] of this.entries()) yield value
  }

  forEach(visit: (value: V, key: string, map: ReadonlyMap<string, V>) => void): void {
    for (const [key, value] of this.entries()) visit(value, key, this)
  }

  [Symbol.iterator](): MapIterator<[string, V]> {
    return this.entries()
  }
}
