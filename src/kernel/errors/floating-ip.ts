/** Errors of floating IPs, port forwardings and pools. */
import { define } from './spec.ts'

export const floatingIpErrors = define({
  FloatingIPNotFound: {
    status: 404,
    message: 'Floating IP %(floatingip_id)s could not be found',
    when: 'The floating IP is not there, or not for this caller.',
  },
  FloatingIPPoolNotFound: {
    status: 404,
    message: 'Floating IP pool %(id)s could not be found.',
    when: 'No external network has such a subnet.',
  },
  FloatingIPPortAlreadyAssociated: {
    status: 409,
    message:
      'Cannot associate floating IP %(floating_ip_address)s (%(fip_id)s) with port %(port_id)s using fixed IP %(fixed_ip)s, as that fixed IP already has a floating IP on external network %(net_id)s.',
    when: 'The fixed IP has another floating IP of this network.',
  },
  ExternalGatewayForFloatingIPNotFound: {
    status: 404,
    message:
      'External network %(external_network_id)s is not reachable from subnet %(subnet_id)s.  Therefore, cannot associate Port %(port_id)s with a Floating IP.',
    when: 'No router connects the port’s subnet with the floating IP’s network.',
  },
  ExternalIpAddressExhausted: {
    status: 400,
    message: 'Unable to find any IP address on external network %(net_id)s.',
    when: 'The port of a new floating IP got no IPv4 address.',
  },
})
