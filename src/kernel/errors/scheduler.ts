/** Errors of agent schedulers and availability zones. */
import { define } from './spec.ts'

export const schedulerErrors = define({
  InvalidDHCPAgent: {
    status: 404,
    message: 'Agent %(id)s is not a valid DHCP Agent or has been disabled.',
    when: 'A network is given to an agent that serves no DHCP, or that is administratively down.',
  },
  NetworkHostedByDHCPAgent: {
    status: 409,
    message: 'The network %(network_id)s has been already hosted by the DHCP Agent %(agent_id)s.',
    when: 'A network is given to a DHCP agent that has it.',
  },
  NetworkNotHostedByDhcpAgent: {
    status: 409,
    message: 'The network %(network_id)s is not hosted by the DHCP Agent %(agent_id)s.',
    when: 'A network is taken from a DHCP agent that was not given it.',
  },
  InvalidL3Agent: {
    status: 404,
    message: 'Agent %(id)s is not a L3 Agent or has been disabled',
    when: 'A router is given to an agent that does not route, or that is administratively down.',
  },
  RouterHostedByL3Agent: {
    status: 409,
    message: 'The router %(router_id)s has been already hosted by the L3 Agent %(agent_id)s.',
    when: 'A router without high availability is given to a second L3 agent.',
  },
  RouterL3AgentMismatch: {
    status: 409,
    message: 'Cannot host distributed router %(router_id)s on legacy L3 agent %(agent_id)s.',
    when: 'A distributed router is given to an agent whose mode is `legacy`.',
  },
  DVRL3CannotAssignToDvrAgent: {
    status: 409,
    message: "Not allowed to manually assign a router to an agent in 'dvr' mode.",
    when: 'A router is given to an agent that has none of the outside of routers.',
  },
  DVRL3CannotRemoveFromDvrAgent: {
    status: 409,
    message: "Not allowed to manually remove a router from an agent in 'dvr' mode.",
    when: 'A router is taken from an agent that has none of the outside of routers.',
  },
  AvailabilityZoneNotFound: {
    status: 404,
    message: 'AvailabilityZone %(availability_zone)s could not be found.',
    when: 'A hint of a network or router names a zone that no agent of the kind is in.',
  },
})
