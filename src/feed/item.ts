/** A wire object with its bytes: encoded once per wire version, whoever and however many receive it. */
import { fingerprint } from '#kernel/fingerprint.ts'
import { encodePut } from '#wire/codec.ts'
import { keyOf, type WireKey, type WireType, type WireTypes } from '#wire/objects.ts'
import { convertDown, travelsFrom } from '#wire/versions.ts'

export interface Encoded {
  /** Of the object as it is sent, in that version. */
  readonly print: string
  /** An element of a frame's `put`. */
  readonly text: string
}

export interface Item<T extends WireType = WireType> {
  readonly key: WireKey
  readonly object: WireTypes[T]
  /** The least version in which it may travel. */
  readonly since: number
  encode(version: number): Encoded
}

export function createItem<T extends WireType>(type: T, object: WireTypes[T]): Item<T> {
  const key = keyOf(type, object.id)
  const encodings = new Map<number, Encoded>()
  return {
    key,
    object,
    since: travelsFrom(type, object),
    encode: (version) => {
      const known = encodings.get(version)
      if (known) return known
      const body = convertDown(type, object, version)
      const print = fingerprint(body)
      const encoded = { print, text: encodePut(key, print, body) }
      encodings.set(version, encoded)
      return encoded
    },
  }
}
