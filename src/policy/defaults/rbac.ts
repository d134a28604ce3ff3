/** Who may share objects with other projects; with everybody at once, administrators alone. */
import { ADMIN, ADMIN_OR_OWNER, action, crud, helper, owned, type RuleDefault } from './rule.ts'

const paths = crud('/rbac-policies')
const NOT_EVERYBODY = 'not field:rbac_policy:target_tenant=* and not field:rbac_policy:target_project=*'

export const rbac: readonly RuleDefault[] = [
  helper(
    'restrict_wildcard',
    `(${NOT_EVERYBODY}) or ${ADMIN}`,
    'The policy shares with one project, or the caller is an administrator.',
  ),
  ...owned('rbac_policy', 'a policy that shares an object', paths),
  action(
    'create_rbac_policy:target_tenant',
    paths.create,
    'Choose whom a new policy shares with.',
    `${ADMIN} or (${NOT_EVERYBODY})`,
    'rule:restrict_wildcard',
  ),
  action(
    'update_rbac_policy:target_tenant',
    paths.update,
    'Change whom a policy shares with.',
    `${ADMIN} or (${NOT_EVERYBODY})`,
    `rule:restrict_wildcard and ${ADMIN_OR_OWNER}`,
  ),
]
