/**
 * The outbox as operators see it: what Nova and Placement were told of changes, what they answered, what still waits.
 * What operators ask is written down as a wish; the outbox carries it out where it reads the change log.
 */
import {
  type Action,
  type Context,
  defineExtension,
  defineResource,
  dictionary,
  type Draft,
  flag,
  oneOf,
  optional,
  type Resource,
  text,
  timestamp,
  uuid,
  whole,
} from '#model/define.ts'
import { outboxDriver, outboxSkip } from './outbox-drivers.ts'

const DESTINATIONS = ['nova', 'placement'] as const

const request = defineResource({
  name: 'outbox_request',
  plural: 'outbox_requests',
  table: 'outbox_requests',
  docs: 'What an operator asked of the outbox.',
  notFound: { type: 'HTTPNotFound', param: 'id' },
  operations: [],
  attributes: {
    id: uuid({}),
    wish: oneOf(['retry', 'replay', 'give_up'], {}),
    event_id: optional(uuid({})),
    destination: optional(oneOf(DESTINATIONS, {})),
    since: optional(timestamp({ column: 'since' })),
    revision_number: whole({ max: Number.MAX_SAFE_INTEGER }),
    created_at: timestamp({ column: 'created_at' }),
    updated_at: timestamp({ column: 'updated_at' }),
  },
})

const ask = async (context: Context, wish: string, asked: Partial<Draft>): Promise<undefined> => {
  await context.create(request as Resource, { wish, event_id: null, destination: null, since: null, ...asked })
  return undefined
}

const destination = optional(oneOf(DESTINATIONS, { set: 'always' }))

const actions: readonly Action[] = [
  {
    name: 'retry_outbox_event',
    method: 'PUT',
    path: 'retry',
    rule: 'retry_outbox_event',
    lock: 'none',
    status: 202,
    docs: 'Sends the event again as soon as those before it of the same subject are done, whatever became of it.',
    run: (context, { object }) => ask(context, 'retry', { event_id: object['id'] }),
  },
  {
    name: 'give_up_outbox_event',
    method: 'PUT',
    path: 'give-up',
    rule: 'give_up_outbox_event',
    lock: 'none',
    status: 202,
    docs: 'Sends the event no more: those behind it of the same subject go on.',
    run: (context, { object }) => ask(context, 'give_up', { event_id: object['id'] }),
  },
  {
    name: 'retry_failed_outbox_events',
    method: 'POST',
    path: 'retry',
    on: 'collection',
    rule: 'retry_outbox_event',
    body: { destination },
    status: 202,
    docs: 'Sends every event again, at once, that failed and waits.',
    run: (context, { body }) => ask(context, 'retry', { destination: body['destination'] ?? null }),
  },
  {
    name: 'replay_outbox_events',
    method: 'POST',
    path: 'replay',
    on: 'collection',
    rule: 'retry_outbox_event',
    body: { destination, since: timestamp({ column: 'since', set: 'always', required: true }) },
    status: 202,
    docs: 'Sends every event again that is done and came up since then, in its old order.',
    run: (context, { body }) =>
      ask(context, 'replay', { destination: body['destination'] ?? null, since: body['since'] }),
  },
]

const outboxEvent = defineResource({
  name: 'outbox_event',
  plural: 'outbox_events',
  table: 'outbox_events',
  docs: 'Something that Nova or Placement must hear of a change, and what became of it. For administrators.',
  notFound: { type: 'OutboxEventNotFound', param: 'outbox_event_id' },
  operations: ['list', 'show'],
  actions,
  attributes: {
    id: uuid({ filter: true, sort: true }),
    destination: oneOf(DESTINATIONS, { filter: true, sort: true }),
    /** The port or the segment. */
    subject: uuid({ filter: true, sort: true }),
    name: text({ filter: true, sort: true }),
    body: dictionary(),
    state: oneOf(['pending', 'delivering', 'done', 'dead'], { filter: true, sort: true }),
    /** Tried, and waits for its next time. */
    failing: flag({ filter: true, sql: "(t.state = 'pending' and t.attempts > 0)" }),
    position: whole({ max: Number.MAX_SAFE_INTEGER, sort: true }),
    attempts: whole({ max: Number.MAX_SAFE_INTEGER, sort: true }),
    /** What the destination said last, or why it could not be asked. */
    answer: optional(text({})),
    created_at: timestamp({ column: 'created_at', sort: true }),
    attempted_at: optional(timestamp({ column: 'attempted_at' })),
    not_before: timestamp({ column: 'not_before' }),
    done_at: optional(timestamp({ column: 'done_at' })),
  },
})

export const outbox = defineExtension({
  alias: 'deuteron-outbox',
  name: 'Outbox',
  description: 'What other services and drivers were told of changes, what they answered, and what still waits.',
  updated: '2026-11-22T00:00:00-00:00',
  resources: [outboxEvent, request, outboxDriver, outboxSkip] as readonly Resource[],
})
