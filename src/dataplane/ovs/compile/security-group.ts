/**
 * A security group's rules, once for all its ports, and the members of groups that rules name as remote.
 *
 * A frame comes here once for each group of its port, with that group's key in a register. What matches sets a bit of
 * the verdict; nothing here denies. A rule with a remote group matches only while the peer is known to be a member:
 * the member table looks the peer up, so that a member that comes or goes is one flow a direction, however many rules
 * name its group.
 */
import { type Prefix, parsePrefix } from '#kernel/ip.ts'
import type { SecurityGroupObject, SecurityGroupRuleObject } from '#wire/objects.ts'
import { is, jump, REG, type Rule, rule, TABLE, VERDICT } from '../pipeline.ts'
import { portMasks } from '../ranges.ts'
import type { View } from '../view.ts'
import { prefixMatch } from './addresses.ts'

type Direction = SecurityGroupRuleObject['direction']

const RULES = { ingress: TABLE.ingressRules, egress: TABLE.egressRules } as const
const MEMBERS = { ingress: TABLE.ingressMembers, egress: TABLE.egressMembers } as const
const PRIORITY = 10

export function compileSecurityGroup(id: string, view: View): Rule[] {
  const group = view.object('security_group', id)
  if (!group) return []
  const key = view.number('group', id)
  const bit = group.stateful ? VERDICT.stateful : VERDICT.stateless
  const allow = [`set_field:0x${bit.toString(16)}/0x${bit.toString(16)}->${REG.verdict}`]
  return group.rules.flatMap((it) => {
    const remote = it.remote_group_id === null ? 0 : view.number('group', it.remote_group_id)
    const scope = [is(REG.group, key), is(REG.remoteGroup, remote)]
    return matchesOf(it).map((match) => rule(RULES[it.direction], PRIORITY, [...scope, ...match], allow))
  })
}

/** Rules this data plane cannot express, as sentences; they allow nothing. */
export const problemsOf = (group: SecurityGroupObject): readonly string[] =>
  group.rules.flatMap((it) =>
    it.port_range_min !== null && protocolOf(it).ports === null
      ? [`rule ${it.id}: Open vSwitch cannot match ports of IP protocol ${it.protocol}`]
      : [],
  )

export function compileMember(id: string, view: View): Rule[] {
  const member = view.object('group_member', id)
  if (!member) return []
  const group = is(REG.remoteGroup, view.number('group', member.security_group_id))
  const prefixes = member.ip_addresses.map(parsePrefix).filter((prefix) => prefix !== null)
  return prefixes.flatMap((prefix) =>
    (['ingress', 'egress'] as const).map((direction) =>
      rule(MEMBERS[direction], PRIORITY, [ipOf(prefix), group, ...peer(direction, prefix)], [jump(RULES[direction])]),
    ),
  )
}

const ipOf = ({ version }: Prefix): string => (version === 4 ? 'ip' : 'ipv6')

/** The other side's address: whom an ingress rule hears, whom an egress rule speaks to. */
const peer = (direction: Direction, prefix: Prefix): readonly string[] => {
  const side = direction === 'ingress' ? 'src' : 'dst'
  return prefixMatch(prefix.version === 4 ? `nw_${side}` : `ipv6_${side}`, prefix)
}

/** Every match the rule needs: one, or one for each mask of its port range; none when it cannot be expressed. */
function matchesOf(it: SecurityGroupRuleObject): readonly (readonly string[])[] {
  const { match, ports } = protocolOf(it)
  const prefix = it.remote_ip_prefix === null ? null : parsePrefix(it.remote_ip_prefix)
  if (it.remote_ip_prefix !== null && !prefix) return []
  const base = [...match, ...(prefix ? peer(it.direction, prefix) : [])]
  if (it.port_range_min === null) return [base]
  switch (ports) {
    case null:
      return []
    case 'icmp':
      return [
        [
          ...base,
          `icmp_type=${it.port_range_min}`,
          ...(it.port_range_max === null ? [] : [`icmp_code=${it.port_range_max}`]),
        ],
      ]
    case 'transport': {
      const masks = portMasks(it.port_range_min, it.port_range_max ?? it.port_range_min)
      return masks.length === 0 ? [base] : masks.map((mask) => [...base, `tp_dst=${mask}`])
    }
  }
}

/** The rule's protocol in a match, and what its port range means. Protocol 1 in an IPv6 rule is ICMPv6, as in Neutron. */
function protocolOf({ ethertype, protocol }: SecurityGroupRuleObject): {
  readonly match: readonly string[]
  readonly ports: 'icmp' | 'transport' | null
} {
  const v6 = ethertype === 'IPv6'
  switch (protocol) {
    case null:
      return { match: [v6 ? 'ipv6' : 'ip'], ports: null }
    case 1:
      return { match: [v6 ? 'icmp6' : 'icmp'], ports: 'icmp' }
    case 58:
      return v6 ? { match: ['icmp6'], ports: 'icmp' } : { match: ['ip', 'nw_proto=58'], ports: null }
    case 6:
      return { match: [v6 ? 'tcp6' : 'tcp'], ports: 'transport' }
    case 17:
      return { match: [v6 ? 'udp6' : 'udp'], ports: 'transport' }
    case 132:
      return { match: [v6 ? 'sctp6' : 'sctp'], ports: 'transport' }
    default:
      return { match: [v6 ? 'ipv6' : 'ip', `nw_proto=${protocol}`], ports: null }
  }
}
