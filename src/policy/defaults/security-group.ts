/**
 * Who may do what with security groups and their rules.
 *
 * Neutron's Zed left the administrator out of the present texts, so that switching the former ones off locked admins
 * out; later releases put `rule:admin_only` in, and so do these.
 */
import {
  ADMIN,
  ADMIN_OR_MEMBER,
  ADMIN_OR_READER,
  ANYONE,
  action,
  confine,
  crud,
  helper,
  OWN,
  type RuleDefault,
} from './rule.ts'

const group = crud('/security-groups')
const rule = crud('/security-group-rules')
const template = crud('/default-security-group-rules')
const FORMERLY = 'rule:admin_or_owner'

export const securityGroup: readonly RuleDefault[] = [
  helper(
    'admin_or_sg_owner',
    'rule:context_is_admin or tenant_id:%(security_group:tenant_id)s',
    'Administrator, or owner of the security group the rule is in.',
  ),
  helper(
    'admin_owner_or_sg_owner',
    'rule:owner or rule:admin_or_sg_owner',
    'Administrator, owner, or owner of the security group the rule is in.',
  ),
  helper(
    'shared_security_group',
    'field:security_groups:shared=True',
    "The security group is shared with the caller's project.",
  ),
  action('create_security_group', group.create, 'Create a security group.', ADMIN_OR_MEMBER, FORMERLY),
  confine(
    action(
      'get_security_group',
      group.get,
      'See a security group.',
      `${ADMIN_OR_READER} or rule:shared_security_group`,
      ANYONE,
    ),
    `${OWN} or rule:shared_security_group`,
  ),
  action('update_security_group', group.update, 'Change a security group.', ADMIN_OR_MEMBER, FORMERLY),
  action('delete_security_group', group.remove, 'Delete a security group.', ADMIN_OR_MEMBER, FORMERLY),
  action('create_security_group_rule', rule.create, 'Create a rule in a security group.', ADMIN_OR_MEMBER, FORMERLY),
  confine(
    action(
      'get_security_group_rule',
      rule.get,
      'See a rule of a security group.',
      `${ADMIN_OR_READER} or rule:sg_owner`,
      'rule:admin_owner_or_sg_owner',
    ),
    `${OWN} or rule:sg_owner`,
  ),
  action('delete_security_group_rule', rule.remove, 'Delete a rule of a security group.', ADMIN_OR_MEMBER, FORMERLY),
  action('create_default_security_group_rule', template.create, 'Create a rule that new security groups get.', ADMIN),
  action('get_default_security_group_rule', template.get, 'See the rules that new security groups get.', ANYONE),
  action('delete_default_security_group_rule', template.remove, 'Delete a rule that new security groups get.', ADMIN),
]
