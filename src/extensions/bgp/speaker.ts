/** BGP speakers: with which peers they speak, for which networks, and what they say. */
import { ApiError } from '#kernel/errors.ts'
import { isUuid } from '#kernel/ids.ts'
import {
  type Action,
  type Call,
  type Context,
  defineResource,
  flag,
  list,
  parseUuid,
  type Resource,
  text,
  whole,
} from '#model/define.ts'
import { identity } from '#resources/standard.ts'
import { agentActions } from './agents.ts'
import { asNumber, speakerNetwork, speakerPeer, written } from './parts.ts'

/** Ids that the rows of `table` tie to the speaker. */
const tied = (table: string, column: string) =>
  list(
    { schema: { type: 'string', format: 'uuid' }, parse: parseUuid },
    {
      policy: true,
      sql: `(select coalesce(json_agg(b.${column} order by b.created_at, b.${column}), '[]') from ${table} b where b.bgp_speaker_id = t.id)`,
    },
  )

/** The id that an action's body must have. */
function idIn({ body }: Call, name: string): string {
  const given = body[name]
  if (typeof given !== 'string')
    throw new ApiError('BadRequest', { resource: 'bgp-speaker', msg: `${name} must be specified` })
  if (!isUuid(given))
    throw new ApiError('BadRequest', { resource: 'bgp-speaker', msg: `'${given}' is not a valid UUID` })
  return given
}

const action = (
  name: string,
  parameter: 'bgp_peer_id' | 'network_id',
  docs: string,
  change: (context: Context, speaker: string, id: string) => Promise<void>,
): Action => ({
  name,
  method: 'PUT',
  path: name,
  rule: name,
  body: { [parameter]: text({ set: 'create' }) },
  docs,
  run: async (context, call) => {
    const id = idIn(call, parameter)
    await change(context, String(call.object['id']), id)
    return { [parameter]: id }
  },
})

async function addPeer(context: Context, bgp_speaker_id: string, bgp_peer_id: string): Promise<void> {
  const peer = await context.load('bgp_peer', bgp_peer_id, 'share')
  if (!peer) throw new ApiError('BgpPeerNotFound', { id: bgp_peer_id })
  const peer_ip = String(peer['peer_ip'])
  const [taken] = await context.find('bgp_speaker_peer', { bgp_speaker_id, peer_ip })
  if (taken) throw new ApiError('DuplicateBgpPeerIpException', { bgp_speaker_id, peer_ip, bgp_peer_id })
  await context.create(speakerPeer, { bgp_speaker_id, bgp_peer_id, peer_ip })
}

async function removePeer(context: Context, bgp_speaker_id: string, bgp_peer_id: string): Promise<void> {
  const [found] = await context.find('bgp_speaker_peer', { bgp_speaker_id, bgp_peer_id })
  if (!found) throw new ApiError('BgpSpeakerPeerNotAssociated', { bgp_speaker_id, bgp_peer_id })
  await context.remove(speakerPeer, String(found['id']))
}

async function addNetwork(context: Context, bgp_speaker_id: string, network_id: string): Promise<void> {
  if ((await context.visible('network', [network_id])).length === 0)
    throw new ApiError('NetworkNotFound', { net_id: network_id })
  const [bound] = await context.find('bgp_speaker_network', { bgp_speaker_id, network_id })
  if (bound) throw new ApiError('BgpSpeakerNetworkBindingError', { bgp_speaker_id, network_id })
  await context.create(speakerNetwork, { bgp_speaker_id, network_id })
}

async function removeNetwork(context: Context, bgp_speaker_id: string, network_id: string): Promise<void> {
  const [found] = await context.find('bgp_speaker_network', { bgp_speaker_id, network_id })
  if (!found) throw new ApiError('BgpSpeakerNetworkNotAssociated', { bgp_speaker_id, network_id })
  await context.remove(speakerNetwork, String(found['id']))
}

const routes: Action = {
  name: 'get_advertised_routes',
  method: 'GET',
  path: 'get_advertised_routes',
  rule: 'get_advertised_routes',
  docs: 'What the speaker advertises: destinations, each with the gateway it is reached by.',
  run: async (context, { object }) => {
    const found = await context.find('bgp_route', { bgp_speaker_id: String(object['id']) })
    return { advertised_routes: found.map(({ destination, next_hop }) => ({ destination, next_hop })) }
  },
}

export const bgpSpeaker = defineResource({
  name: 'bgp_speaker',
  plural: 'bgp_speakers',
  table: 'bgp_speakers',
  docs: 'Advertises floating IPs and tenants’ subnets of its networks to its peers.',
  notFound: { type: 'BgpSpeakerNotFound', param: 'id' },
  attributes: {
    ...identity,
    name: text({ set: 'always', default: '', filter: true, sort: true }),
    local_as: asNumber({ set: 'create', required: true }),
    ip_version: whole({ set: 'create', required: true, of: [4, 6], filter: true, sort: true }),
    advertise_floating_ip_host_routes: flag({ set: 'always', default: true, filter: true, sort: true, policy: true }),
    advertise_tenant_networks: flag({ set: 'always', default: true, filter: true, sort: true, policy: true }),
    peers: tied('bgp_speaker_peers', 'bgp_peer_id'),
    networks: tied('bgp_speaker_networks', 'network_id'),
    ...written,
  },
  actions: [
    action('add_bgp_peer', 'bgp_peer_id', 'Lets the speaker speak with a peer.', addPeer),
    action('remove_bgp_peer', 'bgp_peer_id', 'Ends that.', removePeer),
    action('add_gateway_network', 'network_id', 'Lets the speaker speak for an external network.', addNetwork),
    action('remove_gateway_network', 'network_id', 'Ends that.', removeNetwork),
    routes,
    ...agentActions,
  ],
}) as unknown as Resource
