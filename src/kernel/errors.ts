/**
 * The catalogue of errors a client can see: OpenStack `type`, HTTP status and message template in one place.
 *
 * Types, statuses and messages follow Neutron's (neutron-lib exceptions, Networking API v2.0 reference), so that
 * clients which match on them keep working; `detail` carries what Neutron leaves out: a machine-readable reason.
 */

interface ErrorSpec {
  readonly status: number
  /** `%(name)s` is replaced by the parameter of that name. */
  readonly message: string
}

const define = <const T extends Record<string, ErrorSpec>>(specs: T): T => Object.freeze(specs)

export const catalogue = define({
  // What the request itself gets wrong
  HTTPBadRequest: { status: 400, message: '%(reason)s' },
  InvalidInput: { status: 400, message: 'Invalid input for operation: %(error_message)s.' },
  MalformedRequestBody: { status: 400, message: 'Malformed request body: %(reason)s.' },
  FilterIDForIPInvalid: { status: 400, message: '%(reason)s' },
  TenantIdProjectIdFilterConflict: {
    status: 400,
    message: 'Both tenant_id and project_id passed as filters.',
  },
  RequestBodyTooLarge: { status: 413, message: 'The request body is larger than %(limit)s bytes.' },
  HTTPNotFound: { status: 404, message: 'The resource could not be found.' },
  HTTPMethodNotAllowed: { status: 405, message: 'The method %(method)s is not allowed for this resource.' },
  HTTPNotImplemented: { status: 501, message: '%(reason)s' },
  BadAsOf: { status: 400, message: "'%(value)s' is not a valid instant for as_of: %(reason)s." },
  RevisionNumberConstraintFailed: {
    status: 412,
    message: 'Constrained to %(expected)s, but current revision is %(current)s',
  },
  IdempotencyKeyReused: {
    status: 422,
    message: "Idempotency-Key '%(key)s' was already used with another request.",
  },
  // Who asks
  Unauthorized: { status: 401, message: 'The request you have made requires authentication.' },
  PolicyNotAuthorized: { status: 403, message: '(rule:%(action)s) is disallowed by policy' },
  AdminRequired: { status: 403, message: 'User does not have admin privileges: %(reason)s.' },
  // Quotas
  OverQuota: { status: 409, message: 'Quota exceeded for resources: %(overs)s.' },
  QuotaMissingTenant: { status: 400, message: 'Tenant-id was missing from quota request.' },
  QuotaResourceUnknown: { status: 400, message: 'Unknown quota resources %(unknown)s.' },
  // Networks
  NetworkNotFound: { status: 404, message: 'Network %(net_id)s could not be found.' },
  NetworkInUse: {
    status: 409,
    message:
      'Unable to complete operation on network %(net_id)s. There are one or more ports still in use on the network, id for these ports is: %(ports)s.',
  },
  InvalidSharedSetting: {
    status: 409,
    message: 'Unable to reconfigure sharing settings for network %(network)s. Multiple tenants are using it.',
  },
  NoNetworkAvailable: {
    status: 503,
    message: 'Unable to create the network. No tenant network is available for allocation.',
  },
  VlanIdInUse: {
    status: 409,
    message: 'Unable to create the network. The VLAN %(vlan_id)s on physical network %(physical_network)s is in use.',
  },
  TunnelIdInUse: { status: 409, message: 'Unable to create the network. The tunnel ID %(tunnel_id)s is in use.' },
  FlatNetworkInUse: {
    status: 409,
    message: 'Unable to create the flat network. Physical network %(physical_network)s is in use.',
  },
  NetworkMTUSubnetConflict: {
    status: 409,
    message: 'MTU of %(mtu)s is too small for subnet %(subnet_id)s, which needs at least 1280 (IPv6).',
  },
  // Subnets
  SubnetNotFound: { status: 404, message: 'Subnet %(subnet_id)s could not be found.' },
  SubnetInUse: { status: 409, message: 'Unable to complete operation on subnet %(subnet_id)s: %(reason)s' },
  InvalidCIDR: { status: 400, message: 'Invalid CIDR %(input)s given as IP prefix.' },
  OverlappingAllocationPools: {
    status: 409,
    message: 'Found overlapping allocation pools: %(pool_1)s %(pool_2)s for subnet %(subnet_cidr)s.',
  },
  OutOfBoundsAllocationPool: {
    status: 400,
    message: 'The allocation pool %(pool)s spans beyond the subnet cidr %(subnet_cidr)s.',
  },
  InvalidAllocationPool: { status: 400, message: 'The allocation pool %(pool)s is not valid.' },
  GatewayConflictWithAllocationPools: {
    status: 409,
    message: 'Gateway ip %(ip_address)s conflicts with allocation pool %(pool)s.',
  },
  GatewayIpInUse: {
    status: 409,
    message: 'Current gateway ip %(ip_address)s already in use by port %(port_id)s. Unable to update.',
  },
  DNSNameServersExhausted: {
    status: 400,
    message:
      'Unable to complete operation for %(subnet_id)s. The number of DNS nameservers exceeds the limit %(quota)s.',
  },
  HostRoutesExhausted: {
    status: 400,
    message: 'Unable to complete operation for %(subnet_id)s. The number of host routes exceeds the limit %(quota)s.',
  },
  // Ports and addresses
  PortNotFound: { status: 404, message: 'Port %(port_id)s could not be found.' },
  PortInUse: {
    status: 409,
    message:
      'Unable to complete operation on port %(port_id)s for network %(net_id)s. Port already has an attached device %(device_id)s.',
  },
  PortBound: {
    status: 409,
    message:
      'Unable to complete operation on port %(port_id)s, port is already bound, port type: %(vif_type)s, old_mac %(old_mac)s, new_mac %(new_mac)s.',
  },
  MacAddressInUse: {
    status: 409,
    message: 'Unable to complete operation for network %(net_id)s. The mac address %(mac)s is in use.',
  },
  MacAddressGenerationFailure: { status: 503, message: 'Unable to generate unique mac on network %(net_id)s.' },
  IpAddressInUse: {
    status: 409,
    message: 'Unable to complete operation for network %(net_id)s. The IP address %(ip_address)s is in use.',
  },
  IpAddressAlreadyAllocated: {
    status: 409,
    message: 'IP address %(ip)s already allocated in subnet %(subnet_id)s',
  },
  IpAddressGenerationFailure: { status: 409, message: 'No more IP addresses available on network %(net_id)s.' },
  InvalidIpForNetwork: {
    status: 400,
    message: 'IP address %(ip_address)s is not a valid IP for any of the subnets on the specified network.',
  },
  InvalidIpForSubnet: {
    status: 400,
    message: 'IP address %(ip_address)s is not a valid IP for the specified subnet.',
  },
  AllocationOnAutoAddressSubnet: {
    status: 400,
    message:
      'IPv6 address %(ip)s cannot be directly assigned to a port on subnet %(subnet_id)s as the subnet is configured for automatic addresses',
  },
  AddressPairAndPortSecurityRequired: {
    status: 409,
    message: 'Port Security must be enabled in order to have allowed address pairs on a port.',
  },
  PortSecurityPortHasSecurityGroup: {
    status: 409,
    message:
      'Port has security group associated. Cannot disable port security or IP address until security group is removed.',
  },
  PortSecurityAndIPRequiredForSecurityGroups: {
    status: 400,
    message: 'Port security must be enabled and port must have an IP address in order to use security groups.',
  },
  AllowedAddressPairsMissingIP: { status: 400, message: 'AllowedAddressPair must contain ip_address' },
  DuplicateAddressPairInRequest: {
    status: 400,
    message: 'Request contains duplicate address pair: mac_address %(mac_address)s ip_address %(ip_address)s.',
  },
  AllowedAddressPairExhausted: {
    status: 400,
    message: 'The number of allowed address pair exceeds the maximum %(quota)s.',
  },
  DeviceIDNotOwnedByTenant: {
    status: 409,
    message: "The following device_id %(device_id)s is not owned by your project or matches another project's router.",
  },
  // Security groups
  SecurityGroupNotFound: { status: 404, message: 'Security group %(id)s does not exist' },
  SecurityGroupInUse: { status: 409, message: 'Security Group %(id)s %(reason)s.' },
  SecurityGroupCannotUpdateDefault: { status: 409, message: 'Updating default security group not allowed.' },
  SecurityGroupCannotRemoveDefault: {
    status: 409,
    message: 'Insufficient rights for removing default security group.',
  },
  SecurityGroupDefaultAlreadyExists: { status: 409, message: 'Default security group already exists.' },
  SecurityGroupRuleNotFound: { status: 404, message: 'Security group rule %(id)s does not exist' },
  SecurityGroupRuleExists: { status: 409, message: 'Security group rule already exists. Rule id is %(rule_id)s.' },
  SecurityGroupInvalidPortRange: {
    status: 400,
    message: 'For TCP/UDP protocols, port_range_min must be <= port_range_max',
  },
  SecurityGroupInvalidPortValue: { status: 400, message: 'Invalid value for port %(port)s' },
  SecurityGroupInvalidIcmpValue: {
    status: 400,
    message: 'Invalid value for ICMP %(field)s (%(attr)s) %(value)s. It must be 0 to 255.',
  },
  SecurityGroupMissingIcmpType: {
    status: 400,
    message: 'ICMP code (port-range-max) %(value)s is provided but ICMP type (port-range-min) is missing.',
  },
  SecurityGroupInvalidProtocol: {
    status: 400,
    message:
      'Security group rule protocol %(protocol)s not supported. Only protocol values %(values)s and integer representations [0 to 255] are supported.',
  },
  SecurityGroupProtocolRequiredWithPorts: {
    status: 400,
    message: 'Must also specify protocol if port range is given.',
  },
  SecurityGroupInvalidProtocolForPort: {
    status: 400,
    message: 'Invalid protocol %(protocol)s for port range, only supported for %(valid_port_protocols)s.',
  },
  SecurityGroupRemoteGroupAndRemoteIpPrefix: {
    status: 400,
    message: 'Only remote_ip_prefix or remote_group_id may be provided.',
  },
  SecurityGroupRuleParameterConflict: {
    status: 400,
    message: 'Conflicting value ethertype %(ethertype)s for CIDR %(cidr)s',
  },
  SecurityGroupEthertypeConflictWithProtocol: {
    status: 400,
    message: 'Invalid ethertype %(ethertype)s for protocol %(protocol)s.',
  },
  ExtensionNotFound: { status: 404, message: 'Extension with alias %(alias)s does not exist' },
  // Agents
  AgentNotFound: { status: 404, message: 'Agent %(id)s could not be found.' },
  // What is not the client's fault
  ServiceUnavailable: { status: 503, message: 'The database cannot be reached; try again: %(reason)s' },
  DatabaseFull: {
    status: 503,
    message: "The database's disk is full, so nothing was stored; free space and try again: %(reason)s",
  },
  HTTPInternalServerError: {
    status: 500,
    message: 'Request Failed: internal server error while processing your request.',
  },
})

export type ErrorType = keyof typeof catalogue
export type ErrorParams = Readonly<Record<string, unknown>>

/** An error from the catalogue, with the facts that fill its template. */
export class ApiError extends Error {
  readonly type: ErrorType
  readonly status: number
  readonly params: ErrorParams
  /** Machine-readable: `{ reason, …facts }`; empty where the type says it all. */
  readonly detail: ErrorParams

  constructor(type: ErrorType, params: ErrorParams = {}, detail: ErrorParams = {}) {
    super(fill(catalogue[type].message, params))
    this.name = type
    this.type = type
    this.status = catalogue[type].status
    this.params = params
    this.detail = detail
  }
}

const fill = (template: string, params: ErrorParams): string =>
  template.replace(/%\((\w+)\)s/g, (_, key: string) => String(params[key] ?? ''))
