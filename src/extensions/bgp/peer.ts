/** A BGP peer: a router outside that speakers have sessions with. */
import { ApiError } from '#kernel/errors.ts'
import {
  address,
  defineResource,
  oneOf,
  optional,
  type Resource,
  type Row,
  text,
  uuid,
  whole,
  type Write,
} from '#model/define.ts'
import { speakerPeer, untie } from './bindings.ts'

/** RFC 6793: four octets; 0 is reserved (RFC 7607). */
export const asNumber = { set: 'create', required: true, min: 1, max: 4_294_967_295, filter: true, sort: true } as const

const attributes = {
  id: uuid({ filter: true, sort: true }),
  project_id: text({ set: 'create', filter: true, sort: true }),
  name: text({ set: 'always', default: '', filter: true, sort: true }),
  peer_ip: address({ set: 'create', required: true, filter: true, sort: true }),
  remote_as: whole(asNumber),
  auth_type: oneOf(['none', 'md5'], { set: 'create', required: true, filter: true, sort: true }),
  password: optional(text({ set: 'always', visible: false, secret: true })),
  revision_number: whole({ visible: false, max: Number.MAX_SAFE_INTEGER }),
} as const
type Peer = Row<typeof attributes>

export const peer: Resource = defineResource({
  name: 'bgp_peer',
  plural: 'bgp_peers',
  table: 'bgp_peers',
  docs: 'A router outside that BGP speakers have sessions with.',
  notFound: { type: 'BgpPeerNotFound', param: 'id' },
  attributes,
  check: checkPassword,
  inTx: async (context, { op, before }) => {
    if (op === 'delete') await untie(context, speakerPeer, { bgp_peer_id: String(before?.id) })
    return undefined
  },
}) as unknown as Resource

function checkPassword({ op, before, after, given }: Write<Peer>): ApiError[] {
  if (op === 'create' && after?.auth_type === 'md5' && !after.password)
    return [new ApiError('InvalidBgpPeerMd5Authentication')]
  const useless = op === 'update' && given.has('password') && after?.password !== null && before?.auth_type === 'none'
  return useless ? [new ApiError('BgpPeerNotAuthenticated', { bgp_peer_id: before.id })] : []
}
