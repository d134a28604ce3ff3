/**
 * Work that one server at a time does, of many on one database: by a lease that the others take over when it is not
 * renewed. For a moment two may believe it is theirs (a clock that stops, a stalled process), so the work must stand
 * being done twice.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { newId } from '#kernel/ids.ts'
import type { Logger } from '#kernel/log.ts'
import type { Database } from './pool.ts'

export interface LeaseOptions {
  readonly database: Database
  /** What the work is called; also in the log. */
  readonly name: string
  /** After so long others take over from a server that is gone. */
  readonly seconds?: number
  /** Runs while the lease is held; ends soon after `signal` aborts. Should it end or fail before, it begins anew. */
  readonly work: (signal: AbortSignal) => Promise<void>
  readonly log: Logger
}

export interface Lease {
  /** Ends the work and lets another server go on at once. */
  close(): Promise<void>
}

const POLL_MS = 1000

const HOLD = `insert into leases as l (name, holder, held_until) values ($1, $2, now() + $3 * interval '1 second')
  on conflict (name) do update set holder = excluded.holder, held_until = excluded.held_until
    where l.holder = excluded.holder or l.held_until < now() returning 1`
const RELEASE = 'delete from leases where name = $1 and holder = $2'

export function holdLease({ database, name, seconds = 5, work, log }: LeaseOptions): Lease {
  const stop = new AbortController()
  const holder = newId()
  const hold = async (): Promise<boolean> => (await database.query(HOLD, [name, holder, seconds])).length > 0
  const running = (async () => {
    while (!stop.signal.aborted) {
      if (await hold().catch(() => false)) {
        log.info({ work: name }, 'this server does the work')
        await whileHeld({ hold, seconds, work, name, log }, stop.signal)
      }
      await pauseFor(POLL_MS, stop.signal)
    }
  })()
  return {
    close: async () => {
      stop.abort()
      await running
      await database.query(RELEASE, [name, holder]).catch(() => undefined)
    },
  }
}

type Held = Pick<LeaseOptions, 'work' | 'name' | 'log'> & {
  readonly hold: () => Promise<boolean>
  readonly seconds: number
}

/** Renews while the work goes on; gives it up when another has it, or when nobody can say. */
async function whileHeld({ hold, seconds, work, name, log }: Held, stop: AbortSignal): Promise<void> {
  const lost = new AbortController()
  const signal = AbortSignal.any([stop, lost.signal])
  const working = work(signal)
    .catch((error: Error) => log.warn({ work: name, error: error.message }, 'the work broke off; trying again'))
    .finally(() => lost.abort())
  let until = performance.now() + seconds * 1000
  while (!signal.aborted) {
    await pauseFor((seconds * 1000) / 5, signal)
    if (signal.aborted) break
    const asked = performance.now()
    const mine = await hold().catch(() => null)
    if (mine) until = asked + seconds * 1000
    if (mine === false || performance.now() > until) {
      log.warn({ work: name }, 'another server does the work')
      lost.abort()
    }
  }
  await working
}

const pauseFor = (ms: number, signal: AbortSignal): Promise<void> =>
  sleep(ms, undefined, { signal }).catch(() => undefined)
