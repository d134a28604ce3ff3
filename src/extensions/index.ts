/** What is in: every extension of the API. */
import type { Extension } from '#model/define.ts'
import { addressGroups } from './address-groups/index.ts'
import { addressScopes } from './address-scopes.ts'
import { autoAllocatedTopology } from './auto-allocated-topology/index.ts'
import { availabilityZones } from './availability-zones/index.ts'
import { bgp } from './bgp/index.ts'
import { bindingQuestions } from './binding/index.ts'
import { conntrackHelpers } from './conntrack-helper/index.ts'
import { conventions } from './conventions.ts'
import { dataPlaneStatus } from './data-plane-status.ts'
import { dns } from './dns/index.ts'
import { flavors } from './flavors/index.ts'
import { ipAllocation } from './ip-allocation.ts'
import { l3 } from './l3/index.ts'
import { localIps } from './local-ip/index.ts'
import { logging } from './logging/index.ts'
import { metering } from './metering/index.ts'
import { ndpProxies } from './ndp-proxy/index.ts'
import { networkIpAvailability } from './network-ip-availability.ts'
import { networkSegmentRanges } from './network-segment-range/index.ts'
import { outbox } from './outbox.ts'
import { portAttributes } from './port-attributes/index.ts'
import { portBindings } from './port-bindings/index.ts'
import { portForwardings } from './port-forwarding/index.ts'
import { qos } from './qos/index.ts'
import { rbac } from './rbac/index.ts'
import { schedulers } from './schedulers/index.ts'
import { securityGroups } from './security-groups.ts'
import { segments } from './segments/index.ts'
import { subnetPools } from './subnet-pools/index.ts'
import { subnetServiceTypes } from './subnet-service-types.ts'
import { tags } from './tags.ts'
import { trunkPorts } from './trunk/index.ts'

export const extensions: readonly Extension[] = Object.freeze([
  ...conventions,
  ...tags,
  ...addressGroups,
  ...rbac,
  ...securityGroups,
  ...l3,
  ...portForwardings,
  ...conntrackHelpers,
  ...ndpProxies,
  localIps,
  ...schedulers,
  ...availabilityZones,
  ...bgp,
  ...subnetPools,
  addressScopes,
  dataPlaneStatus,
  ...trunkPorts,
  ...portAttributes,
  ...portBindings,
  bindingQuestions,
  ...dns,
  subnetServiceTypes,
  ipAllocation,
  networkIpAvailability,
  autoAllocatedTopology,
  ...qos,
  ...segments,
  networkSegmentRanges,
  ...metering,
  ...flavors,
  logging,
  outbox,
])
