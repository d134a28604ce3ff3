/** Who may do what with subnets; the owner of the network counts as well as the subnet's own. */
import { ADMIN, ADMIN_OR_MEMBER, ADMIN_OR_READER, action, confine, crud, OWN, type RuleDefault } from './rule.ts'

const { create, get, update, remove } = crud('/subnets')
const MEMBER_OR_NETWORK_OWNER = `${ADMIN_OR_MEMBER} or rule:network_owner`
const FORMERLY = 'rule:admin_or_network_owner'

export const subnet: readonly RuleDefault[] = [
  action('create_subnet', create, 'Create a subnet.', MEMBER_OR_NETWORK_OWNER, FORMERLY),
  action('create_subnet:segment_id', create, 'Give segment_id to a new subnet.', ADMIN),
  action('create_subnet:service_types', create, 'Give service_types to a new subnet.', ADMIN),
  confine(
    action(
      'get_subnet',
      get,
      'See a subnet.',
      `${ADMIN_OR_READER} or rule:shared`,
      'rule:admin_or_owner or rule:shared',
    ),
    `${OWN} or rule:network_owner or rule:shared`,
  ),
  action('get_subnet:segment_id', get, 'See segment_id of a subnet.', ADMIN),
  action('update_subnet', update, 'Change a subnet.', MEMBER_OR_NETWORK_OWNER, FORMERLY),
  action('update_subnet:segment_id', update, 'Change segment_id of a subnet.', ADMIN),
  action('update_subnet:service_types', update, 'Change service_types of a subnet.', ADMIN),
  action('delete_subnet', remove, 'Delete a subnet.', MEMBER_OR_NETWORK_OWNER, FORMERLY),
]
