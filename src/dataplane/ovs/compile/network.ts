/** A network on this host: what comes in from its segment, its DHCP server, its flood lists, the way out. */
import type { NetworkObject, SegmentObject } from '#wire/objects.ts'
import { is, jump, ORIGIN, REG, type Rule, rule, set, TABLE, UNTAGGED } from '../pipeline.ts'
import type { View } from '../view.ts'
import { parseIp } from '#kernel/ip.ts'
import { arpAnswer } from './arp.ts'

/** List entries a flow holds at most; longer lists are chained. A flow message is limited to 64 KiB. */
const CHUNK = 256

const TUNNELS = ['vxlan', 'geneve', 'gre'] as const

/** How the network leaves this host. */
export type Carrier =
  | { readonly kind: 'tunnel'; readonly ofport: number; readonly vni: number }
  | { readonly kind: 'provider'; readonly ofport: number; readonly vlan: number | null }
  | { readonly kind: 'none' }

/** The first segment this host can reach; null, when there is none, means the network is dead here. */
export function carrierOf({ segments }: NetworkObject, view: View): Carrier | null {
  for (const segment of segments) {
    const carrier = carrierOfSegment(segment, view)
    if (carrier) return carrier
  }
  return null
}

function carrierOfSegment({ network_type, physical_network, segmentation_id }: SegmentObject, view: View) {
  if (network_type === 'local') return { kind: 'none' } as const
  if (TUNNELS.some((type) => type === network_type)) {
    const ofport = view.ofport('tunnels', network_type)
    return ofport === undefined ? null : ({ kind: 'tunnel', ofport, vni: segmentation_id ?? 0 } as const)
  }
  const ofport = view.ofport('patches', physical_network ?? '')
  return ofport === undefined ? null : ({ kind: 'provider', ofport, vlan: segmentation_id } as const)
}

export function compileNetwork(id: string, view: View): Rule[] {
  const network = view.object('network', id)
  if (!network?.admin_state_up) return []
  const key = view.number('network', id)
  const carrier = carrierOf(network, view) ?? { kind: 'none' }
  const dhcp = network.dhcp ? view.ofport('dhcp', id) : undefined
  return [
    ...arrive(carrier, key),
    ...(network.dhcp && dhcp !== undefined ? serve(network.dhcp, dhcp, key) : []),
    ...flood(id, key, carrier, dhcp, view),
    ...leave(carrier, key),
  ]
}

/** From the underlay into the network. */
function arrive(carrier: Carrier, key: number): Rule[] {
  const enter = (origin: number): string[] => [set(REG.network, key), set(REG.origin, origin), jump(TABLE.localLookup)]
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

function leave(carrier: Carrier, key: number): Rule[] {
  switch (carrier.kind) {
    case 'none':
      return []
    case 'tunnel':
      return [
        rule(TABLE.encapsulate, 10, [is(REG.network, key)], [set('tun_id', carrier.vni), `output:${carrier.ofport}`]),
      ]
    case 'provider': {
      const tag = carrier.vlan === null ? [] : ['push_vlan:0x8100', `set_field:${4096 + carrier.vlan}->vlan_vid`]
      return [rule(TABLE.encapsulate, 10, [is(REG.network, key)], [...tag, `output:${carrier.ofport}`])]
    }
  }
}

/** The DHCP and name server of this host: only the ports here reach it, it reaches only them. */
function serve(dhcp: NonNullable<NetworkObject['dhcp']>, ofport: number, key: number): Rule[] {
  const asked = [is(REG.network, key), is(REG.origin, ORIGIN.vm)]
  const deliver = [`output:${ofport}`]
  const addresses = dhcp.fixed_ips.map(({ ip_address }) => ip_address).filter((ip) => !ip.includes(':'))
  const reach = (match: readonly string[]): Rule =>
    rule(
      TABLE.egressTrack,
      100,
      [is(REG.network, key), ...match, `dl_dst=${dhcp.mac_address}`],
      [jump(TABLE.localLookup)],
    )
  return [
    rule(
      TABLE.admit,
      100,
      [`in_port=${ofport}`],
      [set(REG.network, key), set(REG.origin, ORIGIN.dhcp), jump(TABLE.localLookup)],
    ),
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

/** To everyone: ports here in chunks by port key, so that one port more changes one flow; then the way out. */
function flood(id: string, key: number, carrier: Carrier, dhcp: number | undefined, view: View): Rule[] {
  const ports = chunksOf(view.portsOf(id).map((port) => view.number('port', port)))
  const tunnels = carrier.kind === 'tunnel' ? chassisChunks(id, view) : []
  const match = is(REG.network, key)
  const visit = (table: number, chunk: number): string[] => [set(REG.chunk, chunk), jump(table)]
  const out = carrier.kind === 'provider' ? [jump(TABLE.encapsulate)] : []
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

/** Tunnel addresses of the hosts that have ports of the network. */
function chassisChunks(id: string, view: View): string[][] {
  const addresses = view.hostsOf(id).flatMap((host) => view.object('chassis', host)?.tunnel_ip ?? [])
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
