/** Errors of port forwardings, conntrack helpers, NDP proxies and local IPs. */
import { define } from './spec.ts'

export const natErrors = define({
  PortForwardingNotFound: {
    status: 404,
    message: 'Port Forwarding %(id)s could not be found.',
    when: 'The port forwarding is not there, or not for this caller.',
  },
  PortHasPortForwarding: {
    status: 400,
    message: 'Cannot associate floating IP to port %(port_id)s because it already has a Port Forwarding binding.',
    when: 'The port that a floating IP shall lead to is reached by port forwardings of a distributed router.',
  },
  FipInUseByPortForwarding: {
    status: 409,
    message: 'Floating IP %(id)s in use by Port Forwarding resources.',
    when: 'A floating IP that has port forwardings shall go, or lead to a port as a whole.',
  },
  PortHasBindingFloatingIP: {
    status: 409,
    message:
      'Cannot create port forwarding to floating IP %(floating_ip_address)s (%(fip_id)s) with port %(port_id)s using fixed IP %(fixed_ip)s, as that port already has a binding floating IP.',
    when: 'A floating IP already leads to the port.',
  },
  ConntrackHelperNotFound: {
    status: 404,
    message: 'Conntrack Helper %(id)s could not be found.',
    when: 'The conntrack helper is not there, or not for this caller.',
  },
  ConntrackHelperNotAllowed: {
    status: 400,
    message: 'Conntrack Helper %(helper)s is not allowed.',
    when: 'No such helper is offered.',
  },
  InvalidProtocolForHelper: {
    status: 400,
    message:
      'Conntrack Helper %(helper)s does not support: %(protocol)s. Supported protocols are: %(supported_protocols)s',
    when: 'The helper does not follow connections of this protocol.',
  },
  NDPProxyNotFound: {
    status: 404,
    message: 'Ndp proxy %(id)s could not be found.',
    when: 'The NDP proxy is not there, or not for this caller.',
  },
  RouterGatewayNotValid: {
    status: 409,
    message: 'Can not enable ndp proxy on router %(router_id)s, %(reason)s.',
    when: 'The router has no gateway with an IPv6 address of a network that is in an address scope.',
  },
  RouterGatewayInUseByNDPProxy: {
    status: 409,
    message:
      'Unable to unset external gateway of router %(router_id)s, There are one or more ndp proxies still in use on the router.',
    when: 'The gateway that shall go answers for addresses behind the router.',
  },
  RouterInterfaceInUseByNDPProxy: {
    status: 409,
    message:
      'Unable to remove subnet %(subnet_id)s from router %(router_id)s, There are one or more ndp proxies still in use on the subnet.',
    when: 'NDP proxies are for addresses behind the interface that shall go.',
  },
  RouterIPv6GatewayInUse: {
    status: 409,
    message:
      "Can't remove the IPv6 subnet from external gateway of router %(router_id)s, the IPv6 subnet in use by the router's ndp proxy.",
    when: 'The gateway of a router with NDP proxy shall lose its IPv6 address.',
  },
  RouterNDPProxyNotEnable: {
    status: 409,
    message:
      'The enable_ndp_proxy parameter of router %(router_id)s must be set as True while create ndp proxy entry on it.',
    when: 'The router of a new NDP proxy has the function switched off.',
  },
  PortUnreachableRouter: {
    status: 409,
    message: 'The port %(port_id)s cannot reach the router %(router_id)s by IPv6 subnet.',
    when: 'The router has no interface on an IPv6 subnet of the port.',
  },
  AddressScopeConflict: {
    status: 409,
    message:
      "The IPv6 address scope %(ext_address_scope)s of external network conflict with internal network's IPv6 address scope %(internal_address_scope)s.",
    when: 'What is not of one address scope is not routed without translation.',
  },
  InvalidAddress: {
    status: 400,
    message: 'The address %(address)s is invalid, reason: %(reason)s.',
    when: 'The address of an NDP proxy is not the port’s, or not on an interface of the router.',
  },
  LocalIPNotFound: {
    status: 404,
    message: 'Local IP %(id)s could not be found.',
    when: 'The local IP is not there, or not for this caller.',
  },
  LocalIPInUse: {
    status: 409,
    message: 'Local IP %(id)s is still associated with one or more ports.',
    when: 'A local IP that ports answer to shall go.',
  },
  LocalIPNoIP: {
    status: 400,
    message: 'Specified Port %(port_id)s has no fixed IPs configured.',
    when: 'The port has no address.',
  },
  LocalIPRequestedIPNotFound: {
    status: 400,
    message: 'Specified Port %(port_id)s does not have requested IP address: %(ip)s.',
    when: 'The address is not the port’s.',
  },
  LocalIPNoRequestedIP: {
    status: 400,
    message: 'Specified Port %(port_id)s has several IPs, should specify exact IP address to use for Local IP.',
    when: 'The port has several addresses and none was named.',
  },
  LocalIPPortOrNetworkRequired: {
    status: 400,
    message: 'Either Port ID or Network ID must be specified for Local IP create.',
    when: 'A new local IP names neither.',
  },
  LocalIPAssociationNotFound: {
    status: 404,
    message: 'Local IP association with port %(port_id)s could not be found.',
    when: 'The local IP is not associated with this port.',
  },
  NeutronDbObjectDuplicateEntry: {
    status: 409,
    message: 'Failed to create a duplicate %(object_type)s: for attribute(s) %(attributes)s with value(s) %(values)s',
    when: 'There is such a one already.',
  },
})
