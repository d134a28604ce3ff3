/** Answers to ARP requests for addresses whose MAC is known, given where the question is asked. */
import { is, REG, type Rule, rule, set, TABLE } from '../pipeline.ts'

/** Turns the request around into the reply (RFC 826) and sends it back through the port it came from. */
export const arpAnswer = (domain: number, ip: string, mac: string): Rule =>
  rule(
    TABLE.arpAnswer,
    10,
    [is(REG.domain, domain), 'arp', 'arp_op=1', `arp_tpa=${ip}`],
    [
      'move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[]',
      set('eth_src', mac),
      set('arp_op', '2'),
      'move:NXM_NX_ARP_SHA[]->NXM_NX_ARP_THA[]',
      'move:NXM_OF_ARP_SPA[]->NXM_OF_ARP_TPA[]',
      set('arp_sha', mac),
      set('arp_spa', ip),
      'in_port',
    ],
  )
