/** The flows that every host has, whatever its ports: defaults, what always passes, conntrack states, verdicts. */
import { is, jump, ORIGIN, REG, type Rule, rule, TABLE, VERDICT } from '../pipeline.ts'

/** ICMPv6 types that pass without a rule (RFC 4861, RFC 3810): what a host must say and hear to have addresses. */
const SPOKEN = [130, 131, 132, 133, 143]
const HEARD = [130, 134, 135, 136]
const SOLICITATION = 135
const ADVERTISEMENT = 136
const ROUTER_ADVERTISEMENT = 134

export const compileBase = (): Rule[] => [
  ...defaults(),
  ...sourceGuard(),
  ...neighborGuard(),
  ...egress(),
  ...ingress(),
]

/** Where a frame goes that no flow of a table knows. */
const defaults = (): Rule[] => {
  const closed = [TABLE.admit, TABLE.sourceGuard, TABLE.egressTrack, TABLE.floodLocal, TABLE.floodPorts]
  return [
    ...[...closed, TABLE.encapsulate, TABLE.ingressGuard, TABLE.ingressTrack, TABLE.deliver].map((table) =>
      rule(table, 0, [], []),
    ),
    rule(TABLE.arpAnswer, 0, [], [jump(TABLE.localLookup)]),
    // What came from outside stays here: no frame crosses an underlay twice.
    rule(TABLE.localLookup, 1, [is(REG.origin, ORIGIN.vm)], [jump(TABLE.remoteLookup)]),
    rule(TABLE.localLookup, 0, [], [jump(TABLE.floodLocal)]),
    rule(TABLE.remoteLookup, 0, [], [jump(TABLE.flood)]),
  ]
}

/** Nobody behind a guarded port serves DHCP or advertises routes. */
const sourceGuard = (): Rule[] => [
  rule(TABLE.sourceGuard, 200, ['udp', 'tp_src=67', 'tp_dst=68'], []),
  rule(TABLE.sourceGuard, 200, ['udp6', 'tp_src=547', 'tp_dst=546'], []),
  rule(TABLE.sourceGuard, 200, ['icmp6', `icmp_type=${ROUTER_ADVERTISEMENT}`], []),
]

const neighborGuard = (): Rule[] => [
  ...SPOKEN.map((type) => rule(TABLE.neighborGuard, 90, ['icmp6', `icmp_type=${type}`], [jump(TABLE.localLookup)])),
  ...[SOLICITATION, ADVERTISEMENT].map((type) => rule(TABLE.neighborGuard, 80, ['icmp6', `icmp_type=${type}`], [])),
  rule(TABLE.neighborGuard, 0, [], [jump(TABLE.egressTrack)]),
]

const egress = (): Rule[] => [
  rule(TABLE.egressTrack, 100, ['udp', 'tp_src=68', 'tp_dst=67'], [jump(TABLE.localLookup)]),
  rule(TABLE.egressTrack, 100, ['udp6', 'tp_src=546', 'tp_dst=547'], [jump(TABLE.localLookup)]),
  ...judge(
    {
      track: TABLE.egressTrack,
      state: TABLE.egressState,
      groups: TABLE.egressGroups,
      verdict: TABLE.egressVerdict,
      accept: TABLE.localLookup,
    },
    REG.from,
  ),
]

const ingress = (): Rule[] => [
  rule(TABLE.ingressTrack, 100, ['arp'], [jump(TABLE.deliver)]),
  rule(TABLE.ingressTrack, 100, ['udp', 'tp_src=67', 'tp_dst=68'], [jump(TABLE.deliver)]),
  rule(TABLE.ingressTrack, 100, ['udp6', 'tp_src=547', 'tp_dst=546'], [jump(TABLE.deliver)]),
  // What the DHCP server of this host says as name server, and its side of a ping; nobody else has this origin.
  ...['udp', 'tcp', 'udp6', 'tcp6'].map((protocol) => answered([protocol, 'tp_src=53'])),
  ...['icmp', 'icmp6'].map((protocol) => answered([protocol])),
  ...HEARD.map((type) => rule(TABLE.ingressTrack, 100, ['icmp6', `icmp_type=${type}`], [jump(TABLE.deliver)])),
  ...judge(
    {
      track: TABLE.ingressTrack,
      state: TABLE.ingressState,
      groups: TABLE.ingressGroups,
      verdict: TABLE.ingressVerdict,
      accept: TABLE.deliver,
    },
    REG.to,
  ),
]

const answered = (match: readonly string[]): Rule =>
  rule(TABLE.ingressTrack, 90, [is(REG.origin, ORIGIN.dhcp), ...match], [jump(TABLE.deliver)])

interface Judge {
  readonly track: number
  readonly state: number
  readonly groups: number
  readonly verdict: number
  readonly accept: number
}

/**
 * Conntrack around the groups of one port, in the zone of that port (`key` holds both port key and zone).
 *
 * Replies pass at once. The original direction is judged by the rules on every packet, established or not: when a rule
 * goes, the next packet of a connection it allowed marks the connection (ct_mark bit 0), and its replies stop too.
 */
function judge({ track, state, groups, verdict, accept }: Judge, key: string): Rule[] {
  const zone = `zone=${zoneOf(key)}`
  const remember = (mark: number): string => `ct(commit,${zone},exec(set_field:${mark}/0x1->ct_mark))`
  const { stateful, stateless, tracked } = VERDICT
  const said = (bits: number, mask: number): string => `${REG.verdict}=0x${bits.toString(16)}/0x${mask.toString(16)}`
  const allowed = said(stateful | tracked, stateful | tracked)
  return ['ip', 'ipv6'].flatMap((ip) => [
    rule(track, 20, [ip, said(tracked, tracked)], [`ct(table=${state},${zone})`]),
    rule(track, 10, [ip], [jump(groups)]),
    rule(state, 50, [ip, 'ct_state=+inv+trk'], []),
    rule(state, 40, [ip, 'ct_state=+est+rpl+trk', 'ct_mark=0x0/0x1'], [jump(accept)]),
    rule(state, 40, [ip, 'ct_state=+rel+trk', 'ct_mark=0x0/0x1'], [jump(accept)]),
    rule(state, 10, [ip], [jump(groups)]),
    rule(verdict, 40, [ip, allowed, 'ct_state=+new+trk'], [`ct(commit,${zone})`, jump(accept)]),
    rule(verdict, 40, [ip, allowed, 'ct_state=+est+trk', 'ct_mark=0x0/0x1'], [jump(accept)]),
    rule(verdict, 39, [ip, allowed, 'ct_state=+est+trk'], [remember(0), jump(accept)]),
    rule(verdict, 30, [ip, said(stateless, stateless)], [jump(accept)]),
    rule(
      verdict,
      20,
      [ip, said(tracked, stateful | tracked), 'ct_state=+est-rpl+trk', 'ct_mark=0x0/0x1'],
      [remember(1)],
    ),
    rule(verdict, 0, [ip], []),
  ])
}

/** The conntrack zone held in the low 16 bits of a register. */
const zoneOf = (register: string): string => `NXM_NX_${register.toUpperCase()}[0..15]`
