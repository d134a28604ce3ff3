/** What BGP speakers are tied to, and what they advertise: inner tables and a view. */
import {
  type Attributes,
  address,
  defineResource,
  type ExtensionPart,
  type Options,
  type Resource,
  text,
  timestamp,
  uuid,
  whole,
} from '#model/define.ts'

/** Four bytes (RFC 6793). */
export const asNumber = (options: Options<number>) =>
  whole({ ...options, min: 1, max: 4_294_967_295, filter: true, sort: true })

export const written = {
  revision_number: whole({ visible: false, max: Number.MAX_SAFE_INTEGER }),
  created_at: timestamp({ column: 'created_at', visible: false }),
  updated_at: timestamp({ column: 'updated_at', visible: false }),
} as const

/** A change of it is a change of the speaker. */
const tie = (name: string, docs: string, attributes: Attributes, constraints: readonly string[]): Resource =>
  defineResource({
    name,
    plural: `${name}s`,
    table: `${name}s`,
    docs,
    notFound: { type: 'BgpSpeakerNotFound', param: 'id' },
    operations: [],
    references: { bgp_speaker_id: { resource: 'bgp_speaker' } },
    bumps: ['bgp_speaker_id'],
    conflicts: Object.fromEntries(constraints.map((one) => [`${name}s_${one}`, 'again' as const])),
    attributes: { id: uuid(), bgp_speaker_id: uuid(), ...attributes, ...written },
  }) as unknown as Resource

export const speakerPeer = tie(
  'bgp_speaker_peer',
  'A peer that a BGP speaker speaks with.',
  { bgp_peer_id: uuid(), peer_ip: address() },
  ['bgp_speaker_id_bgp_peer_id_key', 'bgp_speaker_id_peer_ip_key', 'bgp_peer_id_fkey', 'bgp_speaker_id_fkey'],
)

export const speakerNetwork = tie(
  'bgp_speaker_network',
  'An external network that a BGP speaker speaks for.',
  { network_id: uuid() },
  ['bgp_speaker_id_network_id_key', 'network_id_fkey', 'bgp_speaker_id_fkey'],
)

export const speakerAgent = tie('bgp_speaker_agent', 'An agent that has a BGP speaker.', { agent_id: uuid() }, [
  'agent_id_key',
  'agent_id_fkey',
  'bgp_speaker_id_fkey',
])

/** Ends what ties an object that goes to speakers. */
export const untied =
  (attribute: string, ...ties: readonly Resource[]): NonNullable<ExtensionPart['inTx']> =>
  async (context, { op, before }) => {
    if (op !== 'delete' || !before) return undefined
    for (const one of ties)
      for (const { id } of await context.find(one.name, { [attribute]: String(before['id']) }))
        await context.remove(one, String(id))
    return undefined
  }

export const bgpRoute = defineResource({
  name: 'bgp_route',
  plural: 'bgp_routes',
  table: 'bgp_routes',
  docs: 'A route that a BGP speaker advertises.',
  notFound: { type: 'BgpSpeakerNotFound', param: 'id' },
  operations: [],
  attributes: { id: uuid(), bgp_speaker_id: uuid(), destination: text(), next_hop: text() },
}) as unknown as Resource
