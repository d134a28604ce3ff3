/** What is in: the core resources, in the order the API lists them. */
import { agent } from './agent.ts'
import { defaultSecurityGroupRule } from './default-security-group-rule.ts'
import { network } from './network.ts'
import { port } from './port.ts'
import { securityGroup } from './security-group.ts'
import { securityGroupRule } from './security-group-rule.ts'
import { segment } from './segment.ts'
import { subnet } from './subnet.ts'
import { subnetPool } from './subnet-pool.ts'

export const coreResources = Object.freeze([
  network,
  segment,
  subnet,
  subnetPool,
  port,
  securityGroup,
  securityGroupRule,
  defaultSecurityGroupRule,
  agent,
])
