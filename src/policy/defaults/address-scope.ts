/** Who may do what with address scopes. */
import {
  ADMIN,
  ADMIN_OR_MEMBER,
  ADMIN_OR_OWNER,
  ADMIN_OR_READER,
  ANYONE,
  action,
  confine,
  crud,
  helper,
  OWN,
  type RuleDefault,
} from './rule.ts'

const { create, get, update, remove } = crud('/address-scopes')
const SHARED = 'rule:shared_address_scopes'

export const addressScope: readonly RuleDefault[] = [
  helper(
    'shared_address_scopes',
    'field:address_scopes:shared=True',
    "The address scope is shared with the caller's project.",
  ),
  action('create_address_scope', create, 'Create an address scope.', ADMIN_OR_MEMBER, ANYONE),
  action('create_address_scope:shared', create, 'Give shared to a new address scope.', ADMIN),
  confine(
    action(
      'get_address_scope',
      get,
      'See an address scope.',
      `${ADMIN_OR_READER} or ${SHARED}`,
      `${ADMIN_OR_OWNER} or ${SHARED}`,
    ),
    `${OWN} or ${SHARED}`,
  ),
  action('update_address_scope', update, 'Change an address scope.', ADMIN_OR_MEMBER, ADMIN_OR_OWNER),
  action('update_address_scope:shared', update, 'Change shared of an address scope.', ADMIN),
  action('delete_address_scope', remove, 'Delete an address scope.', ADMIN_OR_MEMBER, ADMIN_OR_OWNER),
]
