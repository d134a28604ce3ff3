/** Errors of subnet pools and address scopes. */
import { define } from './spec.ts'

export const subnetPoolErrors = define({
  SubnetPoolNotFound: {
    status: 404,
    message: 'Subnet pool %(subnetpool_id)s could not be found.',
    when: 'The subnet pool is not there, or not for this caller.',
  },
  EmptySubnetPoolPrefixList: {
    status: 400,
    message: 'Empty subnet pool prefix list.',
    when: 'A subnet pool without prefixes.',
  },
  PrefixVersionMismatch: {
    status: 400,
    message: 'Cannot mix IPv4 and IPv6 prefixes in a subnet pool.',
    when: 'The prefixes of a pool are of both versions.',
  },
  IllegalSubnetPoolPrefixBounds: {
    status: 400,
    message: 'Illegal prefix bounds: %(prefix_type)s=%(prefixlen)s, %(base_prefix_type)s=%(base_prefixlen)s.',
    when: 'Shortest, default and longest prefix length are not in this order, or longer than an address.',
  },
  IllegalSubnetPoolPrefixUpdate: {
    status: 400,
    message: 'Illegal update to prefixes: %(msg)s.',
    when: 'Prefixes shall go that the pool must keep.',
  },
  IllegalSubnetPoolUpdate: {
    status: 400,
    message: 'Illegal subnetpool update : %(reason)s.',
    when: 'The pool is in an address scope of another project, or an onboarded subnet is in the way of another.',
  },
  SubnetPoolDeleteError: {
    status: 400,
    message: 'Unable to delete subnet pool: %(reason)s.',
    when: 'Subnets still have prefixes of the pool.',
  },
  SubnetAllocationError: {
    status: 409,
    message: 'Failed to allocate subnet: %(reason)s.',
    when: 'The pool has no free block of this size, or not the one asked for.',
  },
  MinPrefixSubnetAllocationError: {
    status: 400,
    message: 'Unable to allocate subnet with prefix length %(prefixlen)s, minimum allowed prefix is %(min_prefixlen)s.',
    when: 'A larger subnet than the pool gives.',
  },
  MaxPrefixSubnetAllocationError: {
    status: 400,
    message: 'Unable to allocate subnet with prefix length %(prefixlen)s, maximum allowed prefix is %(max_prefixlen)s.',
    when: 'A smaller subnet than the pool gives.',
  },
  SubnetPoolQuotaExceeded: {
    status: 409,
    message: 'Per-tenant subnet pool prefix quota exceeded.',
    when: 'The project would have more of the pool than its `default_quota`, counted in IPv4 addresses or IPv6 /64s.',
  },
  NetworkSubnetPoolAffinityError: {
    status: 400,
    message: 'Subnets hosted on the same network must be allocated from the same subnet pool.',
    when: 'Subnets of one network and IP version come from different pools that are in no scope.',
  },
  AddressScopeNotFound: {
    status: 404,
    message: 'Address scope %(address_scope_id)s could not be found.',
    when: 'The address scope is not there, or not for this caller.',
  },
  AddressScopeInUse: {
    status: 409,
    message:
      'Unable to complete operation on address scope %(address_scope_id)s. There are one or more subnet pools in use on the address scope.',
    when: 'Subnet pools are in the scope.',
  },
  AddressScopeUpdateError: {
    status: 400,
    message: 'Unable to update address scope %(address_scope_id)s : %(reason)s.',
    when: 'A shared scope shall no longer be shared.',
  },
  AddressScopePrefixConflict: {
    status: 409,
    message: 'Failed to associate address scope: subnetpools within an address scope must have unique prefixes.',
    when: 'Two pools of a scope would have addresses in common.',
  },
  IllegalSubnetPoolIpVersionAssociationToAddressScope: {
    status: 400,
    message:
      'Illegal subnetpool association: subnetpool %(subnetpool_id)s cannot associate with address scope %(address_scope_id)s because subnetpool ip_version is not %(ip_version)s.',
    when: 'Pool and scope are of different IP versions.',
  },
  NetworkAddressScopeAffinityError: {
    status: 400,
    message:
      'Subnets of the same address family hosted on the same network must all participate in the same address scope.',
    when: 'Subnets of one network and IP version would be in different scopes.',
  },
})
