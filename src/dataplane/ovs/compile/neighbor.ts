/** A port on another host: which host its MAC is behind, and the answer to who asks for its addresses. */
import { is, jump, REG, type Rule, rule, TABLE } from '../pipeline.ts'
import type { View } from '../view.ts'
import { arpAnswer } from './arp.ts'
import { domainsOf, isIn } from './domain.ts'
import { setTunnelTarget } from './network.ts'

/** Nothing for what lives here: while a port moves, the port object is the newer truth. */
export function compileNeighbor(id: string, view: View): Rule[] {
  const neighbor = view.object('neighbor', id)
  if (!neighbor || neighbor.host === view.self || view.object('port', id)?.active) return []
  const target = view.object('chassis', neighbor.host)?.tunnel_ip
  const addresses = neighbor.ip_addresses.filter((ip) => !ip.includes(':') && !ip.includes('/'))
  return domainsOf(neighbor.network_id, view).flatMap((domain) => {
    const near = isIn(domain, neighbor.segment_ids)
    // A switch outside may join provider segments; whether it does, only an answer from there can tell.
    if (!near && domain.carrier?.kind !== 'provider') return []
    return [
      rule(
        TABLE.remoteLookup,
        10,
        [is(REG.domain, domain.key), `dl_dst=${neighbor.mac_address}`],
        [...(target ? [setTunnelTarget(target)] : []), jump(TABLE.encapsulate)],
      ),
      ...(near ? addresses.map((ip) => arpAnswer(domain.key, ip, neighbor.mac_address)) : []),
    ]
  })
}
