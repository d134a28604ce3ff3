/** Dynamic routing: speakers, peers, and what is advertised. The API's part; no agent of ours speaks BGP yet. */
import { defineExtension, type Extension } from '#model/define.ts'
import { drInstanceActions } from './agents.ts'
import { bgpRoute, speakerAgent, speakerNetwork, speakerPeer } from './parts.ts'
import { bgpPeer } from './peer.ts'
import { bgpSpeaker } from './speaker.ts'

export const bgp: readonly Extension[] = Object.freeze([
  defineExtension({
    alias: 'bgp',
    name: 'Neutron BGP Dynamic Routing Extension',
    description: 'Floating IPs and tenants’ subnets advertised to routers outside.',
    updated: '2016-05-10T15:37:00-00:00',
    requires: ['router', 'address-scope'],
    resources: [bgpSpeaker, bgpPeer, speakerPeer, speakerNetwork, bgpRoute],
  }),
  defineExtension({
    alias: 'bgp_4byte_asn',
    name: 'BGP 4-byte AS numbers',
    description: 'Numbers of autonomous systems have four bytes.',
    updated: '2017-09-07T00:00:00-00:00',
    requires: ['bgp'],
  }),
  defineExtension({
    alias: 'bgp_dragent_scheduler',
    name: 'BGP Dynamic Routing Agent Scheduler',
    description: 'Which agents have a BGP speaker.',
    updated: '2015-07-30T10:00:00-00:00',
    requires: ['bgp', 'agent'],
    on: { agent: { actions: drInstanceActions } },
    resources: [speakerAgent],
  }),
])
