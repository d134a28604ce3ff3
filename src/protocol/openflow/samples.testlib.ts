/** Random matches of every kind that `match.ts` understands, for property tests. */
import fc from 'fast-check'

const hex = (value: bigint | number): string => `0x${value.toString(16)}`
const uint = (bits: number): fc.Arbitrary<bigint> => fc.bigInt({ min: 0n, max: (1n << BigInt(bits)) - 1n })
const masked = (bits: number): fc.Arbitrary<string> =>
  fc.oneof(
    uint(bits).map(hex),
    fc.tuple(uint(bits), uint(bits)).map(([value, mask]) => `${hex(value & mask)}/${hex(mask)}`),
  )
const exact = (bits: number): fc.Arbitrary<string> => uint(bits).map(String)
const mac = uint(48).map((value) => (value.toString(16).padStart(12, '0').match(/../g) ?? []).join(':'))
const macMasked = fc.oneof(
  mac,
  mac.map((text) => `${text}/ff:ff:ff:00:00:00`),
  fc.constant('01:00:00:00:00:00/01:00:00:00:00:00'),
)
const v4 = uint(32).map((value) => [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join('.'))
const v6 = uint(128).map((value) => (value.toString(16).padStart(32, '0').match(/.{4}/g) ?? []).join(':'))
const prefix = (address: fc.Arbitrary<string>, bits: number): fc.Arbitrary<string> =>
  fc.tuple(address, fc.integer({ min: 1, max: bits })).map(([text, length]) => `${text}/${length}`)

const flags = (names: readonly string[]): fc.Arbitrary<string> =>
  fc
    .tuple(
      fc.subarray([...names], { minLength: 1 }),
      fc.array(fc.constantFrom('+', '-'), { minLength: 9, maxLength: 9 }),
    )
    .map(([some, signs]) => some.map((name, i) => `${signs[i]}${name}`).join(''))

const optional = (parts: Record<string, fc.Arbitrary<string>>): fc.Arbitrary<string[]> =>
  fc
    .tuple(
      ...Object.entries(parts).map(([name, value]) =>
        fc.option(
          value.map((text) => `${name}=${text}`),
          { freq: 2 },
        ),
      ),
    )
    .map((texts) => texts.filter((text) => text !== null))

const ports = { tp_src: masked(16), tp_dst: masked(16) }
const layer3 = {
  nw_ttl: exact(8),
  nw_frag: fc.constantFrom('no', 'yes', 'first', 'later', 'not_later'),
  nw_ecn: exact(2),
}
const ip4 = {
  ...layer3,
  nw_src: fc.oneof(v4, prefix(v4, 32)),
  nw_dst: fc.oneof(v4, prefix(v4, 32)),
  nw_tos: uint(6).map((dscp) => String(dscp << 2n)),
}
const ip6 = {
  ...layer3,
  ipv6_src: fc.oneof(v6, prefix(v6, 128)),
  ipv6_dst: fc.oneof(v6, prefix(v6, 128)),
  ip_dscp: exact(6),
  ipv6_label: uint(20).map(hex),
}
const tcpFlags = { tcp_flags: flags(['fin', 'syn', 'rst', 'psh', 'ack', 'urg', 'ece', 'cwr', 'ns']) }

const protocols: readonly (readonly [shorthand: string, parts: Record<string, fc.Arbitrary<string>>])[] = [
  ['', {}],
  ['ip', ip4],
  ['ip', { ...ip4, nw_proto: exact(8) }],
  ['ipv6', ip6],
  ['icmp', { ...ip4, icmp_type: exact(8), icmp_code: exact(8) }],
  ['icmp6', { ...ip6, icmpv6_type: exact(8), icmpv6_code: exact(8) }],
  [
    'icmp6,icmp_type=135,icmp_code=0',
    {
      ...ip6,
      nd_target: fc.oneof(v6, prefix(v6, 128)),
      nd_sll: macMasked,
      nd_reserved: uint(32).map(hex),
      nd_options_type: exact(8),
    },
  ],
  ['icmp6,icmpv6_type=136,icmpv6_code=0', { ...ip6, nd_target: v6, nd_tll: macMasked }],
  ['tcp', { ...ip4, ...ports, ...tcpFlags }],
  ['tcp6', { ...ip6, tcp_src: masked(16), tcp_dst: masked(16) }],
  ['udp', { ...ip4, ...ports }],
  ['udp6', { ...ip6, udp_src: masked(16), udp_dst: masked(16) }],
  ['sctp', { ...ip4, ...ports }],
  ['sctp6', { ...ip6, ...ports }],
  [
    'arp',
    {
      arp_op: uint(8).map(String),
      arp_spa: fc.oneof(v4, prefix(v4, 32)),
      arp_tpa: fc.oneof(v4, prefix(v4, 32)),
      arp_sha: macMasked,
      arp_tha: macMasked,
    },
  ],
  ['arp', { nw_src: v4, nw_dst: prefix(v4, 32), nw_proto: fc.constantFrom('1', '2') }],
  ['dl_type=0x88cc', {}],
  ['dl_type=0x0800', { nw_dst: v4 }],
]

const vlans = fc.oneof(
  { weight: 4, arbitrary: fc.constant('') },
  { weight: 1, arbitrary: exact(12).map((vid) => `dl_vlan=${vid}`) },
  { weight: 1, arbitrary: fc.tuple(exact(12), exact(3)).map(([vid, pcp]) => `dl_vlan=${vid},dl_vlan_pcp=${pcp}`) },
  { weight: 1, arbitrary: exact(3).map((pcp) => `dl_vlan_pcp=${pcp}`) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      'vlan_tci=0',
      'vlan_tci=0x1000/0x1000',
      'vlan_tci=0x0000/0x1fff',
      'dl_vlan=0xffff',
      'vlan_vid=0x1000/0x1000',
      'vlan_vid=0x1005',
      'vlan_tci=0x3005/0xffff',
    ),
  },
)

const registers: Record<string, fc.Arbitrary<string>> = Object.fromEntries(
  ['reg0', 'reg1', 'reg6', 'reg7', 'reg15', 'xreg1', 'xreg4', 'xxreg3'].map((name) => [
    name,
    masked(name.startsWith('xx') ? 96 : name.startsWith('x') ? 64 : 32),
  ]),
)

const everywhere: Record<string, fc.Arbitrary<string>> = {
  in_port: fc.oneof(exact(12), fc.constantFrom('LOCAL', 'local', '65534')),
  dl_src: macMasked,
  dl_dst: macMasked,
  tun_id: masked(64),
  tun_src: fc.oneof(v4, prefix(v4, 32)),
  tun_dst: v4,
  tun_flags: fc.constantFrom('oam', '+oam', '-oam').filter((text) => text !== 'oam'),
  ct_state: flags(['new', 'est', 'rel', 'rpl', 'inv', 'trk', 'snat', 'dnat']),
  ct_zone: exact(16),
  ct_mark: masked(32),
  ct_label: masked(128),
  conj_id: exact(32),
  pkt_mark: masked(32),
  metadata: masked(64),
}

const some = (parts: Record<string, fc.Arbitrary<string>>): fc.Arbitrary<string[]> =>
  fc
    .subarray(Object.entries(parts), { maxLength: Math.min(5, Object.keys(parts).length) })
    .chain((entries) => optional(Object.fromEntries(entries)))

/** Later fragments have no transport header to match on. */
const withoutFragments = (shorthand: string, texts: string[]): string[] =>
  /_type=/.test(shorthand) || texts.some((text) => /^(tp|tcp|udp|icmp|icmpv6|nd)_/.test(text))
    ? texts.filter((text) => text !== 'nw_frag=later')
    : texts

/** Texts of matches, most with several fields. A register never stands beside a wider one that holds it. */
export const matchTexts: fc.Arbitrary<string> = fc
  .tuple(
    fc
      .constantFrom(...protocols)
      .chain(([shorthand, parts]) => some(parts).map((texts) => [shorthand, ...withoutFragments(shorthand, texts)])),
    vlans,
    some(everywhere),
    some(registers).map((texts) =>
      texts.filter((text) => !text.startsWith('xxreg3') || !texts.some((other) => other.startsWith('reg15'))),
    ),
  )
  .map(([protocol, vlan, others, regs]) =>
    [...others, ...regs, vlan, ...protocol].filter((text) => text !== '').join(','),
  )
