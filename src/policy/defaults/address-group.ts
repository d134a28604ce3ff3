/** Who may see address groups. Neutron has no rules of its own for changing them: `default` decides that. */
import { ADMIN_OR_OWNER, ADMIN_OR_READER, action, confine, crud, helper, OWN, type RuleDefault } from './rule.ts'

const { get } = crud('/address-groups')
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
]
