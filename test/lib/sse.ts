/** A subscriber to `GET /v2.0/watch`, as a client sees it: events in order, resumable, and able to stop reading. */
import { type ClientRequest, get, type IncomingMessage } from 'node:http'

export interface SseEvent {
  readonly event: string
  readonly id: string
  // biome-ignore lint/suspicious/noExplicitAny: events carry objects of every kind.
  readonly data: any
}

export interface Subscriber {
  readonly events: SseEvent[]
  readonly status: number
  readonly body: () => string
  /** The id to resume from, as an EventSource keeps it. */
  lastId(): string
  /** Resolves once an event satisfies `wanted`; rejects after `milliseconds`. */
  until(wanted: (event: SseEvent) => boolean, milliseconds?: number): Promise<SseEvent>
  readonly response: IncomingMessage
  readonly ended: Promise<void>
  /** Breaks the connection. */
  leave(): void
}

export async function subscribe(
  url: string,
  { query = '', headers = {}, from }: { query?: string; headers?: Record<string, string>; from?: string } = {},
): Promise<Subscriber> {
  const since = from === undefined ? {} : { 'last-event-id': from }
  const { request, response } = await open(`${url}/v2.0/watch${query}`, { ...headers, ...since })
  const events: SseEvent[] = []
  let [text, whole, lastId] = ['', '', from ?? '']
  let waiters: { wanted: (event: SseEvent) => boolean; resolve: (event: SseEvent) => void }[] = []
  const take = (block: string): void => {
    const fields = new Map(
      block.split('\n').map((line): [string, string] => {
        const colon = line.indexOf(':')
        return [line.slice(0, colon), line.slice(colon + 1).trimStart()]
      }),
    )
    lastId = fields.get('id') ?? lastId
    const data = fields.get('data')
    if (data === undefined) return
    const event = { event: fields.get('event') ?? 'message', id: lastId, data: JSON.parse(data) }
    events.push(event)
    for (const one of waiters.filter(({ wanted }) => wanted(event))) one.resolve(event)
    waiters = waiters.filter(({ wanted }) => !wanted(event))
  }
  response.setEncoding('utf8').on('data', (chunk: string) => {
    if ((response.statusCode ?? 0) !== 200) whole += chunk
    text += chunk
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      take(text.slice(0, end))
      text = text.slice(end + 2)
    }
  })
  response.on('error', () => undefined)
  const until: Subscriber['until'] = (wanted, milliseconds = 10_000) => {
    const found = events.find(wanted)
    if (found) return Promise.resolve(found)
    const { promise, resolve, reject } = Promise.withResolvers<SseEvent>()
    const timer = setTimeout(() => reject(new Error(`no such event among ${events.length}`)), milliseconds)
    waiters.push({ wanted, resolve })
    return promise.finally(() => clearTimeout(timer))
  }
  return {
    events,
    status: response.statusCode ?? 0,
    body: () => whole,
    lastId: () => lastId,
    until,
    response,
    ended: new Promise((resolve) => response.once('close', resolve)),
    leave: () => void request.destroy(),
  }
}

const open = (
  url: string,
  headers: Record<string, string>,
): Promise<{ request: ClientRequest; response: IncomingMessage }> =>
  new Promise((resolve, reject) => {
    const request = get(url, { headers, agent: false }, (response) => resolve({ request, response }))
    request.on('error', reject)
  })
