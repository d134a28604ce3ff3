/** Rules that the rules of every resource refer to. */
import { helper, type RuleDefault } from './rule.ts'

export const base: readonly RuleDefault[] = [
  helper('context_is_admin', 'role:admin', 'The caller administers the cloud.'),
  helper('owner', 'tenant_id:%(tenant_id)s', "The object is of the caller's project."),
  helper('admin_or_owner', 'rule:context_is_admin or rule:owner', 'Administrator or owner.'),
  helper('context_is_advsvc', 'role:advsvc', 'The caller is an advanced service, such as a load balancer.'),
  helper(
    'admin_or_network_owner',
    'rule:context_is_admin or tenant_id:%(network:tenant_id)s',
    'Administrator, or owner of the network the object is on.',
  ),
  helper(
    'admin_owner_or_network_owner',
    'rule:owner or rule:admin_or_network_owner',
    'Administrator, owner, or owner of the network the object is on.',
  ),
  helper('network_owner', 'tenant_id:%(network:tenant_id)s', 'Owner of the network the object is on.'),
  helper('admin_only', 'rule:context_is_admin', 'Administrator and nobody else.'),
  helper(
    'sees_every_project',
    'rule:context_is_admin or rule:context_is_advsvc',
    'The caller may look beyond its own project; whatever other rules say, nobody else sees what is not shared.',
  ),
  helper('regular_user', '', 'Anyone with a valid token.'),
  helper('shared', 'field:networks:shared=True', "The network is shared with the caller's project."),
  helper('default', 'rule:admin_or_owner', 'What holds where no rule of its own exists.'),
  helper(
    'admin_or_ext_parent_owner',
    'rule:context_is_admin or tenant_id:%(ext_parent:tenant_id)s',
    'Administrator, or owner of the object this one belongs to.',
  ),
  helper('ext_parent_owner', 'tenant_id:%(ext_parent:tenant_id)s', 'Owner of the object this one belongs to.'),
  helper('sg_owner', 'tenant_id:%(security_group:tenant_id)s', 'Owner of the security group the rule is in.'),
]
