/**
 * A BGP speaker: advertises, in its autonomous system's name, the ways to floating IPs and to subnets behind routers,
 * for the external networks it is given.
 */
import { ApiError } from '#kernel/errors.ts'
import {
  type Action,
  type Call,
  type Context,
  defineResource,
  flag,
  list,
  parseUuid,
  type Resource,
  type Row,
  text,
  uuid,
  whole,
} from '#model/define.ts'
import { freeAgents, listAgents, schedule } from './agents.ts'
import { route, speakerNetwork, speakerPeer, untie } from './bindings.ts'
import { asNumber } from './peer.ts'

const ids = (table: string, column: string) =>
  list(
    { schema: { type: 'string', format: 'uuid' }, parse: parseUuid },
    {
      policy: true,
      sql: `(select coalesce(json_agg(b.${column} order by b.id), '[]') from ${table} b where b.bgp_speaker_id = t.id)`,
    },
  )
const advertise = { set: 'always', default: true, policy: true, filter: true, sort: true } as const

const attributes = {
  id: uuid({ filter: true, sort: true }),
  project_id: text({ set: 'create', filter: true, sort: true }),
  name: text({ set: 'always', default: '', filter: true, sort: true }),
  local_as: whole(asNumber),
  ip_version: whole({ set: 'create', required: true, of: [4, 6], filter: true, sort: true }),
  advertise_floating_ip_host_routes: flag(advertise),
  advertise_tenant_networks: flag(advertise),
  peers: ids('bgp_speaker_peers', 'bgp_peer_id'),
  networks: ids('bgp_speaker_networks', 'network_id'),
  revision_number: whole({ visible: false, max: Number.MAX_SAFE_INTEGER }),
} as const
type Speaker = Row<typeof attributes>

/** The id that the body must give under this name. */
function idGiven({ body }: Call, name: string): string {
  const id = body[name]
  if (typeof id === 'string') return id
  throw new ApiError('BadRequest', { resource: 'bgp-speaker', msg: `${name} must be specified` })
}

const bodyOf = (name: string) => ({ [name]: uuid({ set: 'create' }) })

const addPeer: Action = {
  name: 'add_bgp_peer',
  method: 'PUT',
  path: 'add_bgp_peer',
  rule: 'add_bgp_peer',
  body: bodyOf('bgp_peer_id'),
  docs: 'Gives the speaker a peer, at an address where it has none.',
  run: async (context, call) => {
    const bgp_peer_id = idGiven(call, 'bgp_peer_id')
    const [found] = await context.visible('bgp_peer', [bgp_peer_id])
    if (!found) throw new ApiError('BgpPeerNotFound', { id: bgp_peer_id })
    await context.create(speakerPeer, { bgp_speaker_id: call.object['id'], bgp_peer_id, peer_ip: found['peer_ip'] })
    return { bgp_peer_id }
  },
}

const removePeer: Action = {
  name: 'remove_bgp_peer',
  method: 'PUT',
  path: 'remove_bgp_peer',
  rule: 'remove_bgp_peer',
  body: bodyOf('bgp_peer_id'),
  docs: 'Takes a peer from the speaker.',
  run: async (context, call) => {
    const [bgp_speaker_id, bgp_peer_id] = [String(call.object['id']), idGiven(call, 'bgp_peer_id')]
    const [held] = await context.find(speakerPeer.name, { bgp_speaker_id, bgp_peer_id })
    if (!held) throw new ApiError('BgpSpeakerPeerNotAssociated', { bgp_peer_id, bgp_speaker_id })
    await context.remove(speakerPeer, String(held['id']))
    return { bgp_peer_id }
  },
}

const addNetwork: Action = {
  name: 'add_gateway_network',
  method: 'PUT',
  path: 'add_gateway_network',
  rule: 'add_gateway_network',
  body: bodyOf('network_id'),
  docs: 'Lets the speaker advertise for the routers whose gateways are on the network.',
  run: async (context, call) => {
    const network_id = idGiven(call, 'network_id')
    const [found] = await context.visible('network', [network_id])
    if (!found) throw new ApiError('NetworkNotFound', { net_id: network_id })
    await context.create(speakerNetwork, { bgp_speaker_id: call.object['id'], network_id })
    return { network_id }
  },
}

const removeNetwork: Action = {
  name: 'remove_gateway_network',
  method: 'PUT',
  path: 'remove_gateway_network',
  rule: 'remove_gateway_network',
  body: bodyOf('network_id'),
  docs: 'The speaker advertises for the network no more.',
  run: async (context, call) => {
    const [bgp_speaker_id, network_id] = [String(call.object['id']), idGiven(call, 'network_id')]
    const [held] = await context.find(speakerNetwork.name, { bgp_speaker_id, network_id })
    if (!held) throw new ApiError('BgpSpeakerNetworkNotAssociated', { network_id, bgp_speaker_id })
    await context.remove(speakerNetwork, String(held['id']))
    return { network_id }
  },
}

const advertisedRoutes: Action = {
  name: 'get_advertised_routes',
  method: 'GET',
  path: 'get_advertised_routes',
  rule: 'get_advertised_routes',
  docs: 'The routes the speaker advertises: to floating IPs, and to subnets of the networks’ address scopes.',
  run: async (context, { object }) => {
    const routes = await context.find(route.name, { bgp_speaker_id: String(object['id']) })
    return { advertised_routes: routes.map(({ destination, next_hop }) => ({ destination, next_hop })) }
  },
}

export const speaker: Resource = defineResource({
  name: 'bgp_speaker',
  plural: 'bgp_speakers',
  table: 'bgp_speakers',
  docs: 'Advertises the ways to floating IPs and to subnets behind routers, for external networks it is given.',
  notFound: { type: 'BgpSpeakerNotFound', param: 'id' },
  attributes,
  actions: [addPeer, removePeer, addNetwork, removeNetwork, advertisedRoutes, listAgents],
  inTx: async (context, { op, before, after }) => {
    if (op === 'create') context.afterWrite(() => schedule(context, { bgp_speaker_id: String(after?.id) }))
    if (op === 'delete') await release(context, before as Speaker)
    return undefined
  },
}) as unknown as Resource

async function release(context: Context, { id: bgp_speaker_id }: Speaker): Promise<void> {
  for (const kind of [speakerPeer, speakerNetwork]) await untie(context, kind, { bgp_speaker_id })
  await freeAgents(context, bgp_speaker_id)
}
