/** The default rules that are in force: one file a resource, listed here and nowhere else. */
import { agent } from './agent.ts'
import { base } from './base.ts'
import { extension } from './extension.ts'
import { network } from './network.ts'
import { port } from './port.ts'
import { quota } from './quota.ts'
import type { RuleDefault } from './rule.ts'
import { securityGroup } from './security-group.ts'
import { subnet } from './subnet.ts'

export const defaultRules: readonly RuleDefault[] = Object.freeze([
  ...base,
  ...network,
  ...subnet,
  ...port,
  ...securityGroup,
  ...agent,
  ...quota,
  ...extension,
])
