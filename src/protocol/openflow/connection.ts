/** One OpenFlow 1.5 connection: greeting, echo in both directions, replies and errors by message number. */
import type { Socket } from 'node:net'
import type { Logger } from '#kernel/log.ts'
import { openSocket } from '../socket.ts'
import { createWriter, type Writer } from './bytes.ts'
import { errorName, OpenFlowError } from './errors.ts'
import { createMessageFramer } from './frames.ts'
import { MULTIPART, TYPE, VERSION, writeMessage } from './messages.ts'
import { type MonitorUpdate, readUpdates } from './replies.ts'

export interface SwitchOptions {
  /** `unix:/path/<bridge>.mgmt` or `tcp:host:port`. */
  readonly target: string
  readonly log: Logger
  readonly signal?: AbortSignal
  /**
   * After this long without a byte an echo is sent; after as long again the connection is given up. 15 s without: a
   * busy server answers late, and a dead one closes its socket at once.
   */
  readonly probeMs?: number
}

export interface Reply {
  readonly type: number
  /** Bodies of all parts of a multipart reply, without its header; else the message's body. */
  readonly body: Buffer
}

export interface Connection {
  /** A number for the next message. */
  xid(): number
  send(out: Writer): void
  /** The reply to `xid`. Rejects with `OpenFlowError`, or when the connection ends. */
  reply(xid: number): Promise<Reply>
  /** Calls `listener` on errors about `xid` instead of logging them; until `forget`. */
  watch(xid: number, listener: (reason: string) => void): void
  forget(xid: number): void
  onUpdates(listener: (updates: readonly MonitorUpdate[]) => void, xid: number): void
  readonly greeted: Promise<void>
  readonly closed: Promise<Error | null>
  close(): void
}

type Waiter = { parts: Buffer[]; resolve(reply: Reply): void; reject(error: Error): void }

class Wire implements Connection {
  readonly #socket: Socket
  readonly #options: SwitchOptions
  readonly #waiters = new Map<number, Waiter>()
  readonly #watchers = new Map<number, (reason: string) => void>()
  readonly #closed = Promise.withResolvers<Error | null>()
  readonly #greeted = Promise.withResolvers<void>()
  readonly #probe: NodeJS.Timeout
  readonly #abort = (): void => this.#finish(null)
  #updates: ((updates: readonly MonitorUpdate[]) => void) | null = null
  #monitorXid = 0
  #lastXid = 0
  #over = false
  #silent = false

  constructor(socket: Socket, options: SwitchOptions) {
    this.#socket = socket
    this.#options = options
    this.#greeted.promise.catch(() => undefined)
    const frame = createMessageFramer()
    socket.on('data', (chunk: Buffer) => {
      this.#silent = false
      try {
        for (const message of frame(chunk)) this.#receive(message)
      } catch (error) {
        this.#finish(new Error(`cannot understand ${options.target}: ${(error as Error).message}`, { cause: error }))
      }
    })
    socket.on('error', (error) =>
      this.#finish(new Error(`the connection to ${options.target} failed: ${error.message}`)),
    )
    socket.on('close', () => this.#finish(new Error(`${options.target} closed the connection`)))
    options.signal?.addEventListener('abort', this.#abort, { once: true })
    const probeMs = options.probeMs ?? 15_000
    this.#probe = setInterval(() => this.#probeOnce(probeMs), probeMs)
    this.#probe.unref()
    const hello = createWriter()
    writeMessage(hello, TYPE.hello, this.xid())
    this.send(hello)
  }

  get greeted(): Promise<void> {
    return this.#greeted.promise
  }
  get closed(): Promise<Error | null> {
    return this.#closed.promise
  }
  xid(): number {
    this.#lastXid = (this.#lastXid % 0x7fffffff) + 1
    return this.#lastXid
  }
  send(out: Writer): void {
    this.#socket.write(out.done())
  }
  reply(xid: number): Promise<Reply> {
    return new Promise((resolve, reject) => {
      if (this.#over) return reject(new Error(`the connection to ${this.#options.target} is closed`))
      this.#waiters.set(xid, { parts: [], resolve, reject })
    })
  }
  watch(xid: number, listener: (reason: string) => void): void {
    this.#watchers.set(xid, listener)
  }
  forget(xid: number): void {
    this.#watchers.delete(xid)
  }
  onUpdates(listener: (updates: readonly MonitorUpdate[]) => void, xid: number): void {
    this.#updates = listener
    this.#monitorXid = xid
  }
  close(): void {
    this.#finish(null)
  }

  #probeOnce(probeMs: number): void {
    if (this.#silent)
      return this.#finish(new Error(`${this.#options.target} did not answer an echo within ${probeMs} ms`))
    this.#silent = true
    const echo = createWriter()
    writeMessage(echo, TYPE.echoRequest, this.xid())
    this.send(echo)
  }

  #receive(message: Buffer): void {
    const [version, type, xid, body] = [message[0], message[1], message.readUInt32BE(4), message.subarray(8)]
    switch (type) {
      case TYPE.hello:
        if ((version ?? 0) >= VERSION) this.#greeted.resolve()
        else
          this.#finish(new Error(`${this.#options.target} speaks OpenFlow version ${version}, wanted ${VERSION} (1.5)`))
        return
      case TYPE.echoRequest: {
        const answer = createWriter()
        writeMessage(answer, TYPE.echoReply, xid, () => answer.bytes(body))
        return this.send(answer)
      }
      case TYPE.error:
        return this.#receiveError(xid, errorName(body.readUInt16BE(0), body.readUInt16BE(2)))
      case TYPE.multipartReply:
        return this.#receivePart(xid, body)
      default:
        this.#settle(xid, (waiter) => waiter.resolve({ type: type ?? 0, body }))
    }
  }

  #receivePart(xid: number, body: Buffer): void {
    const more = (body.readUInt16BE(2) & 1) === 1
    const part = body.subarray(8)
    if (body.readUInt16BE(0) === MULTIPART.flowMonitor && (xid === 0 || xid === this.#monitorXid) && part.length > 0)
      this.#updates?.(readUpdates(part))
    const waiter = this.#waiters.get(xid)
    waiter?.parts.push(part)
    if (!more)
      this.#settle(xid, ({ parts, resolve }) => resolve({ type: TYPE.multipartReply, body: Buffer.concat(parts) }))
  }

  #receiveError(xid: number, reason: string): void {
    const watcher = this.#watchers.get(xid)
    if (watcher) watcher(reason)
    else if (this.#waiters.has(xid)) this.#settle(xid, (waiter) => waiter.reject(new OpenFlowError(reason)))
    else this.#options.log.warn({ target: this.#options.target, xid, reason }, 'the switch reports an error')
  }

  #settle(xid: number, how: (waiter: Waiter) => void): void {
    const waiter = this.#waiters.get(xid)
    this.#waiters.delete(xid)
    if (waiter) how(waiter)
  }

  #finish(error: Error | null): void {
    if (this.#over) return
    this.#over = true
    clearInterval(this.#probe)
    this.#options.signal?.removeEventListener('abort', this.#abort)
    this.#socket.destroy()
    const reason = error ?? new Error(`the connection to ${this.#options.target} was closed`)
    for (const { reject } of this.#waiters.values()) reject(reason)
    this.#waiters.clear()
    this.#greeted.reject(reason)
    this.#closed.resolve(error)
  }
}

/** Connects and agrees on OpenFlow 1.5. Rejects when nobody is there or speaks something else. */
export async function openConnection(options: SwitchOptions): Promise<Connection> {
  const socket = await openSocket(options.target, options.signal)
  const connection = new Wire(socket, options)
  await connection.greeted.catch((error: Error) => {
    connection.close()
    throw error
  })
  return connection
}
