/** Errors of networks. */
import { define } from './spec.ts'

export const networkErrors = define({
  NetworkNotFound: {
    status: 404,
    message: 'Network %(net_id)s could not be found.',
    when: 'The network is not there, or not for this caller.',
  },
  NetworkInUse: {
    status: 409,
    message:
      'Unable to complete operation on network %(net_id)s. There are one or more ports still in use on the network, id for these ports is: %(ports)s.',
    when: 'Ports other than the service’s own are on the network; `facts.ports` has all of them.',
  },
  InvalidSharedSetting: {
    status: 409,
    message: 'Unable to reconfigure sharing settings for network %(network)s. Multiple tenants are using it.',
    when: 'Others use the network that shall no longer be shared.',
  },
  NoNetworkAvailable: {
    status: 503,
    message: 'Unable to create the network. No tenant network is available for allocation.',
    when: 'Every segment id of the types in question is taken.',
  },
  VlanIdInUse: {
    status: 409,
    message: 'Unable to create the network. The VLAN %(vlan_id)s on physical network %(physical_network)s is in use.',
    when: 'Another network has this VLAN.',
  },
  TunnelIdInUse: {
    status: 409,
    message: 'Unable to create the network. The tunnel ID %(tunnel_id)s is in use.',
    when: 'Another network has this tunnel id.',
  },
  FlatNetworkInUse: {
    status: 409,
    message: 'Unable to create the flat network. Physical network %(physical_network)s is in use.',
    when: 'Another network has this physical network untagged.',
  },
  NetworkMTUSubnetConflict: {
    status: 409,
    message: 'MTU of %(mtu)s is too small for subnet %(subnet_id)s, which needs at least 1280 (IPv6).',
    when: 'The MTU is below what IPv6 needs.',
  },
})
