/** One JSON-RPC 1.0 connection (RFC 7047 §4): calls, notifications, echo in both directions. */
import type { Socket } from 'node:net'
import type { Logger } from '#kernel/log.ts'
import { openSocket, type TlsIdentity } from '../socket.ts'
import { createJsonFramer } from './frames.ts'

export interface Rpc {
  /** Rejects with the server's error, or when the connection closes first. */
  call(method: string, params: readonly unknown[]): Promise<unknown>
  /** Resolves once, with the reason; null after `close`. Never rejects. */
  readonly closed: Promise<Error | null>
  close(): void
}

export interface RpcOptions {
  readonly target: string
  readonly log: Logger
  readonly signal?: AbortSignal
  /** For `ssl:` targets. */
  readonly tls?: TlsIdentity
  /**
   * After this long without a byte an echo is sent; after as long again the connection is given up. 15 s without: a
   * busy server answers late, and a dead one closes its socket at once.
   */
  readonly probeMs?: number
  readonly onNotification: (method: string, params: readonly unknown[]) => void
}

/** The server answered a call with an error: `message` holds it as JSON. */
export class RpcError extends Error {
  override readonly name = 'RpcError'
}

type Waiter = { resolve(result: unknown): void; reject(error: Error): void }
type Message = { id?: unknown; method?: string; params?: unknown[]; result?: unknown; error?: unknown }

export async function connectRpc(options: RpcOptions): Promise<Rpc> {
  const socket = await openSocket(options.target, options.signal, options.tls)
  return createRpc(socket, options)
}

function createRpc(socket: Socket, { target, log, signal, probeMs = 15_000, onNotification }: RpcOptions): Rpc {
  const waiters = new Map<number, Waiter>()
  const frame = createJsonFramer()
  const closed = Promise.withResolvers<Error | null>()
  let nextId = 1
  let over = false
  let silent = false

  const send = (message: Message): void => void socket.write(JSON.stringify(message))

  const finish = (error: Error | null): void => {
    if (over) return
    over = true
    clearInterval(probe)
    signal?.removeEventListener('abort', close)
    socket.destroy()
    const reason = error ?? new Error(`the connection to ${target} was closed`)
    for (const { reject } of waiters.values()) reject(reason)
    waiters.clear()
    closed.resolve(error)
  }
  const close = (): void => finish(null)

  const receive = (message: Message): void => {
    if (message.method === 'echo') return send({ id: message.id, result: message.params, error: null })
    if (message.method !== undefined) return onNotification(message.method, message.params ?? [])
    const waiter = waiters.get(message.id as number)
    waiters.delete(message.id as number)
    if (message.error) waiter?.reject(new RpcError(JSON.stringify(message.error)))
    else waiter?.resolve(message.result)
  }

  const call = (method: string, params: readonly unknown[]): Promise<unknown> =>
    new Promise((resolve, reject) => {
      if (over) return reject(new Error(`the connection to ${target} is closed`))
      const id = nextId++
      waiters.set(id, { resolve, reject })
      send({ id, method, params: [...params] })
    })

  const probe = setInterval(() => {
    if (silent) return finish(new Error(`${target} did not answer an echo within ${probeMs} ms`))
    silent = true
    call('echo', []).catch((error: Error) => log.debug({ target, error: error.message }, 'ovsdb echo failed'))
  }, probeMs)
  probe.unref()

  socket.on('data', (chunk: Buffer) => {
    silent = false
    try {
      for (const message of frame(chunk)) receive(message as Message)
    } catch (error) {
      finish(new Error(`cannot understand ${target}: ${(error as Error).message}`, { cause: error }))
    }
  })
  socket.on('error', (error) => finish(new Error(`the connection to ${target} failed: ${error.message}`)))
  socket.on('close', () => finish(new Error(`${target} closed the connection`)))
  signal?.addEventListener('abort', close, { once: true })
  return { call, closed: closed.promise, close }
}
