/**
 * What the agent knows of the desired state: frozen tables of wire objects, their fingerprints as the server sent
 * them, the position of the stream and whether everything up to there is known.
 */
import type { Frame } from '#wire/messages.ts'
import { splitKey, type WireKey, type WireObject, type WireType, type World } from '#wire/objects.ts'
import { goesBack } from '#wire/position.ts'
import { wireTypes } from '#wire/versions.ts'
import { LayeredMap } from './layered-map.ts'

export interface Known {
  readonly key: WireKey
  readonly fingerprint: string
  readonly object: WireObject
}

export interface WorldStore {
  /** Never changes once handed out; ask again for what is known now. */
  readonly world: World
  /** Everything up to `position` is known. False until the first in-sync frame of this life. */
  readonly inSync: boolean
  readonly position: string | null
  /** Fingerprint by key: what a hello says the agent has. */
  have(): Readonly<Record<WireKey, string>>
  /** What the disk remembers of an earlier life. In sync it is not: the server may know better. */
  load(known: Iterable<Known>, position: string | null): void
  /** Why the frame must not be applied, or null. */
  objection(frame: Frame): string | null
  /** Answers the keys that changed. */
  apply(frame: Frame): readonly WireKey[]
}

type Tables = { [T in WireType]: LayeredMap<WireObject> }

export function createWorldStore(): WorldStore {
  let tables = Object.fromEntries(wireTypes.map((type) => [type, LayeredMap.of<WireObject>([])])) as Tables
  const fingerprints = new Map<WireKey, string>()
  let position: string | null = null
  let inSync = false

  const change = (changes: Iterable<readonly [WireKey, WireObject | undefined]>): void => {
    const byType = Map.groupBy(changes, ([key]) => splitKey(key).type)
    const next = { ...tables }
    for (const [type, entries] of byType) {
      next[type] = tables[type].with(entries.map(([key, object]) => [splitKey(key).id, object && deepFreeze(object)]))
    }
    tables = next
  }

  return {
    get world() {
      return tables as unknown as World
    },
    get inSync() {
      return inSync
    },
    get position() {
      return position
    },
    have: () => Object.fromEntries(fingerprints),
    load: (known, at) => {
      const all = [...known]
      for (const { key, fingerprint } of all) fingerprints.set(key, fingerprint)
      change(all.map(({ key, object }) => [key, object]))
      position = at
    },
    objection: (frame) =>
      position !== null && goesBack(position, frame.position)
        ? `the server's frame stands at ${frame.position}, before ${position} which is known already`
        : null,
    apply: (frame) => {
      const puts = frame.put.filter(([key, print]) => fingerprints.get(key) !== print)
      const drops = frame.drop.filter((key) => fingerprints.has(key))
      for (const [key, print] of puts) fingerprints.set(key, print)
      for (const key of drops) fingerprints.delete(key)
      change([
        ...puts.map(([key, , object]) => [key, object] as const),
        ...drops.map((key) => [key, undefined] as const),
      ])
      position = frame.position
      inSync = frame.in_sync
      return [...new Set([...puts.map(([key]) => key), ...drops])]
    },
  }
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  for (const member of Object.values(value)) deepFreeze(member)
  return Object.freeze(value)
}
