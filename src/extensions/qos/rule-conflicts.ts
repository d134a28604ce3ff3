/** Which rules of one QoS policy exclude each other: pure. */
import { ApiError } from '#kernel/errors.ts'
import type { Draft, Write } from '#model/define.ts'
import type { RuleType } from './rule-kinds.ts'

interface Rule extends Readonly<Draft> {
  readonly id: string
  readonly type: RuleType
  readonly direction?: string
}

/** Throws when the rule that is written does not go with the others of its policy. */
export function refuseConflicts(
  policy: Readonly<Draft>,
  type: RuleType,
  { after, given }: Pick<Write, 'after' | 'given'>,
): void {
  const rule = after as Rule
  const rules = policy['rules'] as readonly Rule[]
  const others = rules.filter((one) => one.id !== rule.id)
  const policy_id = policy['id']
  for (const other of others) {
    const clash = bandwidthClash(rule, other, given) ?? directionClash(type, rule, other)
    if (!clash) continue
    const [rule_value, existing_value] = clash
    throw new ApiError('QoSRuleParameterConflict', { rule_value, policy_id, existing_rule: other.type, existing_value })
  }
  const twin = others.find((one) => one.type === type && one.direction === rule.direction)
  if (twin) throw new ApiError('QoSRulesConflict', { new_rule_type: type, rule_id: twin.id, policy_id })
}

type Clash = readonly [value: unknown, existing: unknown]

/** A guarantee above a limit. Directions are not compared: Neutron does not either. */
function bandwidthClash(rule: Rule, other: Rule, given: ReadonlySet<string>): Clash | undefined {
  const { max_kbps, min_kbps } = rule as { max_kbps?: number; min_kbps?: number }
  if (other.type === 'minimum_bandwidth' && given.has('max_kbps') && Number(other['min_kbps']) > Number(max_kbps))
    return [max_kbps, other['min_kbps']]
  if (other.type === 'bandwidth_limit' && given.has('min_kbps') && Number(other['max_kbps']) < Number(min_kbps))
    return [min_kbps, other['max_kbps']]
  return undefined
}

/** A packet rate of both directions together beside one of a single direction. */
function directionClash(type: RuleType, rule: Rule, other: Rule): Clash | undefined {
  if (type !== 'minimum_packet_rate' || other.type !== type) return undefined
  const mixed = (rule.direction === 'any') !== (other.direction === 'any')
  return mixed ? [rule.direction, other.direction] : undefined
}
