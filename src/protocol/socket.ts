/** Where a switch or a database listens (`unix:/path`, `tcp:host:port`, `ssl:host:port`), and how to reach it. */
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'

/** What `ssl:` targets need, as PEM: our key and certificate, and who may have signed the peer's. */
export interface TlsIdentity {
  readonly key: string
  readonly cert: string
  readonly ca: string
}

/** A peer that neither accepts nor refuses within this time is not there. */
const CONNECT_MS = 10_000

/**
 * Connects to `target`; rejects with a sentence naming it. IPv6 hosts stand in brackets: `tcp:[fd00::1]:6640`.
 * The peer of an `ssl:` target is known by its signature alone: switches carry certificates without host names.
 */
export function openSocket(target: string, signal?: AbortSignal, tls?: TlsIdentity): Promise<Socket> {
  const { secure, ...options } = parseTarget(target)
  if (secure && !tls) return Promise.reject(new Error(`${target} needs a key, a certificate and a CA`))
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(new Error(`connecting to ${target} was aborted`))
    const socket = secure ? connectTls({ ...options, ...tls, checkServerIdentity: () => undefined }) : connect(options)
    const ready = secure ? 'secureConnect' : 'connect'
    const abort = (): void => void socket.destroy(new Error('aborted'))
    const timer = setTimeout(() => socket.destroy(new Error(`no answer in ${CONNECT_MS / 1000} s`)), CONNECT_MS)
    const settle = (): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', abort)
      socket.removeAllListeners('error')
      socket.removeAllListeners(ready)
    }
    signal?.addEventListener('abort', abort, { once: true })
    socket.once('error', (error) => {
      settle()
      reject(new Error(`cannot connect to ${target}: ${error.message}`, { cause: error }))
    })
    socket.once(ready, () => {
      settle()
      socket.setNoDelay(true)
      resolve(socket)
    })
  })
}

export type Target = ({ readonly path: string } | { readonly host: string; readonly port: number }) & {
  readonly secure?: true
}

/** Throws on anything that is not `unix:/path`, `tcp:host:port` or `ssl:host:port`. */
export function parseTarget(target: string): Target {
  if (target.startsWith('unix:') && target.length > 5) return { path: target.slice(5) }
  const [, kind, bracketed, plain, digits] = /^(tcp|ssl):(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(target) ?? []
  const host = bracketed ?? plain
  const port = Number(digits)
  if (!host || port > 65535) throw new Error(`not a target (unix:/path, tcp:host:port or ssl:host:port): ${target}`)
  return kind === 'ssl' ? { host, port, secure: true } : { host, port }
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
