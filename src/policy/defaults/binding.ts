/** Who may ask why a port is bound as it is, and where it could be: administrators, for the answer names hosts. */
import { ADMIN, action, post, type RuleDefault } from './rule.ts'

export const binding: readonly RuleDefault[] = [
  action(
    'get_port_binding_explanation',
    [{ method: 'GET', path: '/ports/{id}/binding-explanation' }],
    'See what each mechanism driver says to a port.',
    ADMIN,
  ),
  action('create_binding_simulation', post('/binding-simulations'), 'See where a port could be bound.', ADMIN),
]
