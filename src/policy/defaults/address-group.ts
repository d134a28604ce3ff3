/**
 * Who may do what with address groups. Neutron has no rules for changing them, so that its rule `default` decides, which
 * asks for no role; with rules of their own a reader does not change them.
 */
import {
  ADMIN_OR_MEMBER,
  ADMIN_OR_OWNER,
  ADMIN_OR_READER,
  action,
  confine,
  crud,
  helper,
  OWN,
  type RuleDefault,
} from './rule.ts'

const { create, get, update, remove } = crud('/address-groups')
const SHARED = 'rule:shared_address_groups'

export const addressGroup: readonly RuleDefault[] = [
  helper(
    'shared_address_groups',
    'field:address_groups:shared=True',
    "The address group is shared with the caller's project.",
  ),
  confine(
    action(
      'get_address_group',
      get,
      'See an address group.',
      `${ADMIN_OR_READER} or ${SHARED}`,
      `${ADMIN_OR_OWNER} or ${SHARED}`,
    ),
    `${OWN} or ${SHARED}`,
  ),
  action('create_address_group', create, 'Create an address group.', ADMIN_OR_MEMBER, ADMIN_OR_OWNER),
  action('update_address_group', update, 'Change an address group.', ADMIN_OR_MEMBER, ADMIN_OR_OWNER),
  action('delete_address_group', remove, 'Delete an address group.', ADMIN_OR_MEMBER, ADMIN_OR_OWNER),
]
