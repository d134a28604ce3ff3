/** Who may see what other services are told of changes, and have it told again: administrators. */
import { ADMIN, action, crud, post, put, type RuleDefault } from './rule.ts'

const { get } = crud('/outbox-events')
const drivers = crud('/outbox-drivers')
const again = [...put('/outbox-events/{id}/retry'), ...post('/outbox-events/retry'), ...post('/outbox-events/replay')]

export const outbox: readonly RuleDefault[] = [
  action('get_outbox_event', get, 'See what other services are told of changes.', ADMIN),
  action('retry_outbox_event', again, 'Have it told again.', ADMIN),
  action('give_up_outbox_event', put('/outbox-events/{id}/give-up'), 'Have it told no more.', ADMIN),
  action(
    'get_outbox_driver',
    drivers.get,
    'See what drivers that follow the change log were told, and what they fail at.',
    ADMIN,
  ),
  action(
    'skip_outbox_driver_change',
    put('/outbox-drivers/{name}/skip'),
    'Have a driver go past the change it fails at.',
    ADMIN,
  ),
]
