/**
 * A small language for the shape of JSON values: one description serves to check what arrives, to derive the static
 * type, and to take the fingerprint that notices a changed wire object.
 *
 * Unknown members of records are allowed and ignored: a newer peer may say more within the same version of a message.
 */

/** Describes values of type `T`; `T` exists for the compiler alone. */
export interface Shape<T> {
  /** How the description itself reads; equal text means equal shape. */
  readonly text: string
  /** The first thing wrong with `value`, as `path: what was expected`, or null. */
  readonly fault: (value: unknown, path: string) => string | null
  readonly sample?: T
}
export type TypeOf<S> = S extends Shape<infer T> ? T : never

const say = (path: string, expected: string): string => `${path === '' ? 'message' : path}: expected ${expected}`

const simple = <T>(text: string, is: (value: unknown) => boolean): Shape<T> => ({
  text,
  fault: (value, path) => (is(value) ? null : say(path, text)),
})

export const text = simple<string>('text', (value) => typeof value === 'string')
/** A safe integer. */
export const whole = simple<number>('whole number', (value) => Number.isSafeInteger(value))
export const flag = simple<boolean>('true or false', (value) => typeof value === 'boolean')

export const oneOf = <const V extends readonly (string | number)[]>(...values: V): Shape<V[number]> =>
  simple(`one of ${values.join(', ')}`, (value) => values.includes(value as V[number]))

export const nullable = <T>(of: Shape<T>): Shape<T | null> => ({
  text: `${of.text} or null`,
  fault: (value, path) => (value === null ? null : of.fault(value, path)),
})

const firstFault = (entries: Iterable<readonly [string | number, unknown]>, of: Shape<unknown>, path: string) => {
  for (const [at, value] of entries) {
    const fault = of.fault(value, `${path}[${at}]`)
    if (fault) return fault
  }
  return null
}

export const list = <T>(of: Shape<T>): Shape<readonly T[]> => ({
  text: `list of ${of.text}`,
  fault: (value, path) => (Array.isArray(value) ? firstFault(value.entries(), of, path) : say(path, 'a list')),
})

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Any keys, values of one shape. */
export const map = <T>(of: Shape<T>): Shape<Readonly<Record<string, T>>> => ({
  text: `map of ${of.text}`,
  fault: (value, path) => (isObject(value) ? firstFault(Object.entries(value), of, path) : say(path, 'an object')),
})

export const anything: Shape<unknown> = { text: 'anything', fault: () => null }

export const record = <M extends Readonly<Record<string, Shape<unknown>>>>(
  members: M,
): Shape<{ readonly [K in keyof M]: TypeOf<M[K]> }> => {
  const entries = Object.entries(members)
  const ordered = entries.toSorted(([a], [b]) => (a < b ? -1 : 1))
  return {
    text: `{ ${ordered.map(([name, of]) => `${name}: ${of.text}`).join('; ')} }`,
    fault: (value, path) => {
      if (!isObject(value)) return say(path, 'an object')
      for (const [name, of] of entries) {
        const fault = of.fault(value[name], path === '' ? name : `${path}.${name}`)
        if (fault) return fault
      }
      return null
    },
  }
}
