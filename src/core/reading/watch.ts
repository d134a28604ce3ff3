/**
 * The change log as one caller may watch it: today's visibility, both images stripped by policy, from any position.
 * What the caller saw and may no longer see arrives as a delete without images.
 */
import type { Caller } from '#kernel/caller.ts'
import { ApiError } from '#kernel/errors.ts'
import type { Logger } from '#kernel/log.ts'
import { type ComposedResource, isLogged } from '#model/compose.ts'
import { type ChangeRow, createChangeReader, standingOf } from '#store/change-reader.ts'
import { parseCursor } from '#store/cursor.ts'
import type { Core } from '../operation.ts'
import { present } from './present.ts'
import { sees, visibleToday } from '../visible.ts'

interface Shown {
  readonly op: ChangeRow['op']
  readonly before: Readonly<Record<string, unknown>> | null
  readonly after: Readonly<Record<string, unknown>> | null
}

export type ChangeEvent = Shown & Omit<ChangeRow, 'era' | 'xid' | 'seq' | keyof Shown>

export interface WatchRequest {
  readonly caller: Caller
  /** Empty: all kinds. */
  readonly kinds: readonly string[]
  /** A cursor to go on behind; undefined: from now on. */
  readonly since: string | undefined
  /** Resolves when the log may have grown. */
  readonly hint: () => Promise<void>
  readonly log: Logger
}

export interface Watch {
  /** Why the cursor asked for leads nowhere: what the watcher holds must be listed anew. Null: it goes on from there. */
  readonly reset: 'cursor_expired' | 'era_changed' | null
  /** Everything before it has been handed on. */
  position(): string
  /** Until closed. */
  run(onEvents: (events: readonly ChangeEvent[]) => Promise<void>): Promise<void>
  close(): Promise<void>
}

export async function openWatch(core: Core, { caller, kinds, since, hint, log }: WatchRequest): Promise<Watch> {
  const wanted = knownKinds(core, kinds)
  const cursor = since === undefined ? null : cursorOf(since)
  const standing = cursor ? await standingOf(core.database, cursor) : 'readable'
  const from = standing === 'readable' ? cursor : null
  const reader = await createChangeReader({ database: core.database, from, hint, log })
  return {
    reset: standing === 'readable' ? null : standing,
    position: () => reader.position(),
    run: (onEvents) => reader.run(async (rows) => onEvents(await eventsOf(core, caller, wanted, rows))),
    close: () => reader.close(),
  }
}

function knownKinds({ model }: Core, kinds: readonly string[]): ReadonlySet<string> {
  const known = [...model.resources.values()].filter(isLogged).map(({ name }) => name)
  const unknown = kinds.find((kind) => !known.includes(kind))
  if (unknown === undefined) return new Set(kinds.length > 0 ? kinds : known)
  if (model.resources.get(unknown)?.operations.length)
    throw new ApiError(
      'HTTPBadRequest',
      {
        reason: `'${unknown}' is computed from other objects and has no changes of its own: it can be listed, not watched`,
      },
      { reason: 'computed_kind', kinds: known },
    )
  throw new ApiError('HTTPBadRequest', { reason: `'${unknown}' is no kind that can be watched` }, { kinds: known })
}

function cursorOf(text: string) {
  const cursor = parseCursor(text)
  if (cursor) return cursor
  throw new ApiError(
    'HTTPBadRequest',
    { reason: `'${text}' is no position in the change log` },
    { reason: 'bad_cursor' },
  )
}

/** The events of a batch as the caller may see them today. */
async function eventsOf(
  core: Core,
  caller: Caller,
  kinds: ReadonlySet<string>,
  rows: readonly ChangeRow[],
): Promise<ChangeEvent[]> {
  const wanted = rows.filter((row) => kinds.has(row.kind))
  const visible = await visibleNow(core, caller, wanted)
  return wanted.flatMap((row) => {
    const resource = core.model.resource(row.kind)
    const event = eventFor(core, caller, resource, row, visible.get(row.id))
    if (!event) return []
    const { cursor, kind, id, generation, superseded, at, request_id, actor, actor_name, project_id } = row
    const facts = { cursor, kind, id, generation, superseded, at, request_id, actor, actor_name, project_id }
    return [{ ...facts, ...event }]
  })
}

/** By object, whether the caller may see it today. */
async function visibleNow(
  core: Core,
  caller: Caller,
  rows: readonly ChangeRow[],
): Promise<ReadonlyMap<string, boolean>> {
  const now = new Map<string, boolean>()
  for (const [kind, some] of Map.groupBy(rows, (row) => row.kind)) {
    const ids = [...new Set(some.map((row) => row.id))]
    for (const [id, visible] of await visibleToday(core, core.model.resource(kind), caller, ids)) now.set(id, visible)
  }
  return now
}

/** What a row means to this caller; null: nothing. */
function eventFor(
  core: Core,
  caller: Caller,
  resource: ComposedResource,
  row: ChangeRow,
  today: boolean | undefined,
): Shown | null {
  const seen = (image: ChangeRow['before']): boolean => image !== null && sees(core, resource, caller, image)
  const [saw, seesNow] = [seen(row.before), seen(row.after) && today !== false]
  const shown = (image: ChangeRow['before']) => image && present(core, resource, image, caller)
  if (seesNow) return { op: saw ? row.op : 'create', before: saw ? shown(row.before) : null, after: shown(row.after) }
  if (!saw) return null
  const gone = row.op === 'delete'
  return { op: 'delete', before: gone && today !== false ? shown(row.before) : null, after: null }
}
