/** Who may do what with floating IPs, the pools they come from, and the ports forwarded from them. */
import { ADMIN, ANYONE, action, belonging, crud, owned, type RuleDefault, read } from './rule.ts'

const floatingIps = crud('/floatingips')
const forwardings = crud('/floatingips/{floatingip_id}/port_forwardings', 'port_forwarding_id')

export const floatingIp: readonly RuleDefault[] = [
  ...owned('floatingip', 'a floating IP', floatingIps),
  action(
    'create_floatingip:floating_ip_address',
    floatingIps.create,
    'Choose the address of a new floating IP.',
    ADMIN,
  ),
  // A pool is an external network of the operator's: its project is nobody else's.
  action(
    'get_floatingip_pool',
    read('/floatingip_pools'),
    'See the pools of floating IPs.',
    `${ADMIN} or role:reader`,
    ANYONE,
  ),
  ...belonging('floatingip_port_forwarding', 'a port forwarding of a floating IP', forwardings),
]
