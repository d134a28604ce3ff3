/** BGP peers. A password goes in and never comes out. */
import { ApiError } from '#kernel/errors.ts'
import { address, defineResource, oneOf, optional, type Resource, text } from '#model/define.ts'
import { identity } from '#resources/standard.ts'
import { asNumber, written } from './parts.ts'

export const bgpPeer = defineResource({
  name: 'bgp_peer',
  plural: 'bgp_peers',
  table: 'bgp_peers',
  docs: 'A router outside that speakers speak with.',
  notFound: { type: 'BgpPeerNotFound', param: 'id' },
  attributes: {
    ...identity,
    name: text({ set: 'always', default: '', filter: true, sort: true }),
    peer_ip: address({ set: 'create', required: true, filter: true, sort: true }),
    remote_as: asNumber({ set: 'create', required: true }),
    auth_type: oneOf(['none', 'md5'], { set: 'create', required: true, filter: true, sort: true }),
    password: optional(text({ set: 'always', visible: false, secret: true })),
    ...written,
  },
  check: ({ op, before, after }) => {
    if (op === 'create' && after?.auth_type === 'md5' && !after.password)
      return [new ApiError('InvalidBgpPeerMd5Authentication')]
    if (op === 'update' && before?.auth_type === 'none' && after?.password)
      return [new ApiError('BgpPeerNotAuthenticated', { bgp_peer_id: before.id })]
    return []
  },
}) as unknown as Resource
