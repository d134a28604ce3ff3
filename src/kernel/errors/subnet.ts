/** Errors of subnets. */
import { define } from './spec.ts'

export const subnetErrors = define({
  SubnetNotFound: {
    status: 404,
    message: 'Subnet %(subnet_id)s could not be found.',
    when: 'The subnet is not there, or not for this caller.',
  },
  SubnetInUse: {
    status: 409,
    message: 'Unable to complete operation on subnet %(subnet_id)s: %(reason)s',
    when: 'Ports other than the service’s own hold addresses of the subnet; `facts.ports` has them.',
  },
  InvalidCIDR: { status: 400, message: 'Invalid CIDR %(input)s given as IP prefix.', when: 'The prefix is none.' },
  OverlappingAllocationPools: {
    status: 409,
    message: 'Found overlapping allocation pools: %(pool_1)s %(pool_2)s for subnet %(subnet_cidr)s.',
    when: 'Two allocation pools have addresses in common.',
  },
  OutOfBoundsAllocationPool: {
    status: 400,
    message: 'The allocation pool %(pool)s spans beyond the subnet cidr %(subnet_cidr)s.',
    when: 'An allocation pool leaves the subnet.',
  },
  InvalidAllocationPool: {
    status: 400,
    message: 'The allocation pool %(pool)s is not valid.',
    when: 'An allocation pool ends before it begins, or is of the other IP version.',
  },
  GatewayConflictWithAllocationPools: {
    status: 409,
    message: 'Gateway ip %(ip_address)s conflicts with allocation pool %(pool)s.',
    when: 'The gateway lies in an allocation pool.',
  },
  GatewayIpInUse: {
    status: 409,
    message: 'Current gateway ip %(ip_address)s already in use by port %(port_id)s. Unable to update.',
    when: 'A router’s port holds the gateway that shall change.',
  },
  IpAddressGenerationFailureNoMatchingSubnet: {
    status: 409,
    message:
      'No valid service subnet for the given device owner, network %(network_id)s, service type %(service_type)s.',
    when: 'Every subnet of the network is for ports of other owners.',
  },
  HostNotConnectedToAnySegment: {
    status: 409,
    message:
      "Host %(host)s is not connected to any segments on routed provider network '%(network_id)s'.  It should be connected to one.",
    when: 'A port on this host could not reach any subnet of its network.',
  },
  HostNotCompatibleWithFixedIps: {
    status: 409,
    message:
      'Host %(host)s is not connected to a segment where the existing fixed_ips on port %(port_id)s will function given the routed network topology.',
    when: 'A port with addresses of one segment shall move to a host that reaches another.',
  },
  FixedIpsSubnetsNotOnSameSegment: {
    status: 400,
    message: 'Cannot allocate addresses from different segments.',
    when: 'Addresses of several segments are asked for; a host is on one.',
  },
  InvalidSubnetServiceType: {
    status: 400,
    message: 'Subnet service type %(service_type)s does not correspond to a valid device owner.',
    when: 'A service type that owners of ports cannot be.',
  },
  DNSNameServersExhausted: {
    status: 400,
    message:
      'Unable to complete operation for %(subnet_id)s. The number of DNS nameservers exceeds the limit %(quota)s.',
    when: 'More name servers than the setting `max_dns_nameservers`.',
  },
  HostRoutesExhausted: {
    status: 400,
    message: 'Unable to complete operation for %(subnet_id)s. The number of host routes exceeds the limit %(quota)s.',
    when: 'More routes than the setting `max_subnet_host_routes`.',
  },
})
