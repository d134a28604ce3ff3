/** Where a switch or a database listens (`unix:/path` or `tcp:host:port`), and how to reach it. */
import { connect, type Socket } from 'node:net'

/** Connects to `target`; rejects with a sentence naming it. IPv6 hosts stand in brackets: `tcp:[fd00::1]:6640`. */
export function openSocket(target: string, signal?: AbortSignal): Promise<Socket> {
  const options = parseTarget(target)
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(new Error(`connecting to ${target} was aborted`))
    const socket = connect(options)
    const abort = (): void => void socket.destroy(new Error('aborted'))
    const settle = (): void => {
      signal?.removeEventListener('abort', abort)
      socket.removeAllListeners('error')
      socket.removeAllListeners('connect')
    }
    signal?.addEventListener('abort', abort, { once: true })
    socket.once('error', (error) => {
      settle()
      reject(new Error(`cannot connect to ${target}: ${error.message}`, { cause: error }))
    })
    socket.once('connect', () => {
      settle()
      socket.setNoDelay(true)
      resolve(socket)
    })
  })
}

/** Throws on anything that is neither `unix:/path` nor `tcp:host:port`. */
export function parseTarget(target: string): { path: string } | { host: string; port: number } {
  if (target.startsWith('unix:') && target.length > 5) return { path: target.slice(5) }
  const tcp = /^tcp:(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(target)
  const host = tcp?.[1] ?? tcp?.[2]
  if (!host || Number(tcp?.[3]) > 65535) throw new Error(`not a target (unix:/path or tcp:host:port): ${target}`)
  return { host, port: Number(tcp?.[3]) }
}

/** Delays between attempts to reconnect: doubling from `firstMs` to `maxMs`, each shortened by up to a quarter at random. */
export interface Retry {
  readonly firstMs: number
  readonly maxMs: number
}
export const defaultRetry: Retry = { firstMs: 100, maxMs: 5_000 }

export const retryDelay = ({ firstMs, maxMs }: Retry, attempt: number): number =>
  Math.min(maxMs, firstMs * 2 ** Math.min(attempt, 30)) * (1 - Math.random() / 4)

/** Resolves after `ms`, or at once when `signal` aborts. */
export const sleep = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const done = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done, { once: true })
  })

/**
 * Runs `session` until `signal` aborts, with a growing pause between attempts. A session resolves when a connection
 * that worked has ended (the pause starts anew) and rejects when none came about (`onFailure` is told).
 */
export async function keepConnected(
  session: () => Promise<void>,
  { retry, signal, onFailure }: { retry: Retry; signal: AbortSignal; onFailure: (error: Error) => void },
): Promise<void> {
  for (let attempt = 0; !signal.aborted; attempt++) {
    const failure = await session().then(
      () => null,
      (error: Error) => error,
    )
    if (signal.aborted) return
    if (failure) onFailure(failure)
    else attempt = 0
    await sleep(retryDelay(retry, attempt), signal)
  }
}

/** A set of listeners; `add` returns the unsubscribe. A listener may unsubscribe while it is told. */
export interface Signal<T> {
  add(listener: (event: T) => void): () => void
  tell(event: T): void
}

export function createSignal<T>(): Signal<T> {
  const listeners = new Set<(event: T) => void>()
  return {
    add: (listener) => {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    tell: (event) => {
      for (const listener of listeners) listener(event)
    },
  }
}
