/** What contradicts what on a port, pure. */
import { ApiError } from '#kernel/errors.ts'
import type { Limits, Write } from '#model/define.ts'

interface Guarded {
  readonly mac_address: string
  readonly port_security_enabled: boolean
  readonly security_groups: readonly string[]
  readonly fixed_ips: readonly { readonly ip_address?: string }[]
  readonly allowed_address_pairs: readonly { readonly ip_address?: string; readonly mac_address?: string }[]
}

export function checkPort({ after, given }: Write<Guarded>, limits: Limits): ApiError[] {
  const wanted = after as Guarded
  return [...checkFixedIps(wanted), ...checkPairs(wanted, limits), ...checkSecurity(wanted, given)]
}

function checkFixedIps({ fixed_ips = [] }: Guarded): ApiError[] {
  const addresses = fixed_ips.flatMap(({ ip_address }) => ip_address ?? [])
  const twice = addresses.find((one, index) => addresses.indexOf(one) !== index)
  const reason = `Invalid input for fixed_ips. Reason: Duplicate IP address '${twice}'.`
  return twice === undefined ? [] : [new ApiError('HTTPBadRequest', { reason })]
}

function checkPairs(
  { allowed_address_pairs: pairs = [], mac_address, port_security_enabled }: Guarded,
  limits: Limits,
): ApiError[] {
  const issues: ApiError[] = []
  if (pairs.length > limits.maxAllowedAddressPairs)
    issues.push(new ApiError('AllowedAddressPairExhausted', { quota: limits.maxAllowedAddressPairs }))
  if (pairs.some((pair) => pair.ip_address === undefined)) issues.push(new ApiError('AllowedAddressPairsMissingIP'))
  const seen = new Set<string>()
  for (const pair of pairs) {
    const mac = pair.mac_address ?? mac_address ?? ''
    const key = `${mac} ${pair.ip_address}`
    if (seen.has(key))
      issues.push(new ApiError('DuplicateAddressPairInRequest', { mac_address: mac, ip_address: pair.ip_address }))
    seen.add(key)
  }
  if (pairs.length > 0 && port_security_enabled === false)
    issues.push(new ApiError('AddressPairAndPortSecurityRequired'))
  return issues
}

function checkSecurity(wanted: Guarded, given: ReadonlySet<string>): ApiError[] {
  const groups = wanted.security_groups ?? []
  if (wanted.port_security_enabled !== false || groups.length === 0) return []
  // Neutron tells apart the port that asks for groups now and the one that had them.
  return given.has('security_groups')
    ? [new ApiError('PortSecurityAndIPRequiredForSecurityGroups')]
    : [new ApiError('PortSecurityPortHasSecurityGroup')]
}
