/** BGP speakers, their peers and their agents. */
import { defineExtension, type Extension, type ExtensionPart } from '#model/define.ts'
import { bgpAgents } from './agents.ts'
import { candidate, route, speakerAgent, speakerNetwork, speakerPeer, untie } from './bindings.ts'
import { peer } from './peer.ts'
import { speaker } from './speaker.ts'

const advertisedNetworks: ExtensionPart = {
  async inTx(context, { op, before }) {
    if (op === 'delete') await untie(context, speakerNetwork, { network_id: String(before?.['id']) })
    return undefined
  },
}

export const bgp: readonly Extension[] = Object.freeze([
  defineExtension({
    alias: 'bgp',
    name: 'Neutron BGP Dynamic Routing Extension',
    description: 'Advertises the ways to floating IPs and to subnets by BGP.',
    updated: '2016-05-10T15:37:00-00:00',
    requires: ['router', 'address-scope', 'bgp_dragent_scheduler'],
    resources: [speaker, peer, speakerPeer, speakerNetwork, route],
    on: { network: advertisedNetworks },
  }),
  defineExtension({
    alias: 'bgp_4byte_asn',
    name: 'BGP 4-byte AS numbers',
    description: 'Autonomous systems have numbers of four octets.',
    updated: '2017-09-07T00:00:00-00:00',
    requires: ['bgp'],
  }),
  defineExtension({
    alias: 'bgp_dragent_scheduler',
    name: 'BGP Dynamic Routing Agent Scheduler',
    description: 'Which agents have BGP speakers.',
    updated: '2015-07-30T10:00:00-00:00',
    requires: ['agent'],
    resources: [speakerAgent, candidate],
    on: { agent: bgpAgents },
  }),
])
