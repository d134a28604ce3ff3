/**
 * Address arithmetic on IPv4 and IPv6 as one kind of value: a version and an unsigned integer.
 * Parsing and RFC 5952 text come from ipaddr.js; sums, ranges and prefixes are done on bigints here.
 */
import ipaddr from 'ipaddr.js'
import type { NumberRange } from './ranges.ts'

export type IpVersion = 4 | 6
export interface Ip {
  readonly version: IpVersion
  readonly value: bigint
}
export interface Prefix extends Ip {
  /** Length of the network part in bits. */
  readonly length: number
}
/** Addresses as numbers. */
export type IpRange = NumberRange

export const bits = (version: IpVersion): number => (version === 4 ? 32 : 128)

/** Null when `text` is not an address in its usual notation; IPv4 must have four decimal octets. */
export const parseIp = (text: string): Ip | null => {
  if (text.includes(':')) {
    if (text.includes('%') || !ipaddr.IPv6.isValid(text)) return null
    return { version: 6, value: fromBytes(ipaddr.IPv6.parse(text).toByteArray()) }
  }
  if (!ipaddr.IPv4.isValidFourPartDecimal(text)) return null
  return { version: 4, value: fromBytes(ipaddr.IPv4.parse(text).toByteArray()) }
}

export const formatIp = ({ version, value }: Ip): string =>
  version === 4 ? toBytes(value, 4).join('.') : new ipaddr.IPv6(toBytes(value, 16)).toRFC5952String()

/** Keeps host bits: `10.0.0.5/24` has value 10.0.0.5. A bare address is a host prefix. Null when invalid. */
export const parsePrefix = (text: string): Prefix | null => {
  const [address = '', length, ...rest] = text.split('/')
  const ip = parseIp(address)
  if (!ip || rest.length > 0) return null
  if (length === undefined) return { ...ip, length: bits(ip.version) }
  if (!/^\d{1,3}$/.test(length) || Number(length) > bits(ip.version)) return null
  return { ...ip, length: Number(length) }
}

export const formatPrefix = (prefix: Prefix): string => `${formatIp(prefix)}/${prefix.length}`

/** The prefix with its host bits cleared. */
export const networkOf = (prefix: Prefix): Prefix => ({ ...prefix, value: rangeOf(prefix).first })

/** First and last address, network and broadcast included. */
export const rangeOf = ({ version, value, length }: Prefix): IpRange => {
  const host = BigInt(bits(version) - length)
  const first = (value >> host) << host
  return { first, last: first + (1n << host) - 1n }
}

export const contains = (prefix: Prefix, ip: Ip): boolean => {
  const { first, last } = rangeOf(prefix)
  return ip.version === prefix.version && ip.value >= first && ip.value <= last
}

export const rangesOverlap = (a: IpRange, b: IpRange): boolean => a.first <= b.last && b.first <= a.last

export const prefixesOverlap = (a: Prefix, b: Prefix): boolean =>
  a.version === b.version && rangesOverlap(rangeOf(a), rangeOf(b))

/** Modified EUI-64 interface identifier in a /64 (RFC 4291 appendix A). `mac` in canonical form. */
export const eui64 = (prefix: Prefix, mac: string): Ip => {
  const octets = mac.split(':').map((octet) => Number.parseInt(octet, 16))
  const id = [(octets[0] ?? 0) ^ 0x02, octets[1], octets[2], 0xff, 0xfe, octets[3], octets[4], octets[5]]
  return { version: 6, value: rangeOf({ ...prefix, length: 64 }).first + fromBytes(id as number[]) }
}

/** fe80::/64 with the EUI-64 identifier of `mac`. */
export const linkLocal = (mac: string): Ip => eui64({ version: 6, value: 0xfe80n << 112n, length: 64 }, mac)

function fromBytes(bytes: readonly number[]): bigint {
  return bytes.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n)
}

function toBytes(value: bigint, count: number): number[] {
  const bytes = Array.from({ length: count }, () => 0)
  for (let i = count - 1, rest = value; i >= 0; i--, rest >>= 8n) bytes[i] = Number(rest & 0xffn)
  return bytes
}
