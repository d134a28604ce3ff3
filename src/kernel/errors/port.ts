/** Errors of ports and their addresses. */
import { define } from './spec.ts'

export const portErrors = define({
  PortNotFound: {
    status: 404,
    message: 'Port %(port_id)s could not be found.',
    when: 'The port is not there, or not for this caller.',
  },
  PortInUse: {
    status: 409,
    message:
      'Unable to complete operation on port %(port_id)s for network %(net_id)s. Port already has an attached device %(device_id)s.',
    when: 'Another device has the port.',
  },
  PortBound: {
    status: 409,
    message:
      'Unable to complete operation on port %(port_id)s, port is already bound, port type: %(vif_type)s, old_mac %(old_mac)s, new_mac %(new_mac)s.',
    when: 'The MAC of a port that a compute host uses shall change.',
  },
  MacAddressInUse: {
    status: 409,
    message: 'Unable to complete operation for network %(net_id)s. The mac address %(mac)s is in use.',
    when: 'Another port of the network has this MAC.',
  },
  IpAddressAlreadyAllocated: {
    status: 409,
    message: 'IP address %(ip)s already allocated in subnet %(subnet_id)s',
    when: 'Another port has the address that was asked for.',
  },
  IpAddressGenerationFailure: {
    status: 409,
    message: 'No more IP addresses available on network %(net_id)s.',
    when: 'Every address of the subnets in question is taken.',
  },
  InvalidIpForNetwork: {
    status: 400,
    message: 'IP address %(ip_address)s is not a valid IP for any of the subnets on the specified network.',
    when: 'No subnet of the network has the address.',
  },
  InvalidIpForSubnet: {
    status: 400,
    message: 'IP address %(ip_address)s is not a valid IP for the specified subnet.',
    when: 'The address is not one of the subnet’s hosts.',
  },
  AllocationOnAutoAddressSubnet: {
    status: 400,
    message:
      'IPv6 address %(ip)s cannot be directly assigned to a port on subnet %(subnet_id)s as the subnet is configured for automatic addresses',
    when: 'Addresses of this subnet follow from MACs and cannot be chosen.',
  },
  AddressPairAndPortSecurityRequired: {
    status: 409,
    message: 'Port Security must be enabled in order to have allowed address pairs on a port.',
    when: 'Address pairs on a port without port security.',
  },
  PortSecurityPortHasSecurityGroup: {
    status: 409,
    message:
      'Port has security group associated. Cannot disable port security or IP address until security group is removed.',
    when: 'Port security shall end while the port is in groups.',
  },
  PortSecurityAndIPRequiredForSecurityGroups: {
    status: 400,
    message: 'Port security must be enabled and port must have an IP address in order to use security groups.',
    when: 'Groups are asked for on a port without port security.',
  },
  AllowedAddressPairsMissingIP: {
    status: 400,
    message: 'AllowedAddressPair must contain ip_address',
    when: 'An address pair without an address.',
  },
  DuplicateAddressPairInRequest: {
    status: 400,
    message: 'Request contains duplicate address pair: mac_address %(mac_address)s ip_address %(ip_address)s.',
    when: 'The same address pair twice.',
  },
  AllowedAddressPairExhausted: {
    status: 400,
    message: 'The number of allowed address pair exceeds the maximum %(quota)s.',
    when: 'More address pairs than the setting `max_allowed_address_pair`.',
  },
  DeviceIDNotOwnedByTenant: {
    status: 409,
    message: "The following device_id %(device_id)s is not owned by your project or matches another project's router.",
    when: 'The device belongs to another project.',
  },
})
