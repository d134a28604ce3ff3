/** Errors of the outbox. */
import { define } from './spec.ts'

export const outboxErrors = define({
  OutboxEventNotFound: {
    status: 404,
    message: 'Outbox event %(outbox_event_id)s could not be found.',
    when: 'The event does not exist, or was delivered so long ago that it was removed.',
  },
})
