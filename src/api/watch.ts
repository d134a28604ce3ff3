/**
 * `GET /v2.0/watch`: the change log as server-sent events, filtered to what the caller may see, resumable.
 *
 * Each event's id is a cursor: sent back as `Last-Event-ID` or `?since=`, the stream goes on behind it, missing nothing
 * and repeating nothing. What the caller saw and may no longer see arrives as a delete without images. Both images are
 * stripped by policy. The stream ends when the token does.
 *
 * It opens with `start`, or with `reset` where the given cursor leads nowhere any more (the log was shortened behind
 * it, or the database is another): the client then lists anew, and the stream goes on from the cursor that `reset` gives.
 */
import type { ServerResponse } from 'node:http'
import type { Core } from '#core/operation.ts'
import { present } from '#core/present.ts'
import { visibleTo } from '#core/read.ts'
import type { Caller } from '#kernel/caller.ts'
import { ApiError } from '#kernel/errors.ts'
import type { Logger } from '#kernel/log.ts'
import type { ComposedResource } from '#model/compose.ts'
import { type ChangeRow, createChangeReader, standingOf } from '#store/change-reader.ts'
import { parseCursor } from '#store/cursor.ts'
import { listVisibleIds } from '#store/list.ts'
import type { Notifier } from '#store/notify.ts'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { paramsOf } from './request.ts'

export interface WatchOptions {
  readonly notifier: Pick<Notifier, 'hint'>
  readonly log: Logger
}

interface WatchEvent {
  readonly op: ChangeRow['op']
  readonly before: Readonly<Record<string, unknown>> | null
  readonly after: Readonly<Record<string, unknown>> | null
}

const KEEP_ALIVE_MS = 15_000
const LINGER_MS = 5_000
/** What a Node timer can wait for, 24.8 days: a stream as old ends and is taken up again. */
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1

export function watchRoute(app: FastifyInstance, core: Core, { notifier, log }: WatchOptions): void {
  const open = new Set<() => void>()
  app.addHook('preClose', async () => {
    for (const close of open) close()
  })
  app.get('/v2.0/watch', async (request, reply) => {
    const kinds = kindsOf(core, request)
    const { caller } = request
    const wanted = startOf(request)
    const standing = wanted ? await standingOf(core.database, wanted) : 'readable'
    const from = standing === 'readable' ? wanted : null
    const reader = await createChangeReader({ database: core.database, from, hint: () => notifier.hint(), log })
    reply.hijack()
    reply.raw.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-openstack-request-id': request.id,
      'x-accel-buffering': 'no',
    })
    const stream = createStream(reply.raw)
    const stop = (reason: string) => (): void => {
      void reader.close()
      stream.end(`event: end\ndata: ${JSON.stringify({ reason })}\n\n`)
    }
    const expiry = setTimeout(
      stop('token_expired'),
      Math.min(caller.expiresAt.getTime() - Date.now(), LONGEST_TIMEOUT_MS),
    )
    let sending = false
    // The id moves on with what others do, so that a subscriber who sees little does not fall behind the log.
    const keepAlive = setInterval(() => {
      if (!sending) void stream.send(`: \nid: ${reader.position()}\n\n`)
    }, KEEP_ALIVE_MS)
    const stopping = stop('server_stopping')
    open.add(stopping)
    reply.raw.once('close', () => {
      clearTimeout(expiry)
      clearInterval(keepAlive)
      open.delete(stopping)
      void reader.close()
    })
    const cursor = reader.position()
    const [event, data] = standing === 'readable' ? ['start', { cursor }] : ['reset', { reason: standing, cursor }]
    await stream.send(`event: ${event}\nid: ${cursor}\ndata: ${JSON.stringify(data)}\n\n`)
    void reader.run(async (rows) => {
      const texts = await eventsOf(core, caller, kinds, rows)
      sending = true
      for (const text of texts) await stream.send(text)
      sending = false
    })
  })
}

/** Writes as fast as the client reads, and nothing once the end is written. */
function createStream(raw: ServerResponse) {
  const waiting: (() => void)[] = []
  const resume = (): void => {
    for (const resolve of waiting.splice(0)) resolve()
  }
  raw.on('drain', resume)
  raw.once('close', resume)
  return {
    send: (text: string): Promise<void> =>
      raw.destroyed || raw.writableEnded || raw.write(text)
        ? Promise.resolve()
        : new Promise((resolve) => waiting.push(resolve)),
    /** A client that does not even read the end is cut off. */
    end(text: string): void {
      if (raw.destroyed || raw.writableEnded) return
      raw.end(text)
      setTimeout(() => raw.destroy(), LINGER_MS).unref()
      resume()
    },
  }
}

function kindsOf(core: Core, request: FastifyRequest): ReadonlySet<string> {
  const wanted = paramsOf(request)['kind'] ?? []
  const unknown = wanted.find((kind) => !core.model.resources.has(kind))
  if (unknown !== undefined)
    throw new ApiError(
      'HTTPBadRequest',
      { reason: `'${unknown}' is no kind that can be watched` },
      { kinds: [...core.model.resources.keys()] },
    )
  return new Set(wanted.length > 0 ? wanted : core.model.resources.keys())
}

function startOf(request: FastifyRequest) {
  const text = paramsOf(request)['since']?.at(-1) ?? request.headers['last-event-id']
  if (text === undefined) return null
  const cursor = parseCursor(String(text))
  if (!cursor)
    throw new ApiError(
      'HTTPBadRequest',
      { reason: `'${String(text)}' is no position in the change log` },
      { reason: 'bad_cursor' },
    )
  return cursor
}

/** The events of a batch as the caller may see them today. */
async function eventsOf(
  core: Core,
  caller: Caller,
  kinds: ReadonlySet<string>,
  rows: readonly ChangeRow[],
): Promise<string[]> {
  const wanted = rows.filter((row) => kinds.has(row.kind))
  const visible = await visibleNow(core, caller, wanted)
  return wanted.flatMap((row) => {
    const resource = core.model.resource(row.kind)
    const event = eventFor(core, caller, resource, row, visible.get(row.id))
    if (!event) return []
    const { cursor, kind, id, generation, superseded, at, request_id, actor, actor_name } = row
    const data = {
      cursor,
      kind,
      id,
      generation,
      superseded,
      at,
      request_id,
      actor,
      actor_name,
      project_id: row.project_id,
      ...event,
    }
    return [`event: ${event.op}\nid: ${cursor}\ndata: ${JSON.stringify(data)}\n\n`]
  })
}

/** Today's visibility of the objects that still exist. */
async function visibleNow(
  core: Core,
  caller: Caller,
  rows: readonly ChangeRow[],
): Promise<ReadonlyMap<string, boolean>> {
  const now = new Map<string, boolean>()
  for (const kind of new Set(rows.map((row) => row.kind))) {
    const resource = core.model.resource(kind)
    const rule = visibleTo(core, resource, caller)
    const ids = [...new Set(rows.filter((row) => row.kind === kind).map((row) => row.id))]
    if (rule === true) for (const id of ids) now.set(id, true)
    else for (const { id, visible } of await listVisibleIds(core.database, resource, ids, rule)) now.set(id, visible)
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
): WatchEvent | null {
  const rule = `get_${resource.name}`
  const sees = (image: ChangeRow['before']): boolean => image !== null && core.policy.allows(rule, caller, image)
  const [saw, seesNow] = [sees(row.before), sees(row.after) && today !== false]
  const shown = (image: ChangeRow['before']) => image && present(core, resource, image, caller)
  if (seesNow) return { op: saw ? row.op : 'create', before: saw ? shown(row.before) : null, after: shown(row.after) }
  if (!saw) return null
  const gone = row.op === 'delete'
  return { op: 'delete', before: gone && today !== false ? shown(row.before) : null, after: null }
}
