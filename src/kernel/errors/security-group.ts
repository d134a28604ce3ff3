/** Errors of security groups and their rules. */
import { define } from './spec.ts'

export const securityGroupErrors = define({
  SecurityGroupNotFound: {
    status: 404,
    message: 'Security group %(id)s does not exist',
    when: 'The group is not there, or not for this caller.',
  },
  SecurityGroupInUse: { status: 409, message: 'Security Group %(id)s %(reason)s.', when: 'Ports are in the group.' },
  SecurityGroupCannotUpdateDefault: {
    status: 409,
    message: 'Updating default security group not allowed.',
    when: 'The default group shall have another name.',
  },
  SecurityGroupCannotRemoveDefault: {
    status: 409,
    message: 'Insufficient rights for removing default security group.',
    when: 'The default group shall go.',
  },
  SecurityGroupDefaultAlreadyExists: {
    status: 409,
    message: 'Default security group already exists.',
    when: 'A group named `default` shall be created.',
  },
  SecurityGroupRuleNotFound: {
    status: 404,
    message: 'Security group rule %(id)s does not exist',
    when: 'The rule is not there, or not for this caller.',
  },
  SecurityGroupRuleExists: {
    status: 409,
    message: 'Security group rule already exists. Rule id is %(rule_id)s.',
    when: 'The group has the same rule, perhaps under another name of its protocol.',
  },
  SecurityGroupInvalidPortRange: {
    status: 400,
    message: 'For TCP/UDP protocols, port_range_min must be <= port_range_max',
    when: 'A range upside down, or with one end only.',
  },
  SecurityGroupInvalidPortValue: {
    status: 400,
    message: 'Invalid value for port %(port)s',
    when: 'A port that is no number from 0 to 65535.',
  },
  SecurityGroupInvalidIcmpValue: {
    status: 400,
    message: 'Invalid value for ICMP %(field)s (%(attr)s) %(value)s. It must be 0 to 255.',
    when: 'An ICMP type or code above 255.',
  },
  SecurityGroupMissingIcmpType: {
    status: 400,
    message: 'ICMP code (port-range-max) %(value)s is provided but ICMP type (port-range-min) is missing.',
    when: 'An ICMP code without a type.',
  },
  SecurityGroupRuleInvalidProtocol: {
    status: 400,
    message:
      'Security group rule protocol %(protocol)s not supported. Only protocol values %(values)s and integer representations [0 to 255] are supported.',
    when: 'A protocol that is neither a known name nor 0 to 255.',
  },
  SecurityGroupProtocolRequiredWithPorts: {
    status: 400,
    message: 'Must also specify protocol if port range is given.',
    when: 'Ports without a protocol.',
  },
  SecurityGroupInvalidProtocolForPort: {
    status: 400,
    message:
      'Ports cannot be specified for protocol %(protocol)s. Ports are only supported for %(valid_port_protocols)s.',
    when: 'Ports of a protocol that has none.',
  },
  SecurityGroupMultipleRemoteEntites: {
    status: 400,
    message: 'Only one of remote_ip_prefix or remote_group_id or remote_address_group_id may be provided.',
    when: 'More than one of remote prefix, group and address group in one rule.',
  },
  SecurityGroupNotSingleGroupRules: {
    status: 400,
    message: 'Only allowed to update rules for one security profile at a time',
    when: 'Rules of several groups in one request.',
  },
  SecurityGroupRulesNotSingleTenant: {
    status: 400,
    message: 'Multiple tenant_ids in bulk security group rule create not allowed',
    when: 'Rules for several projects in one request.',
  },
  DuplicateSecurityGroupRuleInPost: {
    status: 409,
    message: 'Duplicate Security Group Rule in POST.',
    when: 'The same rule twice in one request.',
  },
  SecurityGroupConflict: {
    status: 409,
    message: 'Error %(reason)s while attempting the operation.',
    when: 'Stateful and stateless groups on one port.',
  },
  DefaultSecurityGroupRuleNotFound: {
    status: 404,
    message: 'Default Security Group rule %(id)s does not exist',
    when: 'The default rule is not there.',
  },
  DefaultSecurityGroupRuleExists: {
    status: 409,
    message: 'Default Security group rule already exists. Rule id is %(rule_id)s.',
    when: 'There is the same default rule already.',
  },
  SecurityGroupRuleParameterConflict: {
    status: 400,
    message: 'Conflicting value ethertype %(ethertype)s for CIDR %(cidr)s',
    when: 'The prefix is of another IP version than the rule.',
  },
  SecurityGroupEthertypeConflictWithProtocol: {
    status: 400,
    message: 'Invalid ethertype %(ethertype)s for protocol %(protocol)s.',
    when: 'A protocol of IPv6 in a rule for IPv4.',
  },
})
