/** Who may do what with ports. What could deceive neighbours (addresses, owners) belongs to the network's owner. */
import { ADMIN, ADMIN_OR_MEMBER, action, confine, crud, helper, MEMBER, OWN, READER, type RuleDefault } from './rule.ts'

const { create, get, update, remove } = crud('/ports')

/** Present and former text of "an advanced service, the owner of the network, or an administrator". */
const NETWORK_OWNER = 'rule:context_is_advsvc or rule:network_owner or rule:admin_only'
const NETWORK_OWNER_FORMERLY = 'rule:context_is_advsvc or rule:admin_or_network_owner'
const PAIRS = ['allowed_address_pairs', 'allowed_address_pairs:mac_address', 'allowed_address_pairs:ip_address']

const onCreate: readonly RuleDefault[] = [
  action('create_port', create, 'Create a port.', ADMIN_OR_MEMBER, 'rule:regular_user'),
  action(
    'create_port:device_owner',
    create,
    'Give device_owner to a new port.',
    'not rule:network_device or rule:admin_only or rule:context_is_advsvc or rule:network_owner',
    'not rule:network_device or rule:context_is_advsvc or rule:admin_or_network_owner',
  ),
  ...['mac_address', 'fixed_ips:ip_address', 'port_security_enabled'].map((attribute) =>
    action(
      `create_port:${attribute}`,
      create,
      `Give ${attribute} to a new port.`,
      NETWORK_OWNER,
      NETWORK_OWNER_FORMERLY,
    ),
  ),
  ...['fixed_ips', 'fixed_ips:subnet_id'].map((attribute) =>
    action(
      `create_port:${attribute}`,
      create,
      `Give ${attribute} to a new port.`,
      `${NETWORK_OWNER} or rule:shared`,
      `${NETWORK_OWNER_FORMERLY} or rule:shared`,
    ),
  ),
  ...['binding:host_id', 'binding:profile'].map((attribute) =>
    action(`create_port:${attribute}`, create, `Give ${attribute} to a new port.`, ADMIN),
  ),
  action(
    'create_port:binding:vnic_type',
    create,
    'Give binding:vnic_type to a new port.',
    ADMIN_OR_MEMBER,
    'rule:regular_user',
  ),
  ...PAIRS.map((attribute) =>
    action(
      `create_port:${attribute}`,
      create,
      `Give ${attribute} to a new port.`,
      'rule:admin_only or rule:network_owner',
      'rule:admin_or_network_owner',
    ),
  ),
]

const onGet: readonly RuleDefault[] = [
  confine(
    action(
      'get_port',
      get,
      'See a port.',
      `${ADMIN} or rule:context_is_advsvc or ${READER} or role:reader and rule:network_owner`,
      'rule:context_is_advsvc or rule:admin_owner_or_network_owner',
    ),
    `${OWN} or rule:network_owner`,
  ),
  ...['binding:vif_type', 'binding:vif_details', 'binding:host_id', 'binding:profile', 'resource_request'].map(
    (attribute) => action(`get_port:${attribute}`, get, `See ${attribute} of a port.`, ADMIN),
  ),
]

const onUpdate: readonly RuleDefault[] = [
  action(
    'update_port',
    update,
    'Change a port.',
    `${ADMIN_OR_MEMBER} or rule:context_is_advsvc`,
    'rule:admin_or_owner or rule:context_is_advsvc',
  ),
  action(
    'update_port:device_owner',
    update,
    'Change device_owner of a port.',
    'not rule:network_device or rule:context_is_advsvc or rule:network_owner or rule:admin_only',
    'not rule:network_device or rule:context_is_advsvc or rule:admin_or_network_owner',
  ),
  action(
    'update_port:mac_address',
    update,
    'Change mac_address of a port.',
    'rule:admin_only or rule:context_is_advsvc',
  ),
  ...['fixed_ips', 'fixed_ips:ip_address', 'port_security_enabled'].map((attribute) =>
    action(`update_port:${attribute}`, update, `Change ${attribute} of a port.`, NETWORK_OWNER, NETWORK_OWNER_FORMERLY),
  ),
  action(
    'update_port:fixed_ips:subnet_id',
    update,
    'Change fixed_ips:subnet_id of a port.',
    `${NETWORK_OWNER} or rule:shared`,
    `${NETWORK_OWNER_FORMERLY} or rule:shared`,
  ),
  ...['binding:host_id', 'binding:profile'].map((attribute) =>
    action(`update_port:${attribute}`, update, `Change ${attribute} of a port.`, ADMIN),
  ),
  action(
    'update_port:binding:vnic_type',
    update,
    'Change binding:vnic_type of a port.',
    `${ADMIN_OR_MEMBER} or rule:context_is_advsvc`,
    'rule:admin_or_owner or rule:context_is_advsvc',
  ),
  ...PAIRS.map((attribute) =>
    action(
      `update_port:${attribute}`,
      update,
      `Change ${attribute} of a port.`,
      'rule:admin_only or rule:network_owner',
      'rule:admin_or_network_owner',
    ),
  ),
  action(
    'update_port:data_plane_status',
    update,
    'Change data_plane_status of a port.',
    'rule:admin_only or role:data_plane_integrator',
    'rule:admin_or_data_plane_int',
  ),
]

export const port: readonly RuleDefault[] = [
  helper('network_device', 'field:port:device_owner=~^network:', 'The port belongs to the network itself.'),
  helper(
    'admin_or_data_plane_int',
    'rule:context_is_admin or role:data_plane_integrator',
    'Administrator, or a program that watches the data plane.',
  ),
  ...onCreate,
  ...onGet,
  ...onUpdate,
  action(
    'delete_port',
    remove,
    'Delete a port.',
    `${ADMIN} or rule:context_is_advsvc or ${MEMBER} or role:member and rule:network_owner`,
    'rule:context_is_advsvc or rule:admin_owner_or_network_owner',
  ),
]
