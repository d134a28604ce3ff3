/**
 * Who may do what with QoS policies and their rules.
 *
 * Zed's present texts ask for the project of a rule, which has none, and forgot that policies are shared; here the
 * policy's owner and those it is shared with see both, as Zed's former texts and the database beneath them have it.
 */
import {
  ADMIN,
  ADMIN_OR_READER,
  ANYONE,
  action,
  confine,
  crud,
  helper,
  OWN,
  put,
  type RuleDefault,
  read,
  remove,
} from './rule.ts'

const policies = crud('/qos/policies')
const SHARED = 'rule:shared_qos_policy'
const RULE_KINDS = {
  bandwidth_limit: 'a bandwidth limit',
  packet_rate_limit: 'a packet rate limit',
  dscp_marking: 'a DSCP marking',
  minimum_bandwidth: 'a minimum bandwidth',
  minimum_packet_rate: 'a minimum packet rate',
} as const
type RuleKind = keyof typeof RULE_KINDS
/** These came after the former texts. */
const RECENT: readonly RuleKind[] = ['packet_rate_limit', 'minimum_packet_rate']
/** Rules that can be addressed without their policy. */
const ALIASED: readonly RuleKind[] = ['bandwidth_limit', 'dscp_marking', 'minimum_bandwidth', 'minimum_packet_rate']

const SEE_RULE = `${ADMIN_OR_READER} or role:reader and rule:ext_parent_owner or role:reader and ${SHARED}_of_rule`
const RULES_SEEN = `${OWN} or rule:ext_parent_owner or ${SHARED}_of_rule`

const ofPolicy = (kind: RuleKind): readonly RuleDefault[] => {
  const noun = `${RULE_KINDS[kind]} of a QoS policy`
  const name = `policy_${kind}_rule`
  const { create, get, update, remove: gone } = crud(`/qos/policies/{policy_id}/${kind}_rules`, 'rule_id')
  return [
    confine(
      action(`get_${name}`, get, `See ${noun}.`, SEE_RULE, RECENT.includes(kind) ? undefined : ANYONE),
      RULES_SEEN,
    ),
    action(`create_${name}`, create, `Create ${noun}.`, ADMIN),
    action(`update_${name}`, update, `Change ${noun}.`, ADMIN),
    action(`delete_${name}`, gone, `Delete ${noun}.`, ADMIN),
  ]
}

/** The recent kind follows the rule of the same act on the policy's own path. */
const byAlias = (kind: RuleKind): readonly RuleDefault[] => {
  const path = `/qos/alias_${kind}_rules/{rule_id}`
  const noun = `${RULE_KINDS[kind]}, without naming its QoS policy`
  const recent = RECENT.includes(kind)
  const text = (verb: string, otherwise: string): string => (recent ? `rule:${verb}_policy_${kind}_rule` : otherwise)
  return [
    confine(
      action(`get_alias_${kind}_rule`, read(path), `See ${noun}.`, text('get', SEE_RULE), recent ? undefined : ANYONE),
      RULES_SEEN,
    ),
    action(`update_alias_${kind}_rule`, put(path), `Change ${noun}.`, text('update', ADMIN)),
    action(`delete_alias_${kind}_rule`, remove(path), `Delete ${noun}.`, text('delete', ADMIN)),
  ]
}

const kinds = Object.keys(RULE_KINDS) as RuleKind[]

export const qos: readonly RuleDefault[] = [
  helper('shared_qos_policy', 'field:policies:shared=True', "The QoS policy is shared with the caller's project."),
  helper(
    'shared_qos_policy_of_rule',
    'True:%(ext_parent:shared)s',
    "The QoS policy the rule is in is shared with the caller's project.",
  ),
  action('create_policy', policies.create, 'Create a QoS policy.', ADMIN),
  confine(
    action('get_policy', policies.get, 'See a QoS policy.', `${ADMIN_OR_READER} or ${SHARED}`, ANYONE),
    `${OWN} or ${SHARED}`,
  ),
  action('update_policy', policies.update, 'Change a QoS policy.', ADMIN),
  action('delete_policy', policies.remove, 'Delete a QoS policy.', ADMIN),
  action(
    'get_rule_type',
    read('/qos/rule-types', '/qos/rule-types/{rule_type}'),
    'See which kinds of rules QoS policies may have.',
    'role:reader',
    ANYONE,
  ),
  ...kinds.flatMap(ofPolicy),
  ...ALIASED.flatMap(byAlias),
]
