/**
 * A port of this host: its admission, the guard on what it sends, its groups in both directions, its delivery.
 *
 * A port is open when it is plugged, up, and everything it refers to is known; else it has no flow at all, and the
 * tables' defaults drop what it sends and what is sent to it.
 */
import type { PortObject } from '#wire/objects.ts'
import { is, jump, MULTICAST, ORIGIN, REG, type Rule, rule, set, TABLE, UNTAGGED, VERDICT } from '../pipeline.ts'
import type { GroupShape } from '../relations.ts'
import type { View } from '../view.ts'
import { covers, macsOf, prefixMatch, type Sender, sendersOf } from './addresses.ts'
import { arpAnswer } from './arp.ts'
import { type Domain, domainOf, domainsOf } from './domain.ts'

/** Whether a port may carry traffic, and if not, the sentence that says why. */
export type Gate =
  | {
      readonly open: true
      readonly ofport: number
      readonly domain: Domain
      readonly groups: readonly [string, GroupShape][]
    }
  | { readonly open: false; readonly blocked: boolean; readonly why: string }

/** `blocked`: closed by the administrator's will, which is then what the host realizes. */
export function gateOf(port: PortObject, view: View): Gate {
  const { network_id } = port
  if (!view.segmentsOf(network_id))
    return { open: false, blocked: false, why: `network ${network_id} is not known here yet` }
  if (!port.admin_state_up) return { open: false, blocked: true, why: 'the port is administratively down' }
  if (!view.networkUp(port.network_id)) return { open: false, blocked: true, why: 'its network is down' }
  const groups: [string, GroupShape][] = []
  for (const id of port.port_security_enabled ? port.security_groups : []) {
    const shape = view.shapeOf(id)
    if (!shape) return { open: false, blocked: false, why: `security group ${id} is not known here yet` }
    groups.push([id, shape])
  }
  const domain = domainOf(port, view)
  if (!domain) {
    const why = `segment ${port.segment_ids.at(-1)} of network ${network_id} is not known here yet`
    return { open: false, blocked: false, why }
  }
  const ofport = view.ofport('ports', port.id)
  if (ofport === undefined) return { open: false, blocked: false, why: 'no interface is plugged for it' }
  return { open: true, ofport, domain, groups }
}

export function compilePort(id: string, view: View): Rule[] {
  const port = view.object('port', id)
  const gate = port && gateOf(port, view)
  if (!port || !gate?.open) return []
  const key = view.number('port', id)
  const { domain } = gate
  const stateful = gate.groups.some(([, shape]) => shape.stateful)
  const shared = [
    ...admit(port, gate.ofport, key, domain.key, stateful),
    ...lookup(port, key, port.active ? [domain] : mayBeIn(port, domain, view)),
    ...receive(port, key, stateful),
    rule(TABLE.deliver, 10, [is(REG.to, key)], [`output:${gate.ofport}`]),
  ]
  if (!port.port_security_enabled) return shared
  return [
    ...shared,
    ...macsOf(port).flatMap((mac) => guardMac(mac, key)),
    ...sendersOf(port).flatMap((sender) => guardSender(sender, key)),
    ...judgedBy(gate.groups, key, view),
  ]
}

/** Untagged frames only: a tag of a VM's own must not become a VLAN of the underlay. */
const admit = (port: PortObject, ofport: number, key: number, domain: number, stateful: boolean): Rule[] => [
  rule(
    TABLE.admit,
    100,
    [`in_port=${ofport}`, UNTAGGED],
    [
      set(REG.domain, domain),
      set(REG.from, key),
      set(REG.origin, ORIGIN.vm),
      set(REG.verdict, stateful ? VERDICT.tracked : 0),
      jump(port.port_security_enabled ? TABLE.sourceGuard : TABLE.arpAnswer),
    ],
  ),
]

/** How frames find the port: by MAC, and its addresses by ARP; a question for one's own address goes to everyone. */
function lookup(port: PortObject, key: number, domains: readonly Domain[]): Rule[] {
  const own = (domain: Domain): string[] => [is(REG.domain, domain.key), `dl_dst=${port.mac_address}`]
  const moved = port.allowed_address_pairs.filter((pair) => pair.mac_address !== port.mac_address)
  // An address that may be spoken for with another MAC is for the port itself to answer.
  const addresses = port.fixed_ips
    .map(({ ip_address }) => ip_address)
    .filter((ip) => !ip.includes(':') && !moved.some((pair) => covers(pair.ip_address, ip)))
  const found = [set(REG.to, key), jump(TABLE.ingressGuard)]
  const asksForItself = addresses.map((ip) =>
    rule(TABLE.arpAnswer, 20, [is(REG.from, key), 'arp', `arp_tpa=${ip}`], [jump(TABLE.localLookup)]),
  )
  if (!port.active) return [...domains.flatMap((domain) => fromOutside(own(domain), found)), ...asksForItself]
  return [
    ...asksForItself,
    ...domains.flatMap((domain) => [
      rule(TABLE.localLookup, 10, own(domain), found),
      ...addresses.map((ip) => arpAnswer(domain.key, ip, port.mac_address)),
    ]),
  ]
}

/** One that has just left may not say where it was: what is still under way is for it in any domain. */
const mayBeIn = ({ network_id, segment_ids }: PortObject, domain: Domain, view: View): readonly Domain[] =>
  segment_ids.length > 0 ? [domain] : domainsOf(network_id, view)

/**
 * A port that is expected takes what other hosts send it: they may know sooner than we that it is here, or later that
 * it has left. For those of this host it is where its neighbour object says.
 */
const fromOutside = (match: readonly string[], found: readonly string[]): Rule[] =>
  [ORIGIN.tunnel, ORIGIN.provider].map((origin) =>
    rule(TABLE.localLookup, 10, [...match, is(REG.origin, origin)], found),
  )

/** What is for this port: multicast and its MACs, never its own frames. Without port security: whatever comes. */
function receive(port: PortObject, key: number, stateful: boolean): Rule[] {
  const own = rule(TABLE.ingressGuard, 20, [is(REG.from, key), is(REG.to, key)], [])
  if (!port.port_security_enabled) return [own, rule(TABLE.ingressGuard, 10, [is(REG.to, key)], [jump(TABLE.deliver)])]
  const pass = [set(REG.verdict, stateful ? VERDICT.tracked : 0), jump(TABLE.ingressTrack)]
  const matches = [MULTICAST, ...macsOf(port).map((mac) => `dl_dst=${mac}`)]
  return [own, ...matches.map((match) => rule(TABLE.ingressGuard, 10, [is(REG.to, key), match], pass))]
}

/** What a MAC may send before it has an address: DHCP, an ARP probe (RFC 5227), duplicate address detection. */
function guardMac(mac: string, key: number): Rule[] {
  const from = [is(REG.from, key), `dl_src=${mac}`]
  const unspecified = [...from, 'icmp6', 'ipv6_src=::']
  return [
    rule(
      TABLE.sourceGuard,
      100,
      [...from, 'udp', 'nw_src=0.0.0.0', 'nw_dst=255.255.255.255', 'tp_src=68', 'tp_dst=67'],
      [jump(TABLE.localLookup)],
    ),
    rule(
      TABLE.sourceGuard,
      100,
      [...from, 'arp', 'arp_op=1', `arp_sha=${mac}`, 'arp_spa=0.0.0.0'],
      [jump(TABLE.arpAnswer)],
    ),
    ...[133, 135, 143].map((type) =>
      rule(TABLE.sourceGuard, 100, [...unspecified, `icmp_type=${type}`], [jump(TABLE.neighborGuard)]),
    ),
    // A solicitation names its sender's MAC, or (duplicate detection, some unicast probes) nobody's.
    ...[mac, '00:00:00:00:00:00'].map((sll) =>
      rule(
        TABLE.neighborGuard,
        100,
        [...from, 'icmp6', 'icmp_type=135', 'icmp_code=0', `nd_sll=${sll}`],
        [jump(TABLE.localLookup)],
      ),
    ),
  ]
}

/** What a MAC may send as one of its addresses. */
function guardSender({ mac, prefix }: Sender, key: number): Rule[] {
  const from = [is(REG.from, key), `dl_src=${mac}`]
  if (prefix.version === 4)
    return [
      rule(
        TABLE.sourceGuard,
        90,
        [...from, 'arp', `arp_sha=${mac}`, ...prefixMatch('arp_spa', prefix)],
        [jump(TABLE.arpAnswer)],
      ),
      rule(TABLE.sourceGuard, 90, [...from, 'ip', ...prefixMatch('nw_src', prefix)], [jump(TABLE.egressTrack)]),
    ]
  return [
    rule(TABLE.sourceGuard, 90, [...from, 'ipv6', ...prefixMatch('ipv6_src', prefix)], [jump(TABLE.neighborGuard)]),
    ...[mac, '00:00:00:00:00:00'].map((tll) =>
      rule(
        TABLE.neighborGuard,
        100,
        [...from, 'icmp6', 'icmp_type=136', 'icmp_code=0', ...prefixMatch('nd_target', prefix), `nd_tll=${tll}`],
        [jump(TABLE.localLookup)],
      ),
    ),
  ]
}

/** Asks each group in turn: first its rules without a remote group, then once for each remote group it names. */
function judgedBy(groups: readonly [string, GroupShape][], key: number, view: View): Rule[] {
  const ask = (remotesOf: (shape: GroupShape) => readonly string[], rules: number, members: number): string[] =>
    groups.flatMap(([id, shape]) => [
      set(REG.group, view.number('group', id)),
      set(REG.remoteGroup, 0),
      jump(rules),
      ...remotesOf(shape).flatMap((remote) => [set(REG.remoteGroup, view.number('group', remote)), jump(members)]),
    ])
  const out = ask((shape) => shape.egressRemotes, TABLE.egressRules, TABLE.egressMembers)
  const into = ask((shape) => shape.ingressRemotes, TABLE.ingressRules, TABLE.ingressMembers)
  return [
    rule(TABLE.egressGroups, 10, [is(REG.from, key)], [...out, jump(TABLE.egressVerdict)]),
    rule(TABLE.ingressGroups, 10, [is(REG.to, key)], [...into, jump(TABLE.ingressVerdict)]),
  ]
}
