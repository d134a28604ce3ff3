/**
 * A port that no switch carries and that this host serves on the wire: its requests to the DHCP server of its network
 * here, and the way back. Its MAC alone opens that way: nobody else on the wire reaches the server, or is told no by it.
 */
import type { DhcpClientObject, DhcpPortObject } from '#wire/objects.ts'
import { is, jump, MULTICAST, ORIGIN, REG, type Rule, rule, TABLE } from '../pipeline.ts'
import type { View } from '../view.ts'
import { domainsOf } from './domain.ts'

/** Above all that the network itself says of its server. */
const PRIORITY = 40
const SOLICITATION = 135

export function compileDhcpClient(id: string, view: View): Rule[] {
  const client = view.object('dhcp_client', id)
  const network = client && view.object('network', client.network_id)
  if (!client || !network?.dhcp || !network.admin_state_up) return []
  const { dhcp } = network
  const server = view.ofport('dhcp', network.id)
  if (server === undefined) return []
  const domains = domainsOf(network.id, view).filter(({ segment }) => client.segment_ids.includes(segment?.id ?? ''))
  return domains.flatMap(({ key }) => served(client, dhcp, server, key))
}

function served(client: DhcpClientObject, dhcp: DhcpPortObject, server: number, domain: number): Rule[] {
  const here = is(REG.domain, domain)
  const asks = (match: readonly string[]): Rule =>
    rule(TABLE.localLookup, PRIORITY, [here, `dl_src=${client.mac_address}`, ...match], [`output:${server}`])
  const answers = (match: string, table: number): Rule =>
    rule(TABLE.localLookup, PRIORITY, [here, is(REG.origin, ORIGIN.dhcp), match], [jump(table)])
  return [
    asks(['udp', 'dl_dst=ff:ff:ff:ff:ff:ff', 'tp_src=68', 'tp_dst=67']),
    asks(['udp6', 'ipv6_dst=ff02::1:2', 'tp_src=546', 'tp_dst=547']),
    // Renewals, names, pings: what ports of this host may send it, too.
    asks([`dl_dst=${dhcp.mac_address}`]),
    ...dhcp.fixed_ips.map(({ ip_address: ip }) =>
      asks(
        ip.includes(':')
          ? ['icmp6', `icmp_type=${SOLICITATION}`, 'icmp_code=0', `nd_target=${ip}`]
          : ['arp', 'arp_op=1', `arp_tpa=${ip}`],
      ),
    ),
    answers(`dl_dst=${client.mac_address}`, TABLE.remoteLookup),
    // To clients that have no address yet, and the questions who has one.
    answers(MULTICAST, TABLE.flood),
  ]
}
