/**
 * One agent's connection, from its hello to its end: who may speak, in which versions, what is done with what it says.
 *
 * A hello is answered from state drained at least to the transaction horizon taken at the hello, so that changing
 * servers never takes an agent back in time. A snapshot slot is held until the agent is in sync.
 */
import type { Logger } from '#kernel/log.ts'
import type { Database } from '#store/pool.ts'
import { encode } from '#wire/codec.ts'
import { type FromAgent, type Hello, PROTOCOL_VERSION, type Refusal, type Report } from '#wire/messages.ts'
import { keyOf, type WireKey } from '#wire/objects.ts'
import { negotiate, type SpokenVersions } from '#wire/versions.ts'
import { admit } from './credentials.ts'
import type { Presence } from './presence.ts'
import { readHorizon } from './queries.ts'
import type { Realizations } from './realizations.ts'
import type { Replica } from './replica.ts'
import type { Slots } from './slots.ts'
import { Stream } from './stream.ts'
import type { ChangeSource } from './types.ts'

/** What all sessions of a feed share. */
export interface SessionContext {
  readonly database: Database
  readonly source: Pick<ChangeSource, 'waitUntil'>
  readonly replica: Replica
  readonly presence: Presence
  readonly realizations: Realizations
  readonly slots: Slots
  readonly server: string
  readonly heartbeatMs: number
  readonly log: Logger
  /** How many hosts are connected. */
  readonly crowd: () => number
  /** Takes the host for this session; a sentence when another agent, alive, has it. */
  readonly claim: (session: Session) => Promise<string | null>
}

/** The connection, as far as a session needs it. */
export interface Line {
  readonly authorization: string | undefined
  send(text: string): void
  /** Bytes accepted by `send` and not yet by the network. */
  outstanding(): number
  close(code: number, reason: string): void
}

/** WebSocket close codes: 4000 to 4999 are the application's own. */
export const CLOSE = { refused: 4003, replaced: 4009, slow: 4008, unclear: 4002, failed: 4011, leaving: 1001 } as const
const OUTSTANDING_BYTES = 4 * 1024 * 1024

export class Session {
  readonly line: Line
  readonly #context: SessionContext
  #host: string | null = null
  #credential: string | null = null
  #stream: Stream | null = null
  #giveBackSlot: (() => void) | null = null
  #held = false
  #ended = false
  #greeted = false
  /** Reports that came before the host's objects were known here. */
  #early: Report[] = []

  constructor(line: Line, context: SessionContext) {
    this.line = line
    this.#context = context
  }

  /** Null until the hello was accepted. */
  get host(): string | null {
    return this.#host
  }
  get credential(): string | null {
    return this.#credential
  }
  get stream(): Stream | null {
    return this.#stream
  }

  receive(message: FromAgent): void {
    if (message.type === 'hello') {
      if (this.#greeted) return this.line.close(CLOSE.unclear, 'a second hello')
      this.#greeted = true
      this.#answer(message).catch((error: unknown) => {
        this.#context.log.warn({ err: error, host: message.host }, 'a hello could not be answered')
        this.line.close(CLOSE.failed, 'the hello could not be answered; try another server')
      })
      return
    }
    const host = this.#host
    if (host === null) return this.#greeted ? undefined : this.line.close(CLOSE.unclear, 'hello comes first')
    if (message.type === 'ack') {
      if (!this.#stream?.acknowledge(message.frame))
        this.line.close(CLOSE.unclear, `frame ${message.frame} is not owed`)
    } else if (message.type === 'heartbeat') {
      const { configurations, started_at } = message
      this.#context.presence.beat({ host, configurations, started_at })
    } else this.#report(host, message)
  }

  /** Says why, closes, and notes it for the operator. */
  refuse(host: string, reason: Refusal['reason'], message: string): void {
    const { log, presence } = this.#context
    log.warn({ host, reason }, `agent refused: ${message}`)
    const refusal: Refusal = { type: 'refused', reason, message }
    this.line.send(encode(refusal))
    this.line.close(CLOSE.refused, reason)
    presence.refused(host, refusal).catch((error: unknown) => log.warn({ err: error, host }, 'a refusal was not noted'))
  }

  /** The connection is over. */
  async end(): Promise<void> {
    if (this.#ended) return
    this.#ended = true
    this.#stream?.close()
    this.#giveBackSlot?.()
    if (this.#host === null) return
    if (this.#held) this.#context.replica.release(this.#host)
    await this.#context.presence.disconnected(this.#host)
  }

  async #answer(hello: Hello): Promise<void> {
    const { database, presence, server, heartbeatMs } = this.#context
    const { host } = hello
    if (hello.protocol !== PROTOCOL_VERSION) {
      const message = `the agent speaks protocol ${hello.protocol}, this server ${PROTOCOL_VERSION}; upgrade the older of the two`
      return this.refuse(host, 'protocol_unknown', message)
    }
    const admission = await admit(database, host, this.line.authorization)
    if (!admission.ok) return this.refuse(host, admission.reason, admission.message)
    const negotiation = negotiate(hello.versions)
    if (!negotiation.ok) return this.refuse(host, 'versions_unknown', negotiation.message)
    this.#credential = admission.credential
    this.#host = host
    const taken = await this.#context.claim(this)
    if (taken) {
      this.#host = null
      return this.refuse(host, 'host_taken', taken)
    }
    if (this.#ended) return
    await presence.connected(host)
    const versions = negotiation.versions as Readonly<Record<keyof typeof negotiation.versions, number>>
    this.line.send(encode({ type: 'welcome', server, versions, heartbeat_interval_ms: heartbeatMs }))
    await this.#open(host, hello.have, negotiation.versions)
  }

  async #open(host: string, have: Readonly<Record<WireKey, string>>, versions: SpokenVersions): Promise<void> {
    const { database, source, replica, slots } = this.#context
    const giveBack = await slots.take()
    if (this.#ended) return giveBack()
    this.#giveBackSlot = giveBack
    const horizon = await readHorizon(database)
    await source.waitUntil(horizon.xmax)
    if (this.#ended) return
    this.#held = true
    await replica.hold(host)
    if (this.#ended) return
    this.#stream = new Stream({
      host,
      versions,
      have,
      replica,
      floor: horizon.position,
      eras: horizon.eras,
      send: (text) => this.#send(text),
      crowd: this.#context.crowd,
      onAck: ({ drop, inSync }) => this.#onAck(host, drop, inSync),
    })
    this.#stream.advance()
    for (const report of this.#early.splice(0)) this.#report(host, report)
  }

  #send(text: string): void {
    this.line.send(text)
    if (this.line.outstanding() > OUTSTANDING_BYTES) this.line.close(CLOSE.slow, 'the agent does not keep up')
  }

  #onAck(host: string, drop: readonly WireKey[], inSync: boolean): void {
    const { realizations, replica, log } = this.#context
    const complain = (error: unknown): void => log.warn({ err: error, host }, 'old realizations were not removed')
    if (inSync && this.#giveBackSlot) {
      this.#giveBackSlot()
      this.#giveBackSlot = null
      realizations.keepOnly(host, replica.topics.keysOf(host)).catch(complain)
    } else if (drop.length > 0) realizations.forget(host, drop).catch(complain)
  }

  /**
   * What is said of objects that the host is not to have (any more) is nobody's concern; nor is what is said of a
   * generation that does not exist: it belongs to a history that a restored backup ended.
   */
  #report(host: string, report: Report): void {
    const { realizations, replica } = this.#context
    if (!this.#stream) this.#early.push(report)
    else {
      const wanted = report.realizations.filter(({ kind, id, generation }) => {
        const known = replica.topics.lookup(host, keyOf(kind, id))?.object as { generation: number } | undefined
        return known !== undefined && generation <= known.generation
      })
      realizations.record(host, wanted)
    }
  }
}
