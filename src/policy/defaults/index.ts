/** The default rules that are in force: one file a resource or area, listed here and nowhere else. */
import { addressGroup } from './address-group.ts'
import { addressScope } from './address-scope.ts'
import { agent } from './agent.ts'
import { autoAllocatedTopology } from './auto-allocated-topology.ts'
import { availabilityZone } from './availability-zone.ts'
import { base } from './base.ts'
import { bgp } from './bgp.ts'
import { binding } from './binding.ts'
import { extension } from './extension.ts'
import { flavor } from './flavor.ts'
import { floatingIp } from './floatingip.ts'
import { localIp } from './local-ip.ts'
import { logging } from './logging.ts'
import { metering } from './metering.ts'
import { network } from './network.ts'
import { networkIpAvailability } from './network-ip-availability.ts'
import { outbox } from './outbox.ts'
import { port } from './port.ts'
import { portBinding } from './port-binding.ts'
import { qos } from './qos.ts'
import { quota } from './quota.ts'
import { rbac } from './rbac.ts'
import { router } from './router.ts'
import type { RuleDefault } from './rule.ts'
import { securityGroup } from './security-group.ts'
import { segment } from './segment.ts'
import { serviceType } from './service-type.ts'
import { subnet } from './subnet.ts'
import { subnetPool } from './subnetpool.ts'
import { trunk } from './trunk.ts'

/** Area → its rules, in the order the reference prints them. */
export const defaultsByArea = Object.freeze({
  base,
  networks: network,
  subnets: subnet,
  ports: port,
  'bindings of ports': portBinding,
  'questions about bindings': binding,
  'subnet pools': subnetPool,
  'address scopes': addressScope,
  'address groups': addressGroup,
  'security groups': securityGroup,
  routers: router,
  'floating IPs': floatingIp,
  'local IPs': localIp,
  trunks: trunk,
  'quality of service': qos,
  sharing: rbac,
  segments: segment,
  'address usage': networkIpAvailability,
  'automatic topologies': autoAllocatedTopology,
  'availability zones': availabilityZone,
  agents: agent,
  flavors: flavor,
  'service providers': serviceType,
  metering,
  logging,
  BGP: bgp,
  outbox,
  quotas: quota,
  'extensions of the API': extension,
}) satisfies Readonly<Record<string, readonly RuleDefault[]>>

export const defaultRules: readonly RuleDefault[] = Object.freeze(Object.values(defaultsByArea).flat())
