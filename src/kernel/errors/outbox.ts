/** Errors of the outbox. */
import { define } from './spec.ts'

export const outboxErrors = define({
  OutboxEventNotFound: {
    status: 404,
    message: 'Outbox event %(outbox_event_id)s could not be found.',
    when: 'The event does not exist, or was delivered so long ago that it was removed.',
  },
  OutboxDriverNotFound: {
    status: 404,
    message: 'Driver %(driver)s could not be found among those that follow the change log.',
    when: 'No mechanism driver of this name was ever told of changes.',
  },
  OutboxDriverStandsElsewhere: {
    status: 409,
    message: 'Driver %(driver)s does not fail at change %(change)s: the one it fails at is %(stands)s.',
    when: 'A driver is to skip a change that it does not fail at, or not any more.',
  },
})
