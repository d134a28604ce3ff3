/** Ranges of TCP and UDP ports: as clients write them, and how ranges of the two sides of a forwarding relate. Pure. */
import { type Attribute, optional, type Options, Reject, text } from '#model/define.ts'

const MAX_PORT = 65_535

export interface PortRange {
  readonly start: number
  readonly end: number
}

const SHAPE = 'Port range must be two integers separated by a colon'

const parsePort = (text: string): number => {
  if (text === '') throw new Reject(SHAPE)
  if (!/^\d{1,5}$/.test(text) || Number(text) > MAX_PORT) throw new Reject(`Invalid port: ${text}`)
  if (text === '0') throw new Reject(`Invalid port: 0, the port must be in the range [1, ${MAX_PORT}]`)
  return Number(text)
}

/** `80`, `"80"` and `"80:90"`; throws `Reject`. */
export function parsePortRange(value: unknown): PortRange {
  if (typeof value !== 'string' && typeof value !== 'number') throw new Reject(SHAPE)
  const [first = '', last = first, ...rest] = String(value).split(':')
  if (rest.length > 0) throw new Reject(SHAPE)
  const [start, end] = [parsePort(first), parsePort(last)]
  if (start > end) throw new Reject('First port in a port range must be lower than the second port')
  return { start, end }
}

export const formatPortRange = ({ start, end }: PortRange): string => `${start}:${end}`

/** A range as clients see it; the stored numbers are other attributes'. */
export const portRange = (options: Options<string> & { readonly sql: string }): Attribute<string | null> => ({
  ...optional(text(options)),
  parse: (value) => (value === null ? null : formatPortRange(parsePortRange(value))),
})

export const overlap = (a: PortRange, b: PortRange): boolean => a.start <= b.end && b.start <= a.end

/** Every port outside has one inside: its own of as many, or the only one. */
export const corresponds = (outside: PortRange, inside: PortRange): boolean =>
  inside.start === inside.end || inside.end - inside.start === outside.end - outside.start
