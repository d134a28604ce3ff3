/** Who may do what with local IPs and the ports that answer to them. */
import { belonging, crud, owned, type RuleDefault } from './rule.ts'

const associations = crud('/local_ips/{local_ip_id}/port_associations', 'fixed_port_id')

export const localIp: readonly RuleDefault[] = [
  ...owned('local_ip', 'a local IP', crud('/local-ips')),
  // An association is made and ended, never changed.
  ...belonging('local_ip_port_association', 'an association of a local IP with a port', associations).filter(
    ({ name }) => !name.startsWith('update_'),
  ),
]
