/**
 * The feed: from the change log to one ordered stream per host, and from what hosts say to realizations and
 * liveness. Any number of feeds may serve one database; an agent may change from one to another at any moment.
 *
 * change log → replica (topics) → stream → agent; agent → session → presence, realizations → effects of core.
 */
import type { WebSocket } from 'ws'
import type { Logger } from '#kernel/log.ts'
import { counter, gauge, type Registry } from '#kernel/metrics.ts'
import type { Database } from '#store/pool.ts'
import { decodeFromAgent } from '#wire/codec.ts'
import type { WireKey, WireObject } from '#wire/objects.ts'
import { eraOf } from '#wire/position.ts'
import { isHostName, revokedAmong } from './credentials.ts'
import { type ListenAt, type Listener, listen } from './listener.ts'
import { createPresence, type Presence } from './presence.ts'
import { createRealizations, type Realizations } from './realizations.ts'
import { recompute } from './recompute.ts'
import { createReplica, type Replica } from './replica.ts'
import { CLOSE, Session, type SessionContext } from './session.ts'
import { createSlots, type Slots } from './slots.ts'
import type { ChangeRow, ChangeSource, FeedEffects } from './types.ts'

export interface FeedOptions {
  readonly database: Database
  readonly source: ChangeSource
  readonly effects: FeedEffects
  readonly listen: ListenAt
  /** The domain that DHCP hands out where a network has none of its own. */
  readonly dnsDomain: string
  /** Names this server to agents and operators; unique among those on one database. */
  readonly server: string
  /** How often agents are to report. */
  readonly heartbeatMs?: number
  /** How often connections are looked after: silent ones, revoked credentials. */
  readonly watchMs?: number
  readonly log: Logger
  readonly registry?: Registry
}

export interface Feed {
  /** Listens and reads the change log; answers the TCP port, or null. Throws when the address cannot be taken. */
  start(): Promise<{ readonly port: number | null }>
  /** Ends all connections; agents move to another server. */
  close(): Promise<void>
  /** Hosts connected here. */
  hosts(): readonly string[]
  /** Frames sent to a connected host on its present connection. */
  framesTo(host: string): number
  /** What a connected host is to have, as the feed holds it; equals `recompute` once nothing is under way. */
  worldOf(host: string): ReadonlyMap<WireKey, WireObject>
  recompute(host: string): Promise<ReadonlyMap<WireKey, WireObject>>
}

const SNAPSHOTS = 50
const HELLO_MS = 10_000
const ACK_MS = 60_000
const WATCH_MS = 5_000
const PING_MS = 1_000

export const createFeed = (options: FeedOptions): Feed => new FeedServer(options)

interface Connection {
  readonly socket: WebSocket
  readonly session: Session
  heardAt: number
}

class FeedServer implements Feed {
  readonly #options: FeedOptions
  readonly #replica: Replica
  readonly #presence: Presence
  readonly #realizations: Realizations
  readonly #slots: Slots = createSlots(SNAPSHOTS)
  readonly #connections = new Set<Connection>()
  /** The session that holds a host. */
  readonly #claims = new Map<string, Connection>()
  readonly #metrics: { readonly frames: (count: number) => void } | null
  #listener: Listener | null = null
  #reading: Promise<void> = Promise.resolve()
  #watch: NodeJS.Timeout | null = null

  constructor(options: FeedOptions) {
    this.#options = options
    const { database, effects, source, server, log } = options
    this.#replica = createReplica({
      database,
      position: source.position(),
      dnsDomain: options.dnsDomain,
      onSettled: (marks) => this.#onSettled(marks),
      log,
    })
    this.#presence = createPresence(database, effects, server, log)
    const { topics } = this.#replica
    const rows = {
      port: (id: string) => topics.portRow(id),
      network: (id: string) => topics.networkRow(id),
      router: (id: string) => topics.routerRow(id),
    }
    this.#realizations = createRealizations({ database, effects, rows, log })
    this.#metrics = options.registry ? this.#measure(options.registry) : null
  }

  async start(): Promise<{ readonly port: number | null }> {
    this.#listener = await listen(this.#options.listen, (socket, authorization) => this.#accept(socket, authorization))
    this.#reading = this.#options.source.run((rows, position) => this.#onChanges(rows, position))
    this.#reading.catch((error: unknown) => this.#options.log.error({ err: error }, 'the change log is read no more'))
    this.#watch = setInterval(() => void this.#inspect(), this.#options.watchMs ?? WATCH_MS)
    return { port: this.#listener.port }
  }

  async close(): Promise<void> {
    if (this.#watch) clearInterval(this.#watch)
    const sessions = [...this.#connections].map(({ session }) => session)
    for (const { socket } of this.#connections) {
      socket.close(CLOSE.leaving, 'the server stops')
      setTimeout(() => socket.terminate(), 500).unref()
    }
    await this.#listener?.close()
    await Promise.all(sessions.map((session) => session.end().catch(() => {})))
    this.#replica.close()
    await this.#options.source.close()
    await this.#realizations.close()
    await this.#presence.close()
    await this.#reading.catch(() => {})
  }

  hosts(): readonly string[] {
    return [...this.#claims.keys()]
  }

  framesTo(host: string): number {
    return this.#claims.get(host)?.session.stream?.frames ?? 0
  }

  worldOf(host: string): ReadonlyMap<WireKey, WireObject> {
    const { topics } = this.#replica
    const keys = [...topics.keysOf(host)]
    return new Map(
      keys.flatMap((key) => (topics.lookup(host, key) ? [[key, topics.lookup(host, key)?.object as WireObject]] : [])),
    )
  }

  recompute(host: string): Promise<ReadonlyMap<WireKey, WireObject>> {
    return recompute(this.#options.database, host, this.#options.dnsDomain)
  }

  async #onChanges(rows: readonly ChangeRow[], position: string): Promise<void> {
    const began = eraOf(position) !== eraOf(this.#replica.position)
    await this.#replica.refresh(rows, position)
    // Another history: what agents have may never have been. They say what they have and get the difference.
    if (began) for (const { socket } of this.#connections) socket.close(CLOSE.leaving, 'the history began anew')
  }

  #onSettled(marks: ReadonlyMap<string, ReadonlySet<WireKey>>): void {
    for (const [host, keys] of marks) this.#claims.get(host)?.session.stream?.mark(keys)
    for (const { session } of this.#claims.values()) session.stream?.advance()
  }

  #accept(socket: WebSocket, authorization: string | undefined): void {
    const { log } = this.#options
    const session = new Session(
      {
        authorization,
        send: (text) => {
          socket.send(text)
          this.#metrics?.frames(1)
        },
        outstanding: () => socket.bufferedAmount,
        close: (code, reason) => socket.close(code, reason),
      },
      this.#context(),
    )
    const connection: Connection = { socket, session, heardAt: Date.now() }
    this.#connections.add(connection)
    const patience = setTimeout(() => {
      if (session.host === null) socket.terminate()
    }, HELLO_MS)
    const heard = (): void => {
      connection.heardAt = Date.now()
    }
    socket.on('ping', heard)
    socket.on('pong', heard)
    socket.on('message', (data) => {
      heard()
      try {
        const message = decodeFromAgent(String(data))
        if (message.type === 'hello' && !isHostName(message.host)) throw new Error(`'${message.host}' is no host name`)
        session.receive(message)
      } catch (error) {
        log.warn({ host: session.host, error: (error as Error).message }, 'an agent sent what is no message')
        socket.close(CLOSE.unclear, (error as Error).message.slice(0, 100))
      }
    })
    socket.on('error', (error) => log.debug({ host: session.host, error: error.message }, 'a connection broke'))
    socket.on('close', () => {
      clearTimeout(patience)
      this.#connections.delete(connection)
      if (session.host !== null && this.#claims.get(session.host) === connection) this.#claims.delete(session.host)
      session.end().catch((error: unknown) => log.warn({ err: error, host: session.host }, 'a connection ended badly'))
    })
  }

  #context(): SessionContext {
    const { database, source, server, heartbeatMs = 30_000, log } = this.#options
    return {
      database,
      source,
      server,
      heartbeatMs,
      log,
      replica: this.#replica,
      presence: this.#presence,
      realizations: this.#realizations,
      slots: this.#slots,
      crowd: () => this.#claims.size,
      claim: (session) => this.#claim(session),
    }
  }

  /** A connection that answers keeps its host: two agents of one name must not take turns. */
  async #claim(session: Session): Promise<string | null> {
    const host = session.host as string
    const holder = this.#claims.get(host)
    if (holder && (await answers(holder.socket)))
      return `another agent is connected as host ${host}; each host needs a name of its own`
    if (holder) {
      holder.socket.terminate()
      await holder.session.end()
    }
    const mine = [...this.#connections].find((connection) => connection.session === session)
    if (!mine) return null
    const rival = this.#claims.get(host)
    if (rival && rival !== holder) return `another agent has just connected as host ${host}`
    this.#claims.set(host, mine)
    return null
  }

  /** Ends connections that fell silent, owe an acknowledgement for too long, or whose credential was revoked. */
  async #inspect(): Promise<void> {
    const { database, heartbeatMs = 30_000, log } = this.#options
    const now = Date.now()
    for (const { socket, session, heardAt } of this.#connections) {
      const owed = session.stream?.owedSince
      if (now - heardAt > Math.max(3 * heartbeatMs, 30_000)) socket.terminate()
      else if (owed && now - owed > ACK_MS) socket.close(CLOSE.slow, 'no acknowledgement')
    }
    const credentials = [...this.#claims.values()].flatMap(({ session }) => session.credential ?? [])
    if (credentials.length === 0) return
    const revoked = await revokedAmong(database, credentials).catch((error: unknown) => {
      log.warn({ err: error }, 'cannot check for revoked credentials')
      return new Set<string>()
    })
    for (const { session } of this.#claims.values()) {
      if (session.host === null || !revoked.has(session.credential ?? '')) continue
      session.refuse(session.host, 'credential_revoked', `the credential of host ${session.host} was revoked`)
    }
  }

  #measure(registry: Registry): { readonly frames: (count: number) => void } {
    const connected = gauge(registry, 'feed_hosts', 'Hosts connected to this feed')
    const messages = counter(registry, 'feed_messages_total', 'Messages sent to agents')
    const refresh = setInterval(() => connected.set(this.#claims.size), WATCH_MS)
    refresh.unref()
    return { frames: (count) => messages.inc(count) }
  }
}

/** Whether the other end still answers within a second. */
function answers(socket: WebSocket): Promise<boolean> {
  if (socket.readyState !== socket.OPEN) return Promise.resolve(false)
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), PING_MS)
    const settle = (alive: boolean) => (): void => {
      clearTimeout(timer)
      resolve(alive)
    }
    socket.once('pong', settle(true))
    socket.once('close', settle(false))
    socket.ping()
  })
}
