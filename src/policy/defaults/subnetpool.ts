/** Who may do what with subnet pools and their prefixes. */
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
  put,
  type RuleDefault,
} from './rule.ts'

const { create, get, update, remove } = crud('/subnetpools')
const SHARED = 'rule:shared_subnetpools'
const ACTIONS = {
  onboard_network_subnets: "Take a network's subnets into a subnet pool.",
  add_prefixes: 'Add prefixes to a subnet pool.',
  remove_prefixes: 'Remove prefixes from a subnet pool.',
} as const

export const subnetPool: readonly RuleDefault[] = [
  helper('shared_subnetpools', 'field:subnetpools:shared=True', "The subnet pool is shared with the caller's project."),
  action('create_subnetpool', create, 'Create a subnet pool.', ADMIN_OR_MEMBER, ANYONE),
  action('create_subnetpool:shared', create, 'Give shared to a new subnet pool.', ADMIN),
  action('create_subnetpool:is_default', create, 'Give is_default to a new subnet pool.', ADMIN),
  confine(
    action(
      'get_subnetpool',
      get,
      'See a subnet pool.',
      `${ADMIN_OR_READER} or ${SHARED}`,
      `${ADMIN_OR_OWNER} or ${SHARED}`,
    ),
    `${OWN} or ${SHARED}`,
  ),
  action('update_subnetpool', update, 'Change a subnet pool.', ADMIN_OR_MEMBER, ADMIN_OR_OWNER),
  action('update_subnetpool:is_default', update, 'Change is_default of a subnet pool.', ADMIN),
  action('delete_subnetpool', remove, 'Delete a subnet pool.', ADMIN_OR_MEMBER, ADMIN_OR_OWNER),
  ...Object.entries(ACTIONS).map(([name, description]) =>
    action(name, put(`/subnetpools/{id}/${name}`), description, ADMIN_OR_MEMBER, ADMIN_OR_OWNER),
  ),
]
