/** Values of fields as text (ovs-fields(7)) → bits. */
import { parseIp, parsePrefix } from '#kernel/ip.ts'
import { normalizeMac } from '#kernel/ids.ts'
import type { Field } from './fields.ts'

export interface Masked {
  readonly value: bigint
  readonly mask: bigint
}

/** OpenFlow 1.1+ reserved ports; 16-bit numbers of OpenFlow 1.0 from 0xff00 on mean the same. */
export const reservedPorts: Readonly<Record<string, number>> = {
  in_port: 0xfffffff8,
  table: 0xfffffff9,
  normal: 0xfffffffa,
  flood: 0xfffffffb,
  all: 0xfffffffc,
  controller: 0xfffffffd,
  local: 0xfffffffe,
  any: 0xffffffff,
  none: 0xffffffff,
}

/** A port's number in OpenFlow 1.5 from its number or reserved name; `65534` is `local`. */
export function parsePort(text: string): number {
  const reserved = reservedPorts[text.toLowerCase()]
  if (reserved !== undefined) return reserved
  const number = parseNumber(text)
  if (number > 0xffffffffn) throw new Error(`not a port: ${text}`)
  return number >= 0xff00n && number <= 0xffffn ? Number(number | 0xffff0000n) : Number(number)
}

/** Decimal or 0x…; throws on anything else. */
export function parseNumber(text: string): bigint {
  if (!/^(0x[0-9a-f]+|\d+)$/i.test(text)) throw new Error(`not a number: ${text}`)
  return BigInt(text)
}

const FRAG: Readonly<Record<string, Masked>> = {
  no: { value: 0n, mask: 3n },
  yes: { value: 1n, mask: 1n },
  first: { value: 1n, mask: 3n },
  later: { value: 3n, mask: 3n },
  not_later: { value: 0n, mask: 2n },
}

const FLAGS: Readonly<Record<string, readonly string[]>> = {
  ct_state: ['new', 'est', 'rel', 'rpl', 'inv', 'trk', 'snat', 'dnat'],
  tcp_flags: ['fin', 'syn', 'rst', 'psh', 'ack', 'urg', 'ece', 'cwr', 'ns'],
  tun_flags: ['oam'],
}

/** `value` or `value/mask` for `field`; host bits below the mask are cleared. Throws with the text named. */
export function parseMasked(field: Field, text: string): Masked {
  const { value, mask } = parse(field, text)
  if (value > field.full || mask > field.full) throw new Error(`${field.name} has ${field.bits} bits: ${text}`)
  if (mask !== field.full && !field.maskable) throw new Error(`${field.name} takes no mask: ${text}`)
  return { value: value & mask, mask }
}

function parse(field: Field, text: string): Masked {
  if (field.format === 'frag' && FRAG[text]) return FRAG[text]
  const flags = FLAGS[field.format]
  if (flags && /^[+-]/.test(text)) return parseFlags(flags, text)
  const slash = text.indexOf('/')
  const [left, right] = slash < 0 ? [text, null] : [text.slice(0, slash), text.slice(slash + 1)]
  if ((field.format === 'ipv4' || field.format === 'ipv6') && right !== null && /^\d+$/.test(right)) {
    const prefix = parsePrefix(text)
    if (prefix?.version !== (field.format === 'ipv4' ? 4 : 6))
      throw new Error(`not a prefix for ${field.name}: ${text}`)
    return { value: prefix.value, mask: field.full ^ (field.full >> BigInt(prefix.length)) }
  }
  return { value: parseValue(field, left), mask: right === null ? field.full : parseValue(field, right) }
}

/** One value of the field's format, without a mask. */
export function parseValue(field: Field, text: string): bigint {
  switch (field.format) {
    case 'mac': {
      const mac = normalizeMac(text)
      if (mac === null) return parseNumber(text)
      return BigInt(`0x${mac.replaceAll(':', '')}`)
    }
    case 'ipv4':
    case 'ipv6': {
      const ip = parseIp(text)
      if (ip?.version === (field.format === 'ipv4' ? 4 : 6)) return ip.value
      if (/^0x[0-9a-f]+$/i.test(text)) return BigInt(text)
      throw new Error(`not an address for ${field.name}: ${text}`)
    }
    case 'port':
      return BigInt(parsePort(text)) & field.full
    default:
      return parseNumber(text)
  }
}

function parseFlags(names: readonly string[], text: string): Masked {
  let value = 0n
  let mask = 0n
  for (const [flag, sign, name = ''] of text.matchAll(/([+-])([a-z]*)|./g)) {
    const bit = names.indexOf(name)
    if (bit < 0) throw new Error(`unknown flag ${flag} in ${text}`)
    mask |= 1n << BigInt(bit)
    if (sign === '+') value |= 1n << BigInt(bit)
  }
  return { value, mask }
}
