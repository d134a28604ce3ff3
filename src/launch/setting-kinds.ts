/**
 * The kinds of value a setting may have. A kind reads what a flag, the environment or the YAML file gives and writes
 * it back as a person would; what it cannot read it refuses with the end of a sentence ("must be …").
 */
import { formatIp, parseIp } from '#kernel/ip.ts'

export type Parsed<T> = { readonly ok: T } | { readonly must: string }

export interface Kind<T> {
  /** How the reference names it: "whole number 1–65535". */
  readonly name: string
  /** True for flags that take no value. */
  readonly isFlag?: boolean
  /** Reads text, or a YAML scalar, list or mapping. */
  parse(raw: unknown): Parsed<T>
  print(value: T): string
}

const must = (what: string): { must: string } => ({ must: `must be ${what}` })

const scalarText = (raw: unknown): string | null =>
  typeof raw === 'string' ? raw.trim() : typeof raw === 'number' || typeof raw === 'boolean' ? String(raw) : null

export const text = (options: { name?: string; pattern?: RegExp; example?: string } = {}): Kind<string> => ({
  name: options.name ?? 'text',
  parse: (raw) => {
    const value = scalarText(raw)
    if (!value || (options.pattern && !options.pattern.test(value))) {
      return must(`${options.name ?? 'text'}${options.example ? `, such as ${options.example}` : ''}`)
    }
    return { ok: value }
  },
  print: (value) => value,
})

export const whole = (min: number, max: number): Kind<number> => ({
  name: `whole number ${min} to ${max}`,
  parse: (raw) => {
    const value = scalarText(raw)
    const number = Number(value)
    return value && /^-?\d+$/.test(value) && number >= min && number <= max
      ? { ok: number }
      : must(`a whole number from ${min} to ${max}`)
  },
  print: String,
})

export const flag = (): Kind<boolean> => ({
  name: 'yes or no',
  isFlag: true,
  parse: (raw) => {
    const value = scalarText(raw)?.toLowerCase() ?? ''
    if (['true', 'yes', 'on', '1'].includes(value)) return { ok: true }
    return ['false', 'no', 'off', '0'].includes(value) ? { ok: false } : must('true or false')
  },
  print: String,
})

export const oneOf = <const V extends string>(...values: V[]): Kind<V> => ({
  name: values.join(' | '),
  parse: (raw) => {
    const found = values.find((value) => value === raw)
    return found === undefined ? must(`one of ${values.join(', ')}`) : { ok: found }
  },
  print: (value) => value,
})

const SECONDS = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 } as const

/** A span of time in seconds: "75s", "24h", "30d"; a bare number counts seconds. */
export const duration = (minSeconds = 1): Kind<number> => ({
  name: 'time span (75s, 24h, 30d)',
  parse: (raw) => {
    const match = /^(\d+)\s*([smhdw]?)$/.exec(scalarText(raw) ?? '')
    if (!match) return must('a time span such as 75s, 24h or 30d')
    const seconds = Number(match[1]) * SECONDS[(match[2] || 's') as keyof typeof SECONDS]
    return seconds >= minSeconds ? { ok: seconds } : must(`at least ${minSeconds}s`)
  },
  print: (seconds) => {
    const unit = (['w', 'd', 'h', 'm'] as const).find((name) => seconds > 0 && seconds % SECONDS[name] === 0) ?? 's'
    return `${seconds / SECONDS[unit]}${unit}`
  },
})

const BYTES = { '': 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const

/** A size in bytes: "1MiB", "512KiB". */
export const size = (): Kind<number> => ({
  name: 'size (512KiB, 1MiB)',
  parse: (raw) => {
    const match = /^(\d+)\s*(KiB|MiB|GiB|)$/.exec(scalarText(raw) ?? '')
    const bytes = match ? Number(match[1]) * BYTES[match[2] as keyof typeof BYTES] : 0
    return bytes > 0 ? { ok: bytes } : must('a size such as 512KiB or 1MiB')
  },
  print: (bytes) => {
    const unit = (['GiB', 'MiB', 'KiB'] as const).find((name) => bytes % BYTES[name] === 0) ?? ''
    return `${bytes / BYTES[unit]}${unit}`
  },
})

export const address = (): Kind<string> => ({
  name: 'IP address',
  parse: (raw) => {
    const ip = parseIp(scalarText(raw) ?? '')
    return ip === null ? must('an IP address') : { ok: formatIp(ip) }
  },
  print: (value) => value,
})

export const url = (...protocols: string[]): Kind<string> => ({
  name: `URL (${protocols.join(', ')})`,
  parse: (raw) => {
    const value = scalarText(raw) ?? ''
    const known = URL.canParse(value) && protocols.includes(new URL(value).protocol.slice(0, -1))
    return known ? { ok: value } : must(`a URL that starts with ${protocols.map((name) => `${name}:`).join(' or ')}`)
  },
  print: (value) => value,
})

export const path = (): Kind<string> => text({ name: 'path' })

/** Nothing, or a value of `kind`; an empty text means nothing. */
export const optional = <T>(kind: Kind<T>): Kind<T | null> => ({
  ...kind,
  parse: (raw) => (raw === null || raw === '' ? { ok: null } : kind.parse(raw)),
  print: (value) => (value === null ? '' : kind.print(value)),
})

/** Several values: a YAML list, or text with commas; empty text is the empty list. */
export const list = <T>(kind: Kind<T>): Kind<readonly T[]> => ({
  name: `list of: ${kind.name}`,
  parse: (raw) => {
    const items = splitList(raw)
    if (items === null) return must('a list')
    const parsed = items.map((item) => kind.parse(item))
    const bad = parsed.findIndex((one) => 'must' in one)
    const first = parsed[bad]
    if (first && 'must' in first) return { must: `has an entry ${JSON.stringify(items[bad])} that ${first.must}` }
    return { ok: Object.freeze(parsed.flatMap((one) => ('ok' in one ? [one.ok] : []))) }
  },
  print: (values) => values.map((value) => kind.print(value)).join(','),
})

const splitList = (raw: unknown): unknown[] | null => {
  if (Array.isArray(raw)) return raw
  const value = raw === null ? '' : scalarText(raw)
  return value === null ? null : value.split(',').flatMap((item) => (item.trim() ? [item.trim()] : []))
}

/** Pairs, as a YAML mapping or as text `key:value,key:value`. */
export const mapping = (keyName: string, valueName: string): Kind<Readonly<Record<string, string>>> => ({
  name: `pairs ${keyName}:${valueName}`,
  parse: (raw) => {
    const pairs =
      raw !== null && typeof raw === 'object' && !Array.isArray(raw)
        ? Object.entries(raw).map(([key, value]) => `${key}:${String(value)}`)
        : splitList(raw)?.map(String)
    const good = pairs?.every((pair) => /^[^:\s]+:[^:\s]+$/.test(pair))
    if (!pairs || !good) return must(`pairs such as ${keyName}:${valueName}`)
    return { ok: Object.freeze(Object.fromEntries(pairs.map((pair) => pair.split(':') as [string, string]))) }
  },
  print: (value) =>
    Object.entries(value)
      .map(([key, one]) => `${key}:${one}`)
      .join(','),
})

export interface IdRange {
  readonly first: number
  readonly last: number
}

/** `first:last`, both within min..max. */
export const idRange = (min: number, max: number): Kind<IdRange> => ({
  name: `range first:last within ${min}:${max}`,
  parse: (raw) => {
    const match = /^(\d+):(\d+)$/.exec(scalarText(raw) ?? '')
    const [first, last] = [Number(match?.[1]), Number(match?.[2])]
    return match && first >= min && first <= last && last <= max
      ? { ok: Object.freeze({ first, last }) }
      : must(`a range first:last within ${min}:${max}`)
  },
  print: ({ first, last }) => `${first}:${last}`,
})

export interface VlanRange {
  readonly physical_network: string
  /** Null: the network may be named by an administrator, tenants draw no tag from it. */
  readonly range: IdRange | null
}

/** `physnet` or `physnet:first:last`. */
export const vlanRange = (): Kind<VlanRange> => ({
  name: 'physnet or physnet:first:last',
  parse: (raw) => {
    const match = /^([^:\s]+)(?::(\d+:\d+))?$/.exec(scalarText(raw) ?? '')
    const range = match?.[2] === undefined ? { ok: null } : idRange(1, 4094).parse(match[2])
    return match?.[1] && 'ok' in range
      ? { ok: Object.freeze({ physical_network: match[1], range: range.ok }) }
      : must('a physical network, or one with tags such as physnet1:100:200 (within 1 to 4094)')
  },
  print: ({ physical_network, range }) =>
    range === null ? physical_network : `${physical_network}:${range.first}:${range.last}`,
})

export interface PhysnetMtu {
  readonly physical_network: string
  readonly mtu: number
}

/** `physnet:mtu`. */
export const physnetMtu = (): Kind<PhysnetMtu> => ({
  name: 'physnet:mtu',
  parse: (raw) => {
    const match = /^([^:\s]+):(\d{1,5})$/.exec(scalarText(raw) ?? '')
    const mtu = whole(68, 65_535).parse(match?.[2] ?? '')
    return match?.[1] && 'ok' in mtu
      ? { ok: Object.freeze({ physical_network: match[1], mtu: mtu.ok }) }
      : must('a physical network with its MTU (68 to 65535), such as physnet1:9000')
  },
  print: ({ physical_network, mtu }) => `${physical_network}:${mtu}`,
})
