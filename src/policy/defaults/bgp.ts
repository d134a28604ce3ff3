/** Who may run BGP speakers and peers: administrators, with tokens of any scope (as in neutron-dynamic-routing). */
import { ADMIN, crud, OWN, type Operation, post, put, type RuleDefault, read, remove } from './rule.ts'

const speakers = crud('/bgp-speakers')
const peers = crud('/bgp-peers')
const speaker = '/bgp-speakers/{id}'
const instances = '/agents/{agent_id}/bgp-drinstances'

const RULES: readonly (readonly [name: string, operations: readonly Operation[], description: string])[] = [
  ['create_bgp_speaker', speakers.create, 'Create a BGP speaker.'],
  ['get_bgp_speaker', speakers.get, 'See a BGP speaker.'],
  ['update_bgp_speaker', speakers.update, 'Change a BGP speaker.'],
  ['delete_bgp_speaker', speakers.remove, 'Delete a BGP speaker.'],
  ['add_bgp_peer', put(`${speaker}/add_bgp_peer`), 'Add a peer to a BGP speaker.'],
  ['remove_bgp_peer', put(`${speaker}/remove_bgp_peer`), 'Remove a peer from a BGP speaker.'],
  ['add_gateway_network', put(`${speaker}/add_gateway_network`), 'Let a BGP speaker advertise for a network.'],
  ['remove_gateway_network', put(`${speaker}/remove_gateway_network`), 'Stop a BGP speaker advertising for a network.'],
  ['get_advertised_routes', read(`${speaker}/get_advertised_routes`), 'See the routes a BGP speaker advertises.'],
  ['create_bgp_peer', peers.create, 'Create a BGP peer.'],
  ['get_bgp_peer', peers.get, 'See a BGP peer.'],
  ['update_bgp_peer', peers.update, 'Change a BGP peer.'],
  ['delete_bgp_peer', peers.remove, 'Delete a BGP peer.'],
  ['add_bgp_speaker_to_dragent', post(instances), 'Give a BGP speaker to an agent.'],
  ['remove_bgp_speaker_from_dragent', remove(`${instances}/{bgp_speaker_id}`), 'Take a BGP speaker from an agent.'],
  ['list_bgp_speaker_on_dragent', read(instances), 'See the BGP speakers of an agent.'],
  [
    'list_dragent_hosting_bgp_speaker',
    read('/bgp-speakers/{bgp_speaker_id}/bgp-dragents'),
    'See the agents of a BGP speaker.',
  ],
]

export const bgp: readonly RuleDefault[] = RULES.map(([name, operations, description]) => ({
  name,
  check: ADMIN,
  ...(name.startsWith('get_bgp_') ? { within: OWN } : {}),
  description,
  operations,
}))
