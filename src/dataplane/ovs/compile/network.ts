/** A network on this host, each of its domains: what comes in from the segment, its DHCP server, its flood lists, the way out. */
import type { NetworkObject } from '#wire/objects.ts'
import { is, jump, ORIGIN, REG, type Rule, rule, set, TABLE, UNTAGGED } from '../pipeline.ts'
import type { View } from '../view.ts'
import { parseIp } from '#kernel/ip.ts'
import { arpAnswer } from './arp.ts'
import { type Carrier, type Domain, domainsOf, isIn } from './domain.ts'

/** List entries a flow holds at most; longer lists are chained. A flow message is limited to 64 KiB. */
const CHUNK = 256

export function compileNetwork(id: string, view: View): Rule[] {
  const network = view.object('network', id)
  if (!network?.admin_state_up) return []
  const dhcp = network.dhcp ? view.ofport('dhcp', id) : undefined
  const domains = domainsOf(id, view)
  return [
    ...domains.flatMap((domain) => [
      ...arrive(domain),
      ...(network.dhcp && dhcp !== undefined ? serve(network.dhcp, dhcp, domain.key) : []),
      ...flood(id, domain, dhcp, view),
      ...leave(domain),
    ]),
    ...(dhcp === undefined ? [] : [answer(dhcp, domains)]),
  ]
}

const NOWHERE: Carrier = { kind: 'none' }

/** From the underlay into the domain. */
function arrive({ key, carrier: reached }: Domain): Rule[] {
  const carrier = reached ?? NOWHERE
  const enter = (origin: number): string[] => [set(REG.domain, key), set(REG.origin, origin), jump(TABLE.localLookup)]
  switch (carrier.kind) {
    case 'none':
      return []
    case 'tunnel':
      return [rule(TABLE.admit, 90, [`in_port=${carrier.ofport}`, is('tun_id', carrier.vni)], enter(ORIGIN.tunnel))]
    case 'provider':
      return carrier.vlan === null
        ? [rule(TABLE.admit, 80, [`in_port=${carrier.ofport}`, UNTAGGED], enter(ORIGIN.provider))]
        : [
            rule(
              TABLE.admit,
              90,
              [`in_port=${carrier.ofport}`, `dl_vlan=${carrier.vlan}`],
              ['strip_vlan', ...enter(ORIGIN.provider)],
            ),
          ]
  }
}

function leave({ key, carrier: reached }: Domain): Rule[] {
  const carrier = reached ?? NOWHERE
  switch (carrier.kind) {
    case 'none':
      return []
    case 'tunnel':
      return [
        rule(TABLE.encapsulate, 10, [is(REG.domain, key)], [set('tun_id', carrier.vni), `output:${carrier.ofport}`]),
      ]
    case 'provider': {
      const tag = carrier.vlan === null ? [] : ['push_vlan:0x8100', `set_field:${4096 + carrier.vlan}->vlan_vid`]
      return [rule(TABLE.encapsulate, 10, [is(REG.domain, key)], [...tag, `output:${carrier.ofport}`])]
    }
  }
}

/** The DHCP and name server of this host: only the ports here reach it, it reaches only them. */
function serve(dhcp: NonNullable<NetworkObject['dhcp']>, ofport: number, key: number): Rule[] {
  const asked = [is(REG.domain, key), is(REG.origin, ORIGIN.vm)]
  const deliver = [`output:${ofport}`]
  const addresses = dhcp.fixed_ips.map(({ ip_address }) => ip_address).filter((ip) => !ip.includes(':'))
  const reach = (match: readonly string[]): Rule =>
    rule(
      TABLE.egressTrack,
      100,
      [is(REG.domain, key), ...match, `dl_dst=${dhcp.mac_address}`],
      [jump(TABLE.localLookup)],
    )
  return [
    rule(TABLE.localLookup, 30, [...asked, 'udp', 'dl_dst=ff:ff:ff:ff:ff:ff', 'tp_src=68', 'tp_dst=67'], deliver),
    rule(TABLE.localLookup, 30, [...asked, 'udp6', 'ipv6_dst=ff02::1:2', 'tp_src=546', 'tp_dst=547'], deliver),
    rule(TABLE.localLookup, 20, [...asked, `dl_dst=${dhcp.mac_address}`], deliver),
    // It is a part of the network, not a peer: its names and its pings need no rule of a group. Its MAC is the match,
    // because it answers on its link-local address, too. The way back is in base.ts.
    ...['udp', 'tcp', 'udp6', 'tcp6'].map((protocol) => reach([protocol, 'tp_dst=53'])),
    ...['icmp', 'icmp6'].map((protocol) => reach([protocol])),
    ...addresses.map((ip) => arpAnswer(key, ip, dhcp.mac_address)),
  ]
}

/** What it says concerns whom it is for, whichever domain that is in. */
const answer = (ofport: number, domains: readonly Domain[]): Rule =>
  rule(
    TABLE.admit,
    100,
    [`in_port=${ofport}`],
    domains.flatMap(({ key }) => [set(REG.domain, key), set(REG.origin, ORIGIN.dhcp), jump(TABLE.localLookup)]),
  )

/** To everyone: ports here in chunks by port key, so that one port more changes one flow; then the way out. */
function flood(id: string, domain: Domain, dhcp: number | undefined, view: View): Rule[] {
  const { key, bottoms, carrier } = domain
  const here = bottoms.flatMap((bottom) => view.portsOf(id, bottom))
  const ports = chunksOf(here.map((port) => view.number('port', port)))
  const tunnels = carrier?.kind === 'tunnel' ? chassisChunks(id, domain, view) : []
  const match = is(REG.domain, key)
  const visit = (table: number, chunk: number): string[] => [set(REG.chunk, chunk), jump(table)]
  const out = carrier?.kind === 'provider' ? [jump(TABLE.encapsulate)] : []
  return [
    rule(
      TABLE.flood,
      10,
      [match],
      [
        jump(TABLE.floodLocal),
        ...(dhcp === undefined ? [] : [`output:${dhcp}`]),
        ...tunnels.flatMap((_, chunk) => visit(TABLE.floodHosts, chunk)),
        ...out,
      ],
    ),
    rule(
      TABLE.floodLocal,
      10,
      [match],
      [...ports.keys()].flatMap((chunk) => visit(TABLE.floodPorts, chunk)),
    ),
    ...[...ports].map(([chunk, keys]) =>
      rule(
        TABLE.floodPorts,
        10,
        [match, is(REG.chunk, chunk)],
        keys.flatMap((port) => [set(REG.to, port), jump(TABLE.ingressGuard)]),
      ),
    ),
    ...tunnels.map((addresses, chunk) =>
      rule(
        TABLE.floodHosts,
        10,
        [match, is(REG.chunk, chunk)],
        addresses.flatMap((address) => [setTunnelTarget(address), jump(TABLE.encapsulate)]),
      ),
    ),
  ]
}

/** Tunnel addresses of the hosts that have ports of the domain. */
function chassisChunks(id: string, domain: Domain, view: View): string[][] {
  const hosts = view.hostsOf(id).filter(({ segment_ids }) => isIn(domain, segment_ids))
  const addresses = hosts.flatMap(({ host }) => view.object('chassis', host)?.tunnel_ip ?? [])
  const distinct = [...new Set(addresses)].sort()
  return Array.from({ length: Math.ceil(distinct.length / CHUNK) }, (_, i) =>
    distinct.slice(i * CHUNK, (i + 1) * CHUNK),
  )
}

/** By the key's high part, ascending: a port never moves to another chunk. */
function chunksOf(keys: readonly number[]): ReadonlyMap<number, number[]> {
  const chunks = new Map<number, number[]>()
  for (const key of [...keys].sort((a, b) => a - b)) {
    const chunk = Math.floor(key / CHUNK)
    chunks.set(chunk, [...(chunks.get(chunk) ?? []), key])
  }
  return chunks
}

/** The outer destination, by the underlay's IP version. */
export const setTunnelTarget = (address: string): string =>
  set(parseIp(address)?.version === 6 ? 'tun_ipv6_dst' : 'tun_dst', address)
