/** Who may do what with networks, and with which of their attributes. */
import {
  ADMIN,
  ADMIN_OR_MEMBER,
  ADMIN_OR_READER,
  action,
  confine,
  crud,
  helper,
  OWN,
  READER,
  type RuleDefault,
} from './rule.ts'

const { create, get, update, remove } = crud('/networks')
const PROVIDER = ['provider:network_type', 'provider:physical_network', 'provider:segmentation_id']

export const network: readonly RuleDefault[] = [
  helper('external', 'field:networks:router:external=True', 'The network leads outside.'),
  helper('external_here', 'field:networks:external:mine=True', "The network leads outside for the caller's project."),
  action('create_network', create, 'Create a network.', ADMIN_OR_MEMBER, 'rule:regular_user'),
  ...['shared', 'router:external', 'is_default', 'segments', ...PROVIDER].map((attribute) =>
    action(`create_network:${attribute}`, create, `Give ${attribute} to a new network.`, ADMIN),
  ),
  action(
    'create_network:port_security_enabled',
    create,
    'Give port_security_enabled to a new network.',
    ADMIN_OR_MEMBER,
    'rule:regular_user',
  ),
  confine(
    action(
      'get_network',
      get,
      'See a network.',
      `${ADMIN} or ${READER} or rule:shared or rule:external or rule:context_is_advsvc`,
      'rule:admin_or_owner or rule:shared or rule:external or rule:context_is_advsvc',
    ),
    `${OWN} or rule:shared or rule:external_here`,
  ),
  action(
    'get_network:router:external',
    get,
    'See router:external.',
    `${ADMIN_OR_READER} or rule:shared or rule:external`,
    'rule:regular_user',
  ),
  ...['segments', ...PROVIDER].map((attribute) =>
    action(`get_network:${attribute}`, get, `See ${attribute} of a network.`, ADMIN),
  ),
  action('update_network', update, 'Change a network.', ADMIN_OR_MEMBER, 'rule:admin_or_owner'),
  ...['segments', 'shared', ...PROVIDER, 'router:external', 'is_default'].map((attribute) =>
    action(`update_network:${attribute}`, update, `Change ${attribute} of a network.`, ADMIN),
  ),
  action(
    'update_network:port_security_enabled',
    update,
    'Change port_security_enabled of a network.',
    ADMIN_OR_MEMBER,
    'rule:admin_or_owner',
  ),
  action('delete_network', remove, 'Delete a network.', ADMIN_OR_MEMBER, 'rule:admin_or_owner'),
]
