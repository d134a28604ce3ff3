/**
 * The header fields a flow can match or set: names in ovs-fields(7), TLV headers in OpenFlow 1.5 §7.2.3 (class 0x8000),
 * Nicira's extensible match (classes 0 and 1) and Ericsson's ND fields (class 0x1000), as Open vSwitch numbers them.
 *
 * The order of the table is the order on the wire: what a field needs (`eth_type`, `ip_proto`) stands before it.
 */
export type Format = 'number' | 'port' | 'mac' | 'ipv4' | 'ipv6' | 'frag' | 'ct_state' | 'tcp_flags' | 'tun_flags'

export interface Field {
  readonly name: string
  readonly cls: number
  readonly id: number
  /** Length of the value on the wire. */
  readonly bytes: number
  /** Significant bits; a value is below 2^bits. */
  readonly bits: number
  readonly maskable: boolean
  readonly format: Format
  /** Position on the wire. */
  readonly rank: number
  /** All significant bits. */
  readonly full: bigint
}

const NXM0 = 0x0000
const NXM1 = 0x0001
const ERICSSON = 0x1000
const OXM = 0x8000
const XREG = 0x8001

type Line = readonly [name: string, cls: number, id: number, bits: number, maskable: boolean, format?: Format]
const numbered = (count: number, line: (index: number) => Line): Line[] =>
  Array.from({ length: count }, (_, i) => line(i))

const lines: readonly Line[] = [
  ['conj_id', NXM1, 37, 32, false],
  ['in_port', OXM, 0, 32, false, 'port'],
  ['eth_src', OXM, 4, 48, true, 'mac'],
  ['eth_dst', OXM, 3, 48, true, 'mac'],
  ['eth_type', OXM, 5, 16, false],
  ['vlan_vid', OXM, 6, 13, true],
  ['vlan_pcp', OXM, 7, 3, false],
  ['ipv4_src', OXM, 11, 32, true, 'ipv4'],
  ['ipv4_dst', OXM, 12, 32, true, 'ipv4'],
  ['ipv6_src', OXM, 26, 128, true, 'ipv6'],
  ['ipv6_dst', OXM, 27, 128, true, 'ipv6'],
  ['ipv6_label', OXM, 28, 20, true],
  ['ip_proto', OXM, 10, 8, false],
  ['ip_dscp', OXM, 8, 6, false],
  ['ip_ecn', OXM, 9, 2, false],
  ['nw_ttl', NXM1, 29, 8, false],
  ['ip_frag', NXM1, 26, 2, true, 'frag'],
  ['tcp_src', OXM, 13, 16, true],
  ['tcp_dst', OXM, 14, 16, true],
  ['tcp_flags', OXM, 42, 12, true, 'tcp_flags'],
  ['udp_src', OXM, 15, 16, true],
  ['udp_dst', OXM, 16, 16, true],
  ['sctp_src', OXM, 17, 16, true],
  ['sctp_dst', OXM, 18, 16, true],
  ['icmp_type', OXM, 19, 8, false],
  ['icmp_code', OXM, 20, 8, false],
  ['icmpv6_type', OXM, 29, 8, false],
  ['icmpv6_code', OXM, 30, 8, false],
  ['nd_target', OXM, 31, 128, true, 'ipv6'],
  ['nd_reserved', ERICSSON, 1, 32, false],
  ['nd_options_type', ERICSSON, 2, 8, false],
  ['nd_sll', OXM, 32, 48, true, 'mac'],
  ['nd_tll', OXM, 33, 48, true, 'mac'],
  ['arp_op', OXM, 21, 16, false],
  ['arp_spa', OXM, 22, 32, true, 'ipv4'],
  ['arp_tpa', OXM, 23, 32, true, 'ipv4'],
  ['arp_sha', OXM, 24, 48, true, 'mac'],
  ['arp_tha', OXM, 25, 48, true, 'mac'],
  ['tun_id', OXM, 38, 64, true],
  ['tun_src', NXM1, 31, 32, true, 'ipv4'],
  ['tun_dst', NXM1, 32, 32, true, 'ipv4'],
  ['tun_ipv6_src', NXM1, 109, 128, true, 'ipv6'],
  ['tun_ipv6_dst', NXM1, 110, 128, true, 'ipv6'],
  ['tun_flags', NXM1, 104, 1, true, 'tun_flags'],
  ...numbered(16, (i) => [`reg${i}`, NXM1, i, 32, true]),
  ['pkt_mark', NXM1, 33, 32, true],
  ['ct_state', NXM1, 105, 32, true, 'ct_state'],
  ['ct_zone', NXM1, 106, 16, false],
  ['ct_mark', NXM1, 107, 32, true],
  ['ct_label', NXM1, 108, 128, true],
  ['metadata', OXM, 2, 64, true],
]

/** Known to actions only; as a match they are written by their parts. */
const parts: readonly Line[] = [
  ['nxm_in_port', NXM0, 0, 16, false, 'port'],
  ...numbered(8, (i): Line => [`xreg${i}`, XREG, i, 64, true]),
  ...numbered(4, (i): Line => [`xxreg${i}`, NXM1, 111 + i, 128, true]),
]

/** Bytes on the wire where they are more than the significant bits ask for. */
const wireBytes: Readonly<Record<string, number>> = { tun_flags: 2, ipv6_label: 4 }

const build = ([name, cls, id, bits, maskable, format = 'number']: Line, rank: number): Field => {
  const bytes = wireBytes[name] ?? Math.ceil(bits / 8)
  return { name, cls, id, bits, bytes, maskable, format, rank, full: (1n << BigInt(bits)) - 1n }
}

const all: readonly Field[] = [...lines, ...parts].map(build)
const byName = new Map(all.map((field) => [field.name, field]))

/** Other names for the same field, among them those of NXM and OXM. */
const aliases: Readonly<Record<string, string>> = {
  dl_src: 'eth_src',
  dl_dst: 'eth_dst',
  dl_type: 'eth_type',
  nw_proto: 'ip_proto',
  nw_ecn: 'ip_ecn',
  nw_frag: 'ip_frag',
  nw_src: 'ipv4_src',
  nw_dst: 'ipv4_dst',
  ip_src: 'ipv4_src',
  ip_dst: 'ipv4_dst',
  ip_ttl: 'nw_ttl',
  tunnel_id: 'tun_id',
  tun_ipv4_src: 'tun_src',
  tun_ipv4_dst: 'tun_dst',
  icmpv4_type: 'icmp_type',
  icmpv4_code: 'icmp_code',
  ipv6_flabel: 'ipv6_label',
  icmpv6_nd_reserved: 'nd_reserved',
  icmpv6_nd_options_type: 'nd_options_type',
  ipv6_nd_target: 'nd_target',
  ipv6_nd_sll: 'nd_sll',
  ipv6_nd_tll: 'nd_tll',
}

/** Numbers under which the switch may name a field besides its own. */
const others: readonly (readonly [cls: number, id: number, name: string])[] = [
  [NXM0, 1, 'eth_dst'],
  [NXM0, 2, 'eth_src'],
  [NXM0, 3, 'eth_type'],
  [NXM0, 6, 'ip_proto'],
  [NXM0, 7, 'ipv4_src'],
  [NXM0, 8, 'ipv4_dst'],
  [NXM1, 16, 'tun_id'],
]

const byNumber = new Map(all.map((field) => [(field.cls << 7) | field.id, field]))
for (const [cls, id, name] of others) byNumber.set((cls << 7) | id, fieldNamed(name))

/** A field by any of its names; throws on an unknown one. */
export function fieldNamed(name: string): Field {
  const field = findField(name)
  if (!field) throw new Error(`unknown field: ${name}`)
  return field
}

export function findField(name: string): Field | undefined {
  const exact = byName.get(name) ?? byName.get(aliases[name] ?? '')
  if (exact) return exact
  if (name === 'NXM_OF_IN_PORT') return byName.get('nxm_in_port')
  const long = /^(?:NXM_OF|NXM_NX|OXM_OF|ERICOXM_OF)_([A-Z0-9_]+)$/.exec(name)?.[1]?.toLowerCase()
  return long === undefined ? undefined : (byName.get(long) ?? byName.get(aliases[long] ?? ''))
}

export const fieldNumbered = (cls: number, id: number): Field | undefined => byNumber.get((cls << 7) | id)

/** TLV header (OpenFlow 1.5 §7.2.3.2): class 16 bits, field 7, has-mask 1, length of what follows 8. */
export const tlvHeader = ({ cls, id, bytes }: Field, masked: boolean): number =>
  ((cls << 16) | (id << 9) | (masked ? 0x100 : 0) | (masked ? bytes * 2 : bytes)) >>> 0
