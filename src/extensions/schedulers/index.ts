/** The agent schedulers: which DHCP agents serve a network, which L3 agents have a router. */
import { defineExtension, type Extension } from '#model/define.ts'
import { goingAgents } from './agents.ts'
import {
  dhcpBinding,
  dhcpCandidate,
  dhcpService,
  lostBinding,
  routerBinding,
  routerCandidate,
  unscheduled,
  unservedWire,
} from './bindings.ts'
import { dhcpAgentActions, dhcpNetworks, dhcpSubnets } from './dhcp.ts'
import { l3AgentActions, scheduledInterfaces, scheduledRouters } from './l3.ts'

export const schedulers: readonly Extension[] = Object.freeze([
  defineExtension({
    alias: 'dhcp_agent_scheduler',
    name: 'DHCP Agent Scheduler',
    description: 'Which agents serve the DHCP of a network.',
    updated: '2013-02-07T10:00:00-00:00',
    requires: ['agent'],
    on: { agent: { ...goingAgents, actions: dhcpAgentActions }, network: dhcpNetworks, subnet: dhcpSubnets },
    resources: [dhcpBinding, dhcpCandidate, dhcpService, lostBinding, unscheduled, unservedWire],
  }),
  defineExtension({
    alias: 'l3_agent_scheduler',
    name: 'L3 Agent Scheduler',
    description: 'Which agents have the outside of a router.',
    updated: '2013-02-07T10:00:00-00:00',
    requires: ['agent', 'router'],
    on: { agent: { actions: l3AgentActions }, router: scheduledRouters, port: scheduledInterfaces },
    resources: [routerBinding, routerCandidate],
  }),
  defineExtension({
    alias: 'agent-resources-synced',
    name: "Agent's Resource View Synced to Placement",
    description: 'Whether Placement knows what the host of an agent has.',
    updated: '2018-12-19T00:00:00-00:00',
    requires: ['agent'],
  }),
])
