/**
 * A Nova for tests: takes external events as its API does (200, 207 with codes, 404 when it can hand on none), keeps host
 * aggregates, and can be made slow, broken, or gone.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'

export interface NovaEvent {
  readonly name: string
  readonly server_uuid: string
  readonly tag: string
  readonly status?: string
}

export interface Request {
  readonly method: string
  readonly path: string
  readonly headers: IncomingMessage['headers']
  // biome-ignore lint/suspicious/noExplicitAny: tests look into bodies of every shape.
  readonly body: any
}
export interface Reply {
  readonly status: number
  readonly body?: unknown
  /** The connection is broken off in the middle of the body. */
  readonly cut?: boolean
}

export interface JsonServer extends AsyncDisposable {
  readonly url: string
}

/** Answers every request by `answer`; null: the connection is broken off. */
export async function jsonServer(answer: (request: Request) => Promise<Reply | null>): Promise<JsonServer> {
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const text = Buffer.concat(chunks).toString('utf8')
    const { method = '', url = '', headers } = request
    const reply = await answer({ method, path: url, headers, body: text === '' ? undefined : JSON.parse(text) })
    if (reply === null) response.destroy()
    else {
      const said = reply.body === undefined ? '' : JSON.stringify(reply.body)
      response.writeHead(reply.status, {
        'content-type': 'application/json',
        ...(reply.status !== 204 && { 'content-length': Buffer.byteLength(said) }),
      })
      if (reply.cut) response.write(said.slice(0, said.length / 2), () => response.destroy())
      else response.end(said)
    }
  }
  const server = createServer((request, response) => {
    handle(request, response).catch(() => response.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

export interface NovaStub extends JsonServer {
  /** Everything it took, in the order in which it came, repetitions included. */
  readonly taken: NovaEvent[]
  /** Requests for events, answered or not. */
  readonly requests: NovaEvent[][]
  /**
   * Whole requests are answered so instead: a status, `break` the connection; after having taken all: `forget` to answer,
   * `cut` the connection in the middle of the answer, answer `nonsense`.
   */
  fault: ((events: readonly NovaEvent[]) => number | 'break' | 'forget' | 'cut' | 'nonsense' | null) | null
  /** The code of one event; 200 without. */
  code: ((event: NovaEvent) => number) | null
  delayMs: number
  /** Tokens it takes; null: it asks for none. */
  tokens: ReadonlySet<string> | null
  readonly aggregates: Map<number, { id: number; uuid: string; name: string; hosts: string[] }>
  /** The compute hosts it knows; null: any. */
  hosts: ReadonlySet<string> | null
}

const notFound = { status: 404, body: { itemNotFound: { code: 404, message: 'No instances found for any event' } } }

export async function novaStub(): Promise<NovaStub> {
  const state: Omit<NovaStub, keyof JsonServer> = {
    taken: [],
    requests: [],
    fault: null,
    code: null,
    delayMs: 0,
    tokens: null,
    aggregates: new Map(),
    hosts: null,
  }
  const server = await jsonServer(async (request) => {
    if (state.delayMs > 0) await sleep(state.delayMs)
    if (state.tokens && !state.tokens.has(String(request.headers['x-auth-token']))) return { status: 401, body: {} }
    if (request.path.endsWith('/os-server-external-events')) return takeEvents(state, request.body.events)
    return aggregates(state, request)
  })
  return Object.assign(state, server)
}

export interface Witnessed<Seen> {
  readonly port: string
  readonly seen: Promise<Seen>
}

/** Looks at the port whenever its event of this name comes, before it is answered; what was seen, in that order. */
export function witness<Seen>(
  nova: NovaStub,
  name: string,
  look: (port: string) => Promise<Seen>,
): readonly Witnessed<Seen>[] {
  const all: Witnessed<Seen>[] = []
  nova.fault = (events) => {
    for (const { tag } of events.filter((one) => one.name === name)) all.push({ port: tag, seen: look(tag) })
    return null
  }
  return all
}

function takeEvents(state: Omit<NovaStub, keyof JsonServer>, events: NovaEvent[]): Reply | null {
  state.requests.push(events)
  const fault = state.fault?.(events) ?? null
  if (fault === 'break') return null
  if (typeof fault === 'number') return { status: fault, body: { computeFault: { message: 'broken for a test' } } }
  const codes = events.map((event) => state.code?.(event) ?? 200)
  state.taken.push(...events.filter((_, index) => codes[index] === 200))
  if (fault === 'forget') return null
  if (fault === 'nonsense') return { status: 200, body: 'taken' }
  if (!codes.includes(200)) return notFound
  const told = events.map((event, index) => ({
    ...event,
    code: codes[index],
    status: codes[index] === 200 ? (event.status ?? 'completed') : 'failed',
  }))
  const status = codes.every((code) => code === 200) ? 200 : 207
  return { status, body: { events: told }, cut: fault === 'cut' }
}

function aggregates(state: Omit<NovaStub, keyof JsonServer>, { method, path, body }: Request): Reply {
  const [, id, action] = /\/os-aggregates(?:\/(\d+))?(\/action)?$/.exec(path) ?? []
  if (id === undefined && method === 'GET') return { status: 200, body: { aggregates: [...state.aggregates.values()] } }
  if (id === undefined) {
    const { name } = body.aggregate
    if ([...state.aggregates.values()].some((one) => one.name === name)) return { status: 409, body: {} }
    const made = { id: state.aggregates.size + 1, uuid: randomUUID(), name, hosts: [] }
    state.aggregates.set(made.id, made)
    return { status: 200, body: { aggregate: made } }
  }
  const found = state.aggregates.get(Number(id))
  if (!found) return { status: 404, body: {} }
  if (method === 'DELETE') {
    if (found.hosts.length > 0) return { status: 409, body: {} }
    state.aggregates.delete(found.id)
    return { status: 200 }
  }
  if (!action) return { status: 404, body: {} }
  const { host } = body.add_host ?? body.remove_host
  if (state.hosts && !state.hosts.has(host)) return { status: 404, body: {} }
  if (found.hosts.includes(host) === 'add_host' in body) return { status: 409, body: {} }
  found.hosts = body.add_host ? [...found.hosts, host] : found.hosts.filter((one) => one !== host)
  return { status: 200, body: { aggregate: found } }
}
