/**
 * What a rule of a security group says: IP protocols as rules name them (IANA protocol numbers), what contradicts what,
 * and when two rules are the same.
 */
import { ApiError } from '#kernel/errors.ts'
import { parsePrefix } from '#kernel/ip.ts'

export const PROTOCOLS: ReadonlyMap<string, number> = new Map([
  ['ah', 51],
  ['dccp', 33],
  ['egp', 8],
  ['esp', 50],
  ['gre', 47],
  ['hopopt', 0],
  ['icmp', 1],
  ['igmp', 2],
  ['ip', 0],
  ['ipip', 4],
  ['ipv6-encap', 41],
  ['ipv6-frag', 44],
  ['ipv6-icmp', 58],
  ['icmpv6', 58],
  ['ipv6-nonxt', 59],
  ['ipv6-opts', 60],
  ['ipv6-route', 43],
  ['ospf', 89],
  ['pgm', 113],
  ['rsvp', 46],
  ['sctp', 132],
  ['tcp', 6],
  ['udp', 17],
  ['udplite', 136],
  ['vrrp', 112],
])

/** Null when it is neither a known name nor 0…255. */
export const protocolNumber = (name: string): number | null => {
  if (/^\d{1,3}$/.test(name)) return Number(name) <= 255 ? Number(name) : null
  return PROTOCOLS.get(name) ?? null
}

const WITH_PORTS = ['tcp', 'udp', 'sctp', 'dccp', 'udplite']
const PORT_NUMBERS = WITH_PORTS.map((name) => PROTOCOLS.get(name))
const IPV6_ONLY = new Set([41, 44, 58, 59, 60, 43])

export interface RuleTerms {
  readonly direction: string
  readonly ethertype: string
  readonly protocol: string | null
  readonly port_range_min: number | null
  readonly port_range_max: number | null
  readonly remote_ip_prefix: string | null
  readonly remote_group_id: string | null
  readonly remote_address_group_id: string | null
}

const ICMP = 1
const ICMPV6 = 58

/** The rule in the words it is stored in: every port is any port, ICMP of IPv6 has a name of its own. */
export function canonical<R extends RuleTerms>(rule: R): R {
  const every = rule.port_range_min === 1 && rule.port_range_max === 65535
  const ports = every ? { port_range_min: null, port_range_max: null } : {}
  if (rule.ethertype !== 'IPv6' || rule.protocol === null) return { ...rule, ...ports }
  const legacy: Readonly<Record<string, string>> = { icmp: 'ipv6-icmp', icmpv6: 'ipv6-icmp', [ICMP]: String(ICMPV6) }
  return { ...rule, ...ports, protocol: legacy[rule.protocol] ?? rule.protocol }
}

const EVERYWHERE = new Set(['0.0.0.0/0', '::/0'])

/** Equal for rules that let the same through, whatever their words. */
export function ruleKey(rule: RuleTerms): string {
  const { direction, ethertype, protocol, port_range_min, port_range_max, remote_ip_prefix } = canonical(rule)
  return JSON.stringify([
    direction,
    ethertype,
    protocol === null ? null : protocolNumber(protocol),
    port_range_min ?? null,
    port_range_max ?? null,
    remote_ip_prefix && !EVERYWHERE.has(remote_ip_prefix) ? remote_ip_prefix : null,
    rule.remote_group_id ?? null,
    rule.remote_address_group_id ?? null,
  ])
}

export function checkRule(given: RuleTerms): ApiError[] {
  const rule = canonical(given)
  const issues: ApiError[] = []
  const remotes = [rule.remote_ip_prefix, rule.remote_group_id, rule.remote_address_group_id]
  if (remotes.filter(Boolean).length > 1) issues.push(new ApiError('SecurityGroupMultipleRemoteEntites'))
  const prefix = rule.remote_ip_prefix ? parsePrefix(rule.remote_ip_prefix) : null
  if (prefix && rule.ethertype !== `IPv${prefix.version}`) {
    issues.push(
      new ApiError('SecurityGroupRuleParameterConflict', { ethertype: rule.ethertype, cidr: rule.remote_ip_prefix }),
    )
  }
  const number = rule.protocol === null ? null : protocolNumber(rule.protocol)
  // `icmp` in an IPv6 rule means ICMPv6; the other IPv6 protocols do not exist in IPv4.
  if (number !== null && IPV6_ONLY.has(number) && rule.ethertype === 'IPv4') {
    issues.push(
      new ApiError('SecurityGroupEthertypeConflictWithProtocol', {
        ethertype: rule.ethertype,
        protocol: rule.protocol,
      }),
    )
  }
  return [...issues, ...checkRange(rule, number)]
}

function checkRange(
  { protocol, port_range_min: min, port_range_max: max }: RuleTerms,
  number: number | null,
): ApiError[] {
  if (min === null && max === null) return []
  if (number === null) return [new ApiError('SecurityGroupProtocolRequiredWithPorts')]
  if (number === ICMP || number === ICMPV6) {
    if (min === null) return [new ApiError('SecurityGroupMissingIcmpType', { value: max })]
    const bad = (
      [
        ['port_range_min', 'type', min],
        ['port_range_max', 'code', max],
      ] as const
    ).find(([, , value]) => value !== null && value > 255)
    return bad ? [new ApiError('SecurityGroupInvalidIcmpValue', { field: bad[1], attr: bad[0], value: bad[2] })] : []
  }
  if (!PORT_NUMBERS.includes(number)) {
    return [
      new ApiError('SecurityGroupInvalidProtocolForPort', {
        protocol,
        valid_port_protocols: WITH_PORTS.map((one) => one.toUpperCase()).join(', '),
      }),
    ]
  }
  if (min === 0 || max === 0) return [new ApiError('SecurityGroupInvalidPortValue', { port: 0 })]
  return min === null || max === null || min > max ? [new ApiError('SecurityGroupInvalidPortRange')] : []
}
