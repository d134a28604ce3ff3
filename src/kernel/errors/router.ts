/** Errors of routers, their interfaces and gateways. */
import { define } from './spec.ts'

export const routerErrors = define({
  BadRequest: {
    status: 400,
    message: 'Bad %(resource)s request: %(msg)s.',
    when: 'What is asked of routers, floating IPs and what runs on them does not fit what is there.',
  },
  RouterNotFound: {
    status: 404,
    message: 'Router %(router_id)s could not be found',
    when: 'The router is not there, or not for this caller.',
  },
  RouterInUse: {
    status: 409,
    message: 'Router %(router_id)s %(reason)s',
    when: 'The router that shall go still has interfaces; `facts.ports` has them.',
  },
  RouterInterfaceNotFound: {
    status: 404,
    message: 'Router %(router_id)s does not have an interface with id %(port_id)s',
    when: 'The port is no interface of this router.',
  },
  RouterInterfaceNotFoundForSubnet: {
    status: 404,
    message: 'Router %(router_id)s has no interface on subnet %(subnet_id)s',
    when: 'The router is not connected to this subnet.',
  },
  RouterInterfaceInUseByFloatingIP: {
    status: 409,
    message:
      'Router interface for subnet %(subnet_id)s on router %(router_id)s cannot be deleted, as it is required by one or more floating IPs.',
    when: 'Floating IPs lead to addresses behind the interface.',
  },
  RouterInterfaceInUseByRoute: {
    status: 409,
    message:
      'Router interface for subnet %(subnet_id)s on router %(router_id)s cannot be deleted, as it is required by one or more routes.',
    when: 'The next hop of a route of the router lies behind the interface.',
  },
  RouterExternalGatewayInUseByFloatingIp: {
    status: 409,
    message:
      'Gateway cannot be updated for router %(router_id)s, since a gateway to external network %(net_id)s is required by one or more floating IPs.',
    when: 'Floating IPs come in by the gateway that shall go.',
  },
  InvalidRoutes: {
    status: 400,
    message: 'Invalid format for routes: %(routes)s, %(reason)s',
    when: 'The next hop of a route is not on a network of the router, or is the router itself.',
  },
  RoutesExhausted: {
    status: 400,
    message: 'Unable to complete operation for %(router_id)s. The number of routes exceeds the maximum %(quota)s.',
    when: 'A router would have more than 30 routes.',
  },
  SubnetMismatchForPort: {
    status: 400,
    message: 'Subnet on port %(port_id)s does not match the requested subnet %(subnet_id)s.',
    when: 'The interface that shall go is named by a port and a subnet that do not belong together.',
  },
  ServicePortInUse: {
    status: 409,
    message: 'Port %(port_id)s cannot be deleted directly via the port API: %(reason)s.',
    when: 'The port belongs to a router or a floating IP, and goes with it.',
  },
  IPAddressChangeNotAllowed: {
    status: 400,
    message: 'IP updates for port %(port_id)s are not allowed',
    when: 'The IPv4 address of a router’s interface shall change.',
  },
  ExternalNetworkInUse: {
    status: 409,
    message:
      'External network %(net_id)s cannot be updated to be made non-external, since it has existing gateway ports.',
    when: 'Routers have their gateways on the network that shall no longer be external.',
  },
})
