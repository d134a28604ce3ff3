/**
 * Hints between servers that the change log has grown. Sent after COMMIT, at most one every 2 ms, over a connection
 * of its own; heard over the same one, never through a pooler. Losing a hint costs a poll interval, nothing else.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '#kernel/log.ts'
import pg from 'pg'

const CHANNEL = 'deuteron_change'
const QUIET_MS = 2

export interface Notifier {
  /** Something was committed. */
  poke(): void
  /** Resolves at the next hint. */
  hint(): Promise<void>
  close(): Promise<void>
}

export function createNotifier(url: string, log: Logger): Notifier {
  let client: pg.Client | undefined
  let waiters: (() => void)[] = []
  let pending = false
  let sending = false
  let closed = false

  const wake = (): void => {
    for (const resolve of waiters.splice(0)) resolve()
  }

  const connect = async (): Promise<void> => {
    while (!closed) {
      // Hints need no durability: without this each would wait for the disk.
      const next = new pg.Client({
        connectionString: url,
        application_name: 'deuteron notify',
        options: '-c synchronous_commit=off',
        keepAlive: true,
      })
      // A server that goes says so, and then the connection breaks: two errors, and one nobody hears ends the process.
      const lost = new Promise<void>((resolve) => next.on('error', () => resolve()).once('end', () => resolve()))
      next.on('notification', wake)
      try {
        await next.connect()
        await next.query(`listen ${CHANNEL}`)
        client = next
        wake()
        await lost
      } catch (error) {
        log.debug({ error: (error as Error).message }, 'cannot listen for changes; polling')
      }
      client = undefined
      if (!closed) await sleep(500)
    }
  }
  const running = connect()

  /** One at a time: what is poked while one is under way makes one more. */
  const send = async (): Promise<void> => {
    if (sending) return
    sending = true
    while (pending && client) {
      pending = false
      await client.query(`select pg_notify('${CHANNEL}', '')`).catch(() => undefined)
    }
    pending = false
    sending = false
  }

  return {
    poke() {
      if (pending) return
      pending = true
      if (!sending) setTimeout(send, QUIET_MS)
    },
    hint: () => new Promise((resolve) => waiters.push(resolve)),
    close: async () => {
      closed = true
      await client?.end().catch(() => undefined)
      wake()
      await Promise.race([running, sleep(1000, undefined, { ref: false })])
    },
  }
}
