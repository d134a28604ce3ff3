/** Who may bind ports to further hosts and choose which counts: administrators, as for `binding:host_id`. */
import { ADMIN, action, crud, put, type RuleDefault } from './rule.ts'

const { create, get, update, remove } = crud('/ports/{port_id}/bindings', 'host')

export const portBinding: readonly RuleDefault[] = [
  action('create_port_binding', create, 'Bind a port to one more host.', ADMIN),
  action('get_port_binding', get, 'See the bindings of a port.', ADMIN),
  action('update_port_binding', update, 'Change a binding of a port.', ADMIN),
  action('delete_port_binding', remove, 'End a binding of a port.', ADMIN),
  action(
    'activate_port_binding',
    put('/ports/{port_id}/bindings/{host}/activate'),
    'Choose the host where a port is bound.',
    ADMIN,
  ),
]
