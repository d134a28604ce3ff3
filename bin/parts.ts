/** What composition roots and tests build alike: the core's settings from the server's. */
import type { CoreSettings } from '#core/unit.ts'
import { mechanismDrivers, typeDrivers } from '#drivers/index.ts'
import type { ServerSettings } from '#launch/settings.ts'

export const coreSettingsOf = (settings: ServerSettings): CoreSettings => ({
  segments: {
    drivers: typeDrivers(settings),
    tenantTypes: settings.tenantNetworkTypes,
    physicalMtu: settings.globalPhysnetMtu,
  },
  mechanismDrivers,
  limits: {
    maxDnsNameservers: settings.maxDnsNameservers,
    maxHostRoutes: settings.maxSubnetHostRoutes,
    maxAllowedAddressPairs: settings.maxAllowedAddressPair,
  },
  quotas: {
    network: settings.quotaNetwork,
    subnet: settings.quotaSubnet,
    port: settings.quotaPort,
    security_group: settings.quotaSecurityGroup,
    security_group_rule: settings.quotaSecurityGroupRule,
  },
  baseMac: settings.baseMac,
  idempotencyRetention: settings.idempotencyRetention,
})
