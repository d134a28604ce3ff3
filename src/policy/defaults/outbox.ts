/** Who may see what other services are told of changes, and have it told again: administrators. */
import { ADMIN, action, crud, post, put, type RuleDefault } from './rule.ts'

const { get } = crud('/outbox-events')
const again = [...put('/outbox-events/{id}/retry'), ...post('/outbox-events/retry'), ...post('/outbox-events/replay')]

export const outbox: readonly RuleDefault[] = [
  action('get_outbox_event', get, 'See what other services are told of changes.', ADMIN),
  action('retry_outbox_event', again, 'Have it told again.', ADMIN),
  action('give_up_outbox_event', put('/outbox-events/{id}/give-up'), 'Have it told no more.', ADMIN),
]
