/** Errors of QoS policies and rules. */
import { define } from './spec.ts'

export const qosErrors = define({
  QosPolicyNotFound: {
    status: 404,
    message: 'QoS policy %(policy_id)s could not be found.',
    when: 'The policy is not there, or not for this caller.',
  },
  QosRuleNotFound: {
    status: 404,
    message: 'QoS rule %(rule_id)s for policy %(qos_policy_id)s could not be found.',
    when: 'The policy has no such rule of this kind.',
  },
  QoSPolicyDefaultAlreadyExists: {
    status: 409,
    message: 'A default QoS policy exists for project %(project_id)s.',
    when: 'A second policy of the project shall become its default.',
  },
  QosPolicyInUse: {
    status: 409,
    message: 'QoS Policy %(policy_id)s is used by %(object_type)s %(object_id)s.',
    when: 'A network, port, floating IP or router gateway still has the policy that is to be deleted.',
  },
  QosRuleNotSupported: {
    status: 409,
    message: 'Rule %(rule_type)s is not supported by port %(port_id)s',
    when: 'No driver can keep the rule on a port that has, or would get, the policy.',
  },
  QosRuleNotSupportedByNetwork: {
    status: 409,
    message: 'Rule %(rule_type)s is not supported by network %(network_id)s',
    when: 'No driver can keep the rule on a network that would get the policy.',
  },
  QoSRuleParameterConflict: {
    status: 409,
    message:
      'Unable to add the rule with value %(rule_value)s to the policy %(policy_id)s as the existing rule of type %(existing_rule)s has value %(existing_value)s.',
    when: 'A minimum above the limit of the same policy, or packet rates with and without a direction side by side.',
  },
  QoSRulesConflict: {
    status: 409,
    message: 'Rule %(new_rule_type)s conflicts with rule %(rule_id)s which already exists in QoS Policy %(policy_id)s.',
    when: 'The policy has a rule of this kind and direction.',
  },
  PolicyRemoveAuthorizationError: {
    status: 403,
    message: 'Failed to remove provided policy %(policy_id)s because you are not authorized.',
    when: 'A policy that the caller may not see shall be taken from a port or network.',
  },
  NotImplementedError: {
    status: 501,
    message: '%(reason)s',
    when: 'A guaranteed bandwidth or packet rate would change under a port of a compute instance.',
  },
})
