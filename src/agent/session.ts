/**
 * The agent's connection to the feed: one WebSocket at a time, a list of servers tried in turn, jittered pauses that
 * grow with the outage: a server that is back after three seconds is found within one.
 *
 * Promised: messages reach `events` in the order sent; a frame is acknowledged after `events.frame` returned. A
 * connection that says nothing for two liveness checks is given up. A refusal is logged with its reason and retried
 * slowly: an operator may be about to repair it.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocket } from 'ws'
import type { Logger } from '#kernel/log.ts'
import { decodeFromServer, encode } from '#wire/codec.ts'
import type { Frame, FromAgent, Hello, Refusal, Welcome } from '#wire/messages.ts'
import { PROTOCOL_VERSION } from '#wire/messages.ts'

export interface SessionEvents {
  welcome(welcome: Welcome): void
  /** Throws to refuse the frame: the connection ends and the next server is tried. */
  frame(frame: Frame): void
  /** After the last message of a connection that was welcomed. */
  down(): void
}

export interface SessionOptions {
  /** `ws://host:port/agent`, `wss://…` or `ws+unix:/path/of.sock:/agent`. */
  readonly servers: readonly string[]
  readonly credential: string | null
  /** PEM of the authority that signed the servers' certificates; the machine's own authorities when absent. */
  readonly ca?: string | undefined
  readonly hello: () => Omit<Hello, 'type' | 'protocol'>
  readonly events: SessionEvents
  readonly log: Logger
  readonly timing?: Partial<SessionTiming>
}

export interface SessionTiming {
  /** Longest pause at the beginning of an outage, and ever. */
  readonly pauseMs: readonly [number, number]
  /** Pause after a refusal. */
  readonly refusedMs: readonly [number, number]
  readonly livenessMs: number
}
const usual: SessionTiming = { pauseMs: [300, 5000], refusedMs: [20_000, 40_000], livenessMs: 10_000 }

export interface Session {
  start(): void
  /** False when there is no welcomed connection; the message is then dropped. */
  send(message: FromAgent): boolean
  readonly connected: boolean
  /** The last refusal, until a server welcomes us. */
  readonly refusal: Refusal | null
  close(): Promise<void>
}

/** How a connection ended; `served` when it had brought the agent in sync, whatever ended it. */
interface End {
  readonly refused: boolean
  readonly served: boolean
  readonly why: string
}

export function createSession(options: SessionOptions): Session {
  const { servers, events, log } = options
  const timing = { ...usual, ...options.timing }
  const stop = new AbortController()
  let live: WebSocket | null = null
  let refusal: Refusal | null = null
  let running: Promise<void> = Promise.resolve()

  const connection: Connection = {
    welcomed: (socket, welcome) => {
      live = socket
      refusal = null
      events.welcome(welcome)
    },
    refused: (message) => {
      refusal = message
    },
    ended: (socket) => {
      if (live !== socket) return
      live = null
      events.down()
    },
  }

  const loop = async (): Promise<void> => {
    let lostAt = performance.now()
    // Agents start at different servers, so that they spread over all of them.
    for (let turn = Math.floor(Math.random() * servers.length); !stop.signal.aborted; turn++) {
      const server = servers[turn % servers.length] as string
      const end = await connect(server, options, timing, connection, stop.signal)
      if (stop.signal.aborted) return
      if (end.served) lostAt = performance.now()
      const pauseMs = end.refused ? between(timing.refusedMs) : pauseIn(performance.now() - lostAt, timing.pauseMs)
      if (end.refused) log.error({ server, reason: refusal?.reason, pauseMs }, `refused: ${end.why}`)
      else log.warn({ server, why: end.why, pauseMs }, 'no connection to the server; will try the next')
      await sleep(pauseMs, undefined, { signal: stop.signal }).catch(() => {})
    }
  }

  return {
    start: () => {
      running = loop()
    },
    send: (message) => {
      if (live?.readyState !== WebSocket.OPEN) return false
      live.send(encode(message))
      return true
    },
    get connected() {
      return live !== null
    },
    get refusal() {
      return refusal
    },
    close: async () => {
      stop.abort()
      await running
    },
  }
}

/**
 * How long to wait before the next attempt, `outageMs` after the last server was lost: up to a quarter of that, never
 * less than the first bound and never more than the second; jittered, for all agents of a server lose it at once.
 */
export function pauseIn(outageMs: number, [first, most]: SessionTiming['pauseMs']): number {
  const longest = Math.min(most, Math.max(first, outageMs / 4))
  return between([longest / 4, longest])
}

const between = ([least, most]: readonly [number, number]): number => Math.round(least + Math.random() * (most - least))

interface Connection {
  welcomed(socket: WebSocket, welcome: Welcome): void
  refused(refusal: Refusal): void
  ended(socket: WebSocket): void
}

/** One connection from start to end; never rejects. */
function connect(
  server: string,
  options: SessionOptions,
  timing: SessionTiming,
  connection: Connection,
  signal: AbortSignal,
): Promise<End> {
  return new Promise((resolve) => {
    const socket = new WebSocket(server, {
      headers: options.credential ? { authorization: `Bearer ${options.credential}` } : {},
      handshakeTimeout: 5000,
      perMessageDeflate: false,
      maxPayload: 64 * 1024 * 1024,
      ...(options.ca ? { ca: options.ca } : {}),
    })
    let [refused, served] = [false, false]
    let why: string | null = null
    let versions: Welcome['versions'] | null = null
    const leave = (reason: string): void => {
      why = reason
      socket.terminate()
    }
    const stopLiveness = watch(socket, timing.livenessMs, () => leave('the server fell silent'))
    const abort = (): void => {
      socket.close(1000)
      setTimeout(() => socket.terminate(), 1000).unref()
    }
    signal.addEventListener('abort', abort)

    socket.on('open', () => socket.send(encode({ type: 'hello', protocol: PROTOCOL_VERSION, ...options.hello() })))
    socket.on('message', (data) => {
      if (socket.readyState !== WebSocket.OPEN && versions) return
      try {
        const message = decodeFromServer(String(data), versions ?? {})
        if (message.type === 'refused') {
          refused = true
          why = message.message
          connection.refused(message)
        } else if (message.type === 'welcome') {
          versions = message.versions
          connection.welcomed(socket, message)
        } else {
          options.events.frame(message)
          served ||= message.in_sync
          socket.send(encode({ type: 'ack', frame: message.frame }))
        }
      } catch (error) {
        leave((error as Error).message)
      }
    })
    socket.on('error', (error) => {
      why ??= error.message || String((error as { code?: string }).code)
    })
    socket.on('close', (code, reason) => {
      stopLiveness()
      signal.removeEventListener('abort', abort)
      connection.ended(socket)
      resolve({ refused, served, why: why ?? (String(reason) || `closed with ${code}`) })
    })
  })
}

/**
 * Pings; calls `silent` when nothing at all came back between two pings. A check that comes late says that we were
 * held up, not the server, and only asks again. Answers how to stop.
 */
function watch(socket: WebSocket, everyMs: number, silent: () => void): () => void {
  let heard = true
  let checkedAt = performance.now()
  const hear = (): void => {
    heard = true
  }
  socket.on('pong', hear)
  socket.on('message', hear)
  const timer = setInterval(() => {
    if (socket.readyState !== WebSocket.OPEN) return
    const late = performance.now() - checkedAt > everyMs * 1.5
    checkedAt = performance.now()
    if (!heard && !late) return silent()
    heard = false
    socket.ping()
  }, everyMs)
  return () => clearInterval(timer)
}
