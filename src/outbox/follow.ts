/**
 * Tells mechanism drivers what was committed: every change of ports, bindings, networks and segments, at least once and
 * in order for each object. Each driver has a durable place of its own in the change log and reads by itself, so one
 * that fails is told again, later and later, and keeps nobody waiting. One server tells a driver at a time.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { BindingChange, MechanismDriver } from '#core/contracts.ts'
import type { Logger } from '#kernel/log.ts'
import { createBell } from '#store/bell.ts'
import { type ChangeRow, lastReadable, readChanges, readFence } from '#store/change-reader.ts'
import { type Cursor, formatCursor } from '#store/cursor.ts'
import { holdLease } from '#store/lease.ts'
import type { Database } from '#store/pool.ts'
import { inOrderOfObjects } from './order.ts'
import { eventDelay } from './pace.ts'
import { isWhole, movePlace, placeOf, readAhead, settlePlace } from './place.ts'

export interface FollowOptions {
  readonly database: Database
  readonly drivers: readonly MechanismDriver[]
  /** Resolves when something may have been committed. */
  readonly hint: () => Promise<void>
  readonly log: Logger
  /** Seconds after which others take over from a server that is gone. */
  readonly leaseSeconds?: number
  /** Milliseconds until a change is told again that a driver failed at so many times in a row. */
  readonly delayMs?: (failures: number) => number
}

/** What a driver's place is called. */
export const followerName = (driver: string): string => `driver ${driver}`

const KINDS = ['port', 'port_binding', 'network', 'segment']
/** The place moves once a batch: so much is told again after a crash at most. */
const BATCH = 50
const POLL_MS = 1000
/** Rows that stand at the fence are readable soon. */
const POLL_AT_FENCE_MS = 20

/** Goes on until closed; drivers that follow nothing cost nothing. */
export function startFollowers(options: FollowOptions): { close(): Promise<void> } {
  const { database, drivers, log, leaseSeconds = 5 } = options
  const leases = drivers.flatMap((driver) => {
    const { name } = driver
    const told: Told = { ...options, driver, log: log.child({ driver: name }) }
    const work = (signal: AbortSignal): Promise<void> => follow(told, signal)
    return driver.follow ? [holdLease({ database, name: followerName(name), seconds: leaseSeconds, work, log })] : []
  })
  return { close: async () => void (await Promise.all(leases.map((lease) => lease.close()))) }
}

interface Told extends FollowOptions {
  readonly driver: MechanismDriver
}

/** @throws when the database does, or when another server is ahead: the lease begins anew */
async function follow(told: Told, signal: AbortSignal): Promise<void> {
  const bell = createBell(told.hint)
  signal.addEventListener('abort', () => bell.ring(), { once: true })
  let place = await begin(told)
  while (!signal.aborted) {
    bell.listen()
    const read = await tellAll(told, place, signal)
    place = read.place
    if (!signal.aborted) await bell.heard(read.standing ? POLL_AT_FENCE_MS : POLL_MS)
  }
}

/** Where the driver stands; one that is new begins now. */
async function begin({ database, driver, log }: Told): Promise<Cursor> {
  const name = followerName(driver.name)
  const stands = await placeOf(database, name)
  if (stands && (await isWhole(database, stands))) return stands
  if (stands)
    log.error(
      { place: formatCursor(stands) },
      'the change log was cut off before the driver was told: changes are lost',
    )
  const now = await lastReadable(database)
  await settlePlace(database, name, now, stands)
  return (await placeOf(database, name)) ?? now
}

/** Everything that can be read by now. `standing`: more is committed, and readable soon. */
async function tellAll(told: Told, from: Cursor, signal: AbortSignal): Promise<{ place: Cursor; standing: boolean }> {
  const { database, driver } = told
  const fence = await readFence(database)
  for (let place = from; ; ) {
    const rows = await readChanges(database, place, fence, BATCH)
    const last = rows.at(-1)
    if (!last) return { place, standing: fence.standing }
    await tell(told, rows, signal)
    if (signal.aborted) return { place, standing: false }
    if (!(await movePlace(database, followerName(driver.name), place, last)))
      throw new Error('another server told the driver more')
    place = last
  }
}

async function tell(told: Told, rows: readonly ChangeRow[], signal: AbortSignal): Promise<void> {
  const wanted = rows.filter(({ kind }) => KINDS.includes(kind))
  for (const row of inOrderOfObjects(wanted, await readAhead(told.database, wanted))) {
    if (signal.aborted) return
    await untilTaken(told, row, signal)
  }
}

async function untilTaken(told: Told, row: ChangeRow, signal: AbortSignal): Promise<void> {
  const { driver, log, delayMs = (failures) => eventDelay(failures, Math.random()) } = told
  const { kind, id, op, generation, before, after } = row
  const change: BindingChange = { kind, id, op, generation, before, after }
  for (let failures = 1; !signal.aborted; failures++) {
    try {
      await unlessAborted(driver.follow?.(change), signal)
      return
    } catch (error) {
      if (signal.aborted) return
      const told = { kind, id, op, failures, error: error instanceof Error ? error.message : String(error) }
      log.warn(told, 'the driver failed at a change; telling it again')
      await sleep(delayMs(failures), undefined, { signal }).catch(() => undefined)
    }
  }
}

/** A driver that never answers does not keep a server from stopping. */
async function unlessAborted(answer: Promise<void> | undefined, signal: AbortSignal): Promise<void> {
  const aborted = Promise.withResolvers<void>()
  const stop = (): void => aborted.resolve()
  signal.addEventListener('abort', stop, { once: true })
  await Promise.race([answer, aborted.promise]).finally(() => signal.removeEventListener('abort', stop))
}
