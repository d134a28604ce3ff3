/** Who may see how many addresses of a network are used: administrators. */
import { ADMIN, action, crud, type RuleDefault } from './rule.ts'

const { get } = crud('/network-ip-availabilities', 'network_id')

export const networkIpAvailability: readonly RuleDefault[] = [
  action('get_network_ip_availability', get, 'See how many addresses of a network are in use.', ADMIN),
]
