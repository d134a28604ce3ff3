/** A port on another host: which host its MAC is behind, and the answer to who asks for its addresses. */
import { is, jump, REG, type Rule, rule, TABLE } from '../pipeline.ts'
import type { View } from '../view.ts'
import { arpAnswer } from './arp.ts'
import { setTunnelTarget } from './network.ts'

/** Nothing for what lives here: while a port moves, the port object is the newer truth. */
export function compileNeighbor(id: string, view: View): Rule[] {
  const neighbor = view.object('neighbor', id)
  if (!neighbor || neighbor.host === view.self || view.object('port', id)?.active) return []
  const network = view.number('network', neighbor.network_id)
  const target = view.object('chassis', neighbor.host)?.tunnel_ip
  const addresses = neighbor.ip_addresses.filter((ip) => !ip.includes(':') && !ip.includes('/'))
  return [
    rule(
      TABLE.remoteLookup,
      10,
      [is(REG.network, network), `dl_dst=${neighbor.mac_address}`],
      [...(target ? [setTunnelTarget(target)] : []), jump(TABLE.encapsulate)],
    ),
    ...addresses.map((ip) => arpAnswer(network, ip, neighbor.mac_address)),
  ]
}
