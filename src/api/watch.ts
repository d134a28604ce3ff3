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
import { openWatch, type Watch } from '#core/reading/watch.ts'
import type { Logger } from '#kernel/log.ts'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { paramsOf } from './request.ts'

export interface WatchOptions {
  /** Resolves when the change log may have grown. */
  readonly hint: () => Promise<void>
  readonly log: Logger
}

const KEEP_ALIVE_MS = 15_000
const LINGER_MS = 5_000
/** What a Node timer can wait for, 24.8 days: a stream as old ends and is taken up again. */
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1

export function watchRoute(app: FastifyInstance, core: Core, { hint, log }: WatchOptions): void {
  const open = new Set<() => void>()
  app.addHook('preClose', async () => {
    for (const close of open) close()
  })
  app.get('/v2.0/watch', async (request, reply) => {
    const params = paramsOf(request)
    const since = params['since']?.at(-1) ?? request.headers['last-event-id']?.toString()
    const watch = await openWatch(core, { caller: request.caller, kinds: params['kind'] ?? [], since, hint, log })
    await follow(watch, request, reply, open)
  })
}

/** Writes the stream's head and lets it run until either side ends it. */
async function follow(
  watch: Watch,
  request: FastifyRequest,
  reply: FastifyReply,
  open: Set<() => void>,
): Promise<void> {
  reply.hijack()
  reply.raw.writeHead(200, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    'x-openstack-request-id': request.id,
    'x-accel-buffering': 'no',
  })
  const stream = createStream(reply.raw)
  const stop = (reason: string) => (): void => {
    void watch.close()
    stream.end(`event: end\ndata: ${JSON.stringify({ reason })}\n\n`)
  }
  const life = Math.min(request.caller.expiresAt.getTime() - Date.now(), LONGEST_TIMEOUT_MS)
  const expiry = setTimeout(stop('token_expired'), life)
  let sending = false
  // The id moves on with what others do, so that a subscriber who sees little does not fall behind the log.
  const keepAlive = setInterval(() => {
    if (!sending) void stream.send(`: \nid: ${watch.position()}\n\n`)
  }, KEEP_ALIVE_MS)
  const stopping = stop('server_stopping')
  open.add(stopping)
  reply.raw.once('close', () => {
    clearTimeout(expiry)
    clearInterval(keepAlive)
    open.delete(stopping)
    void watch.close()
  })
  const cursor = watch.position()
  const [event, data] = watch.reset ? ['reset', { reason: watch.reset, cursor }] : ['start', { cursor }]
  await stream.send(`event: ${event}\nid: ${cursor}\ndata: ${JSON.stringify(data)}\n\n`)
  void watch.run(async (events) => {
    sending = true
    for (const one of events) await stream.send(`event: ${one.op}\nid: ${one.cursor}\ndata: ${JSON.stringify(one)}\n\n`)
    sending = false
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
