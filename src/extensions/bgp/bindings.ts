/**
 * What speakers are tied to, each tie a row: peers they have sessions with, networks they advertise for, agents that
 * have them. And, as views, the agents that could have those that wait for one, and the routes they advertise.
 */
import { ApiError } from '#kernel/errors.ts'
import {
  address,
  type Attributes,
  type Conflicts,
  type Context,
  defineResource,
  type Resource,
  text,
  uuid,
  whole,
} from '#model/define.ts'

const written = { id: uuid(), revision_number: whole({ max: Number.MAX_SAFE_INTEGER }) } as const
const ofSpeaker = { bgp_speaker_id: uuid() } as const

const inner = (
  name: string,
  docs: string,
  attributes: Attributes,
  rest: Partial<Pick<Resource, 'conflicts' | 'references' | 'bumps'>> = {},
): Resource =>
  defineResource({
    name,
    plural: `${name}s`,
    table: `${name}s`,
    docs,
    notFound: { type: 'BgpSpeakerNotFound', param: 'id' },
    operations: [],
    ...rest,
    attributes,
  }) as Resource

/** A tie that the speaker shows: the speaker's revision rises with it. */
const tie = (name: string, docs: string, attributes: Attributes, conflicts: Conflicts): Resource =>
  inner(
    name,
    docs,
    { ...written, ...ofSpeaker, ...attributes },
    { conflicts, references: { bgp_speaker_id: { resource: 'bgp_speaker' } }, bumps: ['bgp_speaker_id'] },
  )

export const speakerPeer = tie(
  'bgp_speaker_peer',
  'A peer that a BGP speaker has a session with.',
  { bgp_peer_id: uuid(), peer_ip: address() },
  {
    bgp_speaker_peers_one_address: ({ values: [bgp_speaker_id, peer_ip], object: { bgp_peer_id } }) =>
      new ApiError('DuplicateBgpPeerIpException', { bgp_speaker_id, peer_ip, bgp_peer_id }),
    bgp_speaker_peers_bgp_peer_id_fkey: 'again',
    bgp_speaker_peers_bgp_speaker_id_fkey: 'again',
  },
)

export const speakerNetwork = tie(
  'bgp_speaker_network',
  'A network that a BGP speaker advertises for.',
  { network_id: uuid() },
  {
    bgp_speaker_networks_once: ({ values: [bgp_speaker_id, network_id] }) =>
      new ApiError('BgpSpeakerNetworkBindingError', { network_id, bgp_speaker_id }),
    bgp_speaker_networks_network_id_fkey: 'again',
    bgp_speaker_networks_bgp_speaker_id_fkey: 'again',
  },
)

export const speakerAgent = inner(
  'bgp_speaker_agent',
  'An agent that has a BGP speaker.',
  { ...written, ...ofSpeaker, agent_id: uuid() },
  {
    conflicts: {
      bgp_speaker_agents_one_speaker: 'again',
      bgp_speaker_agents_agent_id_fkey: 'again',
      bgp_speaker_agents_bgp_speaker_id_fkey: 'again',
    },
  },
)

export const candidate = inner('bgp_candidate', 'A BGP speaker without an agent, and an agent without a speaker.', {
  id: uuid(),
  ...ofSpeaker,
  agent_id: uuid(),
})
export const route = inner('bgp_route', 'A route that a BGP speaker advertises.', {
  id: uuid(),
  ...ofSpeaker,
  destination: text(),
  next_hop: text(),
})

/** Removes all ties of this kind that one end has. */
export async function untie(context: Context, kind: Resource, where: Readonly<Record<string, string>>): Promise<void> {
  for (const one of await context.find(kind.name, where)) await context.remove(kind, String(one['id']))
}
