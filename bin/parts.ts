/** What composition roots and tests build alike: the core's settings and the identity, from the server's settings. */
import type { CoreSettings } from '#core/unit.ts'
import { mechanismDrivers, typeDrivers } from '#drivers/index.ts'
import { loadMechanismDrivers } from '#drivers/load.ts'
import { createBuiltin } from '#identity/builtin.ts'
import type { Identity } from '#identity/identity.ts'
import type { Credential } from '#identity/keystone/own-token.ts'
import { createKeystone, type KeystoneOptions } from '#identity/keystone.ts'
import { createNone } from '#identity/none.ts'
import type { Logger } from '#kernel/log.ts'
import type { Registry } from '#kernel/metrics.ts'
import type { ServerSettings } from '#launch/settings.ts'

/** @throws DriverError when the mechanism drivers cannot be loaded */
export const coreSettingsOf = async (settings: ServerSettings, log: Logger): Promise<CoreSettings> => ({
  segments: {
    drivers: typeDrivers(settings),
    tenantTypes: settings.tenantNetworkTypes,
    physicalMtu: settings.globalPhysnetMtu,
    pathMtu: settings.pathMtu,
    physicalNetworkMtus: Object.fromEntries(
      settings.physicalNetworkMtus.map(({ physical_network, mtu }) => [physical_network, mtu]),
    ),
    overlayIpVersion: settings.overlayIpVersion === '6' ? 6 : 4,
  },
  mechanismDrivers: await loadMechanismDrivers(settings, mechanismDrivers(log), log),
  limits: {
    maxDnsNameservers: settings.maxDnsNameservers,
    maxHostRoutes: settings.maxSubnetHostRoutes,
    maxAllowedAddressPairs: settings.maxAllowedAddressPair,
    dnsDomain: settings.dnsDomain,
    dhcpAgentsPerNetwork: settings.dhcpAgentsPerNetwork,
    maxL3AgentsPerRouter: settings.maxL3AgentsPerRouter,
    defaultAvailabilityZones: settings.defaultAvailabilityZones,
    bindingLease: settings.bindingLease,
  },
  quotas: {
    network: settings.quotaNetwork,
    subnet: settings.quotaSubnet,
    subnetpool: settings.quotaSubnetpool,
    port: settings.quotaPort,
    router: settings.quotaRouter,
    floatingip: settings.quotaFloatingip,
    security_group: settings.quotaSecurityGroup,
    security_group_rule: settings.quotaSecurityGroupRule,
    rbac_policy: settings.quotaRbacPolicy,
    address_group: settings.quotaAddressGroup,
    trunk: settings.quotaTrunk,
  },
  baseMac: settings.baseMac,
  idempotencyRetention: settings.idempotencyRetention,
  maxBulkItems: settings.maxBulkItems,
})

export function identityOf(settings: ServerSettings, log: Logger, metrics?: Registry): Identity {
  const { identity, identityFile, dataDir, publicUrl } = settings
  if (identity === 'none') return createNone()
  if (identity === 'builtin') return createBuiltin({ file: identityFile ?? `${dataDir}/identity.json`, publicUrl, log })
  const observed = { log: log.child({ component: 'identity' }), ...(metrics && { metrics }) }
  return createKeystone({ ...keystoneOptionsOf(settings), ...observed })
}

/** The settings were found complete when they were loaded. */
export const keystoneOptionsOf = (settings: ServerSettings): Omit<KeystoneOptions, 'log'> => ({
  authUrl: settings.keystoneAuthUrl ?? '',
  authenticateUri: settings.keystoneWwwAuthenticateUri,
  credential: keystoneCredentialOf(settings),
  cafile: settings.keystoneCafile,
  insecure: settings.keystoneInsecure,
  timeout: settings.keystoneHttpTimeout,
  retries: settings.keystoneHttpRequestMaxRetries,
  tokenCacheTime: settings.keystoneTokenCacheTime,
  serviceTokenRoles: settings.keystoneServiceTokenRoles,
  serviceTokenRolesRequired: settings.keystoneServiceTokenRolesRequired,
  serviceType: settings.keystoneServiceType,
})

const keystoneCredentialOf = (settings: ServerSettings): Credential =>
  settings.keystoneApplicationCredentialId !== null
    ? {
        kind: 'application credential',
        id: settings.keystoneApplicationCredentialId,
        secret: settings.keystoneApplicationCredentialSecret ?? '',
      }
    : {
        kind: 'password',
        username: settings.keystoneUsername ?? '',
        password: settings.keystonePassword ?? '',
        userDomainName: settings.keystoneUserDomainName,
        projectName: settings.keystoneProjectName,
        projectDomainName: settings.keystoneProjectDomainName,
      }
