/** Who may do what with routers, their attributes, interfaces and routes, and what runs on them. */
import {
  ADMIN,
  ADMIN_OR_MEMBER,
  ADMIN_OR_OWNER,
  action,
  belonging,
  crud,
  owned,
  put,
  type RuleDefault,
} from './rule.ts'

const paths = crud('/routers')
const helpers = crud('/routers/{router_id}/conntrack_helpers', 'conntrack_helper_id')

/** Of a gateway, its network is the tenant's to choose; its addresses and whether it translates are not. */
const attributes = (op: 'create' | 'update', say: (attribute: string) => string): readonly RuleDefault[] => [
  ...['distributed', 'ha', 'external_gateway_info:enable_snat', 'external_gateway_info:external_fixed_ips'].map(
    (attribute) => action(`${op}_router:${attribute}`, paths[op], say(attribute), ADMIN),
  ),
  ...['external_gateway_info', 'external_gateway_info:network_id'].map((attribute) =>
    action(`${op}_router:${attribute}`, paths[op], say(attribute), ADMIN_OR_MEMBER, ADMIN_OR_OWNER),
  ),
]

const ACTIONS = {
  add_router_interface: 'Connect a router to a subnet or port.',
  remove_router_interface: 'Disconnect a router from a subnet or port.',
  add_extraroutes: 'Add routes to a router.',
  remove_extraroutes: 'Remove routes from a router.',
} as const

export const router: readonly RuleDefault[] = [
  ...owned('router', 'a router', paths),
  ...attributes('create', (attribute) => `Give ${attribute} to a new router.`),
  ...attributes('update', (attribute) => `Change ${attribute} of a router.`),
  action('get_router:distributed', paths.get, 'See distributed of a router.', ADMIN),
  action('get_router:ha', paths.get, 'See ha of a router.', ADMIN),
  ...Object.entries(ACTIONS).map(([name, description]) =>
    action(name, put(`/routers/{id}/${name}`), description, ADMIN_OR_MEMBER, ADMIN_OR_OWNER),
  ),
  ...belonging('router_conntrack_helper', 'a conntrack helper of a router', helpers),
  ...owned('ndp_proxy', 'an NDP proxy', crud('/ndp_proxies')),
]
