/**
 * Mechanism drivers that follow the change log, as operators see them: where each stands, what it fails at and why. A
 * change that a driver never takes can be skipped; it must be named, so that no other is.
 */
import { ApiError } from '#kernel/errors.ts'
import {
  type Action,
  defineResource,
  flag,
  oneOf,
  optional,
  type Resource,
  text,
  timestamp,
  uuid,
  whole,
} from '#model/define.ts'

const cursor = (options: { readonly set?: 'always'; readonly required?: true } = {}) => text({ max: 64, ...options })

/** The followers look for it whenever a driver fails. */
export const outboxSkip = defineResource({
  name: 'outbox_skip',
  plural: 'outbox_skips',
  table: 'outbox_skips',
  docs: 'A change that an operator let a driver skip.',
  notFound: { type: 'HTTPNotFound', param: 'id' },
  operations: [],
  attributes: {
    id: uuid({}),
    driver: text({}),
    change: cursor(),
    revision_number: whole({ max: Number.MAX_SAFE_INTEGER }),
    created_at: timestamp({ column: 'created_at' }),
    updated_at: timestamp({ column: 'updated_at' }),
  },
})

const skip: Action = {
  name: 'skip_outbox_driver_change',
  method: 'PUT',
  path: 'skip',
  rule: 'skip_outbox_driver_change',
  body: { change: cursor({ set: 'always', required: true }) },
  lock: 'none',
  status: 202,
  docs: 'Has the driver go past the change it fails at. `change` names it: at any other this is 409 `OutboxDriverStandsElsewhere`.',
  run: async (context, { object, body }) => {
    const { name: driver, change: stands } = object
    const { change } = body
    if (change !== stands)
      throw new ApiError('OutboxDriverStandsElsewhere', { driver, change, stands: stands ?? 'none' })
    await context.create(outboxSkip as Resource, { driver, change })
    return undefined
  },
}

export const outboxDriver = defineResource({
  name: 'outbox_driver',
  plural: 'outbox_drivers',
  table: 'outbox_drivers',
  docs: 'A mechanism driver that is told of every change of ports and bindings, and where it stands. For administrators.',
  notFound: { type: 'OutboxDriverNotFound', param: 'driver' },
  key: 'name',
  operations: ['list', 'show'],
  actions: [skip],
  attributes: {
    id: uuid({ visible: false }),
    name: text({ filter: true, sort: true }),
    /** Its place in the change log: it has taken all before, and this one. */
    place: cursor(),
    /** A server tells it at present. */
    told: flag({ filter: true }),
    /** When the first change was committed that it has not taken. */
    behind_since: optional(timestamp({ column: 'behind_since' })),
    /** The change it fails at; null: it does not fail. */
    change: optional(cursor()),
    kind: optional(text({})),
    object_id: optional(uuid({})),
    op: optional(oneOf(['create', 'update', 'delete'], {})),
    generation: optional(whole({ max: Number.MAX_SAFE_INTEGER })),
    /** How often in a row. */
    failures: whole({ max: Number.MAX_SAFE_INTEGER, sort: true }),
    error: optional(text({ max: 1000 })),
    failing: flag({ filter: true, sql: '(t.change is not null)' }),
    failing_since: optional(timestamp({ column: 'failing_since' })),
    tried_at: optional(timestamp({ column: 'tried_at' })),
    /** When changes were last lost to it: the log was cut off before it took them. */
    lost_at: optional(timestamp({ column: 'lost_at' })),
  },
})
