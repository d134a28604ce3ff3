/**
 * Matches: text in the syntax of ovs-ofctl(8) ↔ TLVs on the wire.
 *
 * A match is the set of its fields with value and mask, masked-out bits zero and empty masks left out, 64- and
 * 128-bit registers split, written in one order: so its bytes in hex are a key that is equal for our text and for what
 * the switch answers.
 */
import { createWriter, readUint, type Writer } from './bytes.ts'
import { type Field, fieldNamed, fieldNumbered, findField, tlvHeader } from './fields.ts'
import { memo } from './memo.ts'
import { type Masked, parseMasked, parseNumber } from './values.ts'

/** Field → what of it must be what. */
export type Match = ReadonlyMap<Field, Masked>

const IP4 = 0x0800n
const IP6 = 0x86ddn
const ARP = 0x0806n
const VLAN_PRESENT = 0x1000n
const LATER = 3n
const transport = /^(tcp|udp|sctp|icmp|icmpv6|nd)_/

const shorthands: Readonly<Record<string, readonly [type: bigint, proto: bigint | null]>> = {
  ip: [IP4, null],
  ipv6: [IP6, null],
  ip6: [IP6, null],
  arp: [ARP, null],
  rarp: [0x8035n, null],
  icmp: [IP4, 1n],
  icmp6: [IP6, 58n],
  tcp: [IP4, 6n],
  tcp6: [IP6, 6n],
  udp: [IP4, 17n],
  udp6: [IP6, 17n],
  sctp: [IP4, 132n],
  sctp6: [IP6, 132n],
}

/** Parses `in_port=1,tcp,nw_src=10.0.0.0/8,…`; the empty text matches everything. Throws with the token named. */
export function parseMatch(text: string): Match {
  const draft = new Draft()
  const late: (readonly [name: string, value: string])[] = []
  for (const raw of text.split(',')) {
    const token = raw.trim()
    if (token === '') continue
    const equals = token.indexOf('=')
    const name = equals < 0 ? token : token.slice(0, equals).trim()
    const value = equals < 0 ? null : token.slice(equals + 1).trim()
    const shorthand = shorthands[name]
    try {
      if (value === null && shorthand) draft.protocol(...shorthand)
      else if (value === null) throw new Error('needs a value')
      else if (name === 'dl_type' || name === 'eth_type') draft.set('eth_type', value)
      else late.push([name, value])
    } catch (error) {
      throw tokenError(token, text, error)
    }
  }
  // What nw_src or tp_dst mean is known only when the protocol is.
  for (const wanted of [true, false]) {
    for (const [name, value] of late) {
      if ((name === 'nw_proto' || name === 'ip_proto') !== wanted) continue
      try {
        draft.field(name, value)
      } catch (error) {
        throw tokenError(`${name}=${value}`, text, error)
      }
    }
  }
  return draft.done(text)
}

const tokenError = (token: string, text: string, error: unknown): Error =>
  new Error(`match "${text}": ${token}: ${(error as Error).message}`)

/** A match while its tokens arrive. */
class Draft {
  readonly #fields = new Map<Field, Masked>()

  protocol(type: bigint, proto: bigint | null): void {
    this.#put(fieldNamed('eth_type'), { value: type, mask: 0xffffn })
    if (proto !== null) this.#put(fieldNamed('ip_proto'), { value: proto, mask: 0xffn })
  }

  set(name: string, text: string): void {
    const field = fieldNamed(name)
    this.#put(field, parseMasked(field, text))
  }

  field(name: string, text: string): void {
    const tuple = /^(xreg|xxreg)(\d)$/.exec(name)
    if (tuple) return this.#wideRegister(name, Number(tuple[2]), text)
    switch (name) {
      case 'nw_src':
      case 'nw_dst':
      case 'ip_src':
      case 'ip_dst': {
        const source = name.endsWith('src')
        if (this.#is('eth_type', ARP)) return this.set(source ? 'arp_spa' : 'arp_tpa', text)
        return this.set(source ? 'ipv4_src' : 'ipv4_dst', text)
      }
      case 'nw_proto':
        return this.set(this.#is('eth_type', ARP) ? 'arp_op' : 'ip_proto', text)
      case 'nw_tos':
        return this.#dscp(parseNumber(text))
      case 'tp_src':
      case 'tp_dst':
        return this.set(this.#transport(name), text)
      case 'icmp_type':
      case 'icmp_code':
        return this.set(this.#is('ip_proto', 58n) ? name.replace('icmp', 'icmpv6') : name, text)
      case 'dl_vlan':
        return this.#vlan(parseNumber(text))
      case 'dl_vlan_pcp':
      case 'vlan_pcp':
        return this.#priority(text)
      case 'vlan_tci':
      case 'vlan_tci1':
        return this.#tci(text)
      default: {
        const field = findField(name)
        if (!field) throw new Error('unknown field')
        this.#put(field, parseMasked(field, text))
      }
    }
  }

  /** Checks what each field needs (OpenFlow 1.5 §7.2.3.6) and puts the fields in wire order. */
  done(text: string): Match {
    const sorted = [...this.#fields].filter(([, { mask }]) => mask !== 0n).sort(([a], [b]) => a.rank - b.rank)
    for (const [field] of sorted) {
      const missing = (needs[field.name] ?? []).find(
        ({ name, values }) => !values.some((value) => this.#is(name, value)),
      )
      if (missing) throw new Error(`match "${text}": ${field.name} needs ${missing.text}`)
      if (transport.test(field.name) && this.#is('ip_frag', LATER))
        throw new Error(`match "${text}": ${field.name} is not in later fragments`)
    }
    return new Map(sorted)
  }

  #put(field: Field, masked: Masked): void {
    const before = this.#fields.get(field)
    if (before && (before.value !== masked.value || before.mask !== masked.mask))
      throw new Error(`${field.name} given twice`)
    this.#fields.set(field, masked)
  }

  #is(name: string, value: bigint): boolean {
    return this.#fields.get(fieldNamed(name))?.value === value
  }

  #transport(name: 'tp_src' | 'tp_dst'): string {
    const end = name.slice(2)
    if (this.#is('ip_proto', 6n)) return `tcp${end}`
    if (this.#is('ip_proto', 17n)) return `udp${end}`
    if (this.#is('ip_proto', 132n)) return `sctp${end}`
    const icmp = this.#is('ip_proto', 58n) ? 'icmpv6' : this.#is('ip_proto', 1n) ? 'icmp' : null
    if (icmp) return `${icmp}_${end === '_src' ? 'type' : 'code'}`
    throw new Error('needs tcp, udp, sctp or icmp')
  }

  #dscp(tos: bigint): void {
    if ((tos & 3n) !== 0n) throw new Error('the two low bits are ECN: must be 0')
    this.set('ip_dscp', String(tos >> 2n))
  }

  #vlan(vid: bigint): void {
    if (vid === 0xffffn) return this.set('vlan_vid', '0')
    if (vid > 0xfffn) throw new Error('not a VLAN')
    const pcp = this.#fields.get(fieldNamed('vlan_pcp'))
    if (pcp) this.#fields.delete(fieldNamed('vlan_vid'))
    this.set('vlan_vid', String(vid | VLAN_PRESENT))
  }

  #priority(text: string): void {
    this.set('vlan_pcp', text)
    const vid = fieldNamed('vlan_vid')
    if (!this.#fields.has(vid)) this.#put(vid, { value: VLAN_PRESENT, mask: VLAN_PRESENT })
  }

  #tci(text: string): void {
    const [value, mask] = text.split('/').map(parseNumber)
    const tci = (value ?? 0n) & (mask ?? 0xffffn)
    const part = (mask ?? 0xffffn) & 0x1fffn
    if (part !== 0n) this.#put(fieldNamed('vlan_vid'), { value: tci & part, mask: part })
    const pcpMask = (mask ?? 0xffffn) >> 13n
    if (pcpMask !== 0n && pcpMask !== 7n) throw new Error('matches the priority wholly or not at all')
    if (pcpMask === 7n && (tci & 0x1fffn) !== 0n) this.set('vlan_pcp', String(tci >> 13n))
    else if (tci >> 13n !== 0n) throw new Error('a priority needs a VLAN')
  }

  #wideRegister(name: string, index: number, text: string): void {
    const wide = fieldNamed(name)
    splitRegister(wide, index, parseMasked(wide, text)).forEach(([field, masked]) => this.#put(field, masked))
  }
}

/** `xreg1` → reg2 (high half), reg3; `xxreg0` → reg0 (highest) … reg3. Parts without a mask are left out. */
function splitRegister(wide: Field, index: number, { value, mask }: Masked): (readonly [Field, Masked])[] {
  const count = wide.bits / 32
  return Array.from({ length: count }, (_, i) => {
    const shift = BigInt(32 * (count - 1 - i))
    const part = { value: (value >> shift) & 0xffffffffn, mask: (mask >> shift) & 0xffffffffn }
    return [fieldNamed(`reg${index * count + i}`), part] as const
  }).filter(([, { mask: part }]) => part !== 0n)
}

interface Need {
  readonly name: string
  readonly values: readonly bigint[]
  readonly text: string
}
const ip: Need = { name: 'eth_type', values: [IP4, IP6], text: 'ip or ipv6' }
const ip4: Need = { name: 'eth_type', values: [IP4], text: 'ip' }
const ip6: Need = { name: 'eth_type', values: [IP6], text: 'ipv6' }
const arp: Need = { name: 'eth_type', values: [ARP, 0x8035n], text: 'arp' }
const protocol = (value: bigint, text: string): Need => ({ name: 'ip_proto', values: [value], text })
const nd = (...values: bigint[]): Need => ({ name: 'icmpv6_type', values, text: `icmpv6_type ${values.join(' or ')}` })

const group = (names: readonly string[], ...list: Need[]): [string, Need[]][] => names.map((name) => [name, list])
const needs: Readonly<Record<string, readonly Need[]>> = Object.fromEntries([
  ...group(['ip_proto', 'ip_dscp', 'ip_ecn', 'nw_ttl', 'ip_frag'], ip),
  ...group(['ipv4_src', 'ipv4_dst'], ip4),
  ...group(['ipv6_src', 'ipv6_dst', 'ipv6_label'], ip6),
  ...group(['tcp_src', 'tcp_dst', 'tcp_flags'], ip, protocol(6n, 'tcp')),
  ...group(['udp_src', 'udp_dst'], ip, protocol(17n, 'udp')),
  ...group(['sctp_src', 'sctp_dst'], ip, protocol(132n, 'sctp')),
  ...group(['icmp_type', 'icmp_code'], ip4, protocol(1n, 'icmp')),
  ...group(['icmpv6_type', 'icmpv6_code'], ip6, protocol(58n, 'icmp6')),
  ...group(['nd_target', 'nd_reserved', 'nd_options_type'], ip6, protocol(58n, 'icmp6'), nd(135n, 136n)),
  ...group(['nd_sll'], ip6, protocol(58n, 'icmp6'), nd(135n)),
  ...group(['nd_tll'], ip6, protocol(58n, 'icmp6'), nd(136n)),
  ...group(['arp_op', 'arp_spa', 'arp_tpa', 'arp_sha', 'arp_tha'], arp),
])

/** The match's TLVs in order, without header and padding. */
export function writeTlvs(out: Writer, match: Match): void {
  for (const [field, { value, mask }] of match) writeTlv(out, field, value, mask)
}

export function writeTlv(out: Writer, field: Field, value: bigint, mask: bigint): void {
  const masked = mask !== field.full
  out.u32(tlvHeader(field, masked)).uint(value, field.bytes)
  if (masked) out.uint(mask, field.bytes)
}

/** The TLVs of a match given as text. Throws as `parseMatch` does. */
export const matchTlvs = memo(8192, (text) => {
  const out = createWriter()
  writeTlvs(out, parseMatch(text))
  return Buffer.from(out.done())
})

/** Canonical key of a match: its TLVs in hex. */
export function matchKey(match: Match): string {
  const out = createWriter()
  writeTlvs(out, match)
  return out.done().toString('hex')
}

/** The key of TLVs as a switch wrote them; fields we do not know stay in it as they came. */
export function keyOfTlvs(bytes: Buffer): string {
  const known = new Map<Field, Masked>()
  let unknown = ''
  for (let at = 0; at + 4 <= bytes.length; ) {
    const [cls, id, masked] = [bytes.readUInt16BE(at), (bytes[at + 2] ?? 0) >> 1, ((bytes[at + 2] ?? 0) & 1) === 1]
    const length = bytes[at + 3] ?? 0
    const field = fieldNumbered(cls, id)
    if (field && field.bytes === (masked ? length / 2 : length)) {
      const mask = masked ? readUint(bytes, at + 4 + field.bytes, field.bytes) & field.full : field.full
      const value = readUint(bytes, at + 4, field.bytes) & mask
      const wide = /^x{1,2}reg(\d)$/.exec(field.name)
      const parts = wide ? splitRegister(field, Number(wide[1]), { value, mask }) : [[field, { value, mask }] as const]
      for (const [part, contents] of parts) if (contents.mask !== 0n) known.set(part, contents)
    } else unknown += `?${bytes.toString('hex', at, at + 4 + length)}`
    at += 4 + length
  }
  return matchKey(new Map([...known].sort(([a], [b]) => a.rank - b.rank))) + unknown
}
