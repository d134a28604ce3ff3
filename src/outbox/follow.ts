/**
 * Tells mechanism drivers what was committed: every change of ports, bindings, networks and segments, at least once and
 * in order for each object. Each driver has a durable place of its own in the change log and reads by itself, so one
 * that fails is told again, later and later, and keeps nobody waiting. One server tells a driver at a time. What a driver
 * fails at is kept, and an operator may have it skipped.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { BindingChange, MechanismDriver } from '#core/contracts.ts'
import type { Logger } from '#kernel/log.ts'
import type { Registry } from '#kernel/metrics.ts'
import { createBell } from '#store/bell.ts'
import { type ChangeRow, lastReadable, readChanges, readFence } from '#store/change-reader.ts'
import { type Cursor, formatCursor } from '#store/cursor.ts'
import { holdLease } from '#store/lease.ts'
import type { Database } from '#store/pool.ts'
import { type FollowMetrics, measure } from './follow-metrics.ts'
import { inOrderOfObjects } from './order.ts'
import { eventDelay } from './pace.ts'
import { isWhole, movePlace, placeOf, readAhead, settlePlace } from './place.ts'
import { endTrouble, goPastLoss, isSkipped, keepTrouble, type Trouble, troubleOf } from './standing.ts'

export interface FollowOptions {
  readonly database: Database
  readonly drivers: readonly MechanismDriver[]
  /** Resolves when something may have been committed. */
  readonly hint: () => Promise<void>
  readonly log: Logger
  readonly registry?: Registry
  /** Seconds after which others take over from a server that is gone. */
  readonly leaseSeconds?: number
  /** Milliseconds until a change is told again that a driver failed at so many times in a row. */
  readonly delayMs?: (failures: number) => number
  /** Milliseconds a driver may take for a change; twice as many after each failure, ten times as many at most. */
  readonly limitMs?: number
}

/** What a driver's place is called. */
export const followerName = (driver: string): string => `driver ${driver}`

const KINDS = ['port', 'port_binding', 'network', 'segment']
/** The place moves once a batch: so much is told again after a crash at most. */
const BATCH = 50
const POLL_MS = 1000
/** Rows that stand at the fence are readable soon. */
const POLL_AT_FENCE_MS = 20
const LIMIT_MS = 30_000
const MOST_TIME = 10

/** Goes on until closed; drivers that follow nothing cost nothing. */
export function startFollowers(options: FollowOptions): { close(): Promise<void> } {
  const { database, drivers, log, registry, leaseSeconds = 5 } = options
  const metrics = registry ? measure(registry) : null
  const leases = drivers.flatMap((driver) => {
    if (!driver.follow) return []
    const { name } = driver
    const told = { ...options, driver, reader: followerName(name), metrics, log: log.child({ driver: name }) }
    const work = (signal: AbortSignal): Promise<void> => follow(told, signal).finally(() => metrics?.left(name))
    return [holdLease({ database, name: told.reader, seconds: leaseSeconds, work, log })]
  })
  return { close: async () => void (await Promise.all(leases.map((lease) => lease.close()))) }
}

interface Told extends FollowOptions {
  readonly driver: MechanismDriver
  /** What its place is called. */
  readonly reader: string
  readonly metrics: FollowMetrics | null
}

const OVERTAKEN = 'another server told the driver more'

/** @throws when the database does, or when another server is ahead: the lease begins anew */
async function follow(told: Told, signal: AbortSignal): Promise<void> {
  const bell = createBell(told.hint)
  signal.addEventListener('abort', () => bell.ring(), { once: true })
  let place = await begin(told)
  let trouble = await troubleOf(told.database, told.reader)
  while (!signal.aborted) {
    bell.listen()
    const read = await tellAll(told, place, trouble, signal)
    place = read.place
    trouble = null
    if (!signal.aborted) await bell.heard(read.standing ? POLL_AT_FENCE_MS : POLL_MS)
  }
}

/** Where the driver stands; one that is new begins now. */
async function begin({ database, reader }: Told): Promise<Cursor> {
  const stands = await placeOf(database, reader)
  if (stands) return stands
  const now = await lastReadable(database)
  await settlePlace(database, reader, now, null)
  return (await placeOf(database, reader)) ?? now
}

/** Where it can read on: here, unless the log was cut off meanwhile. */
async function readableFrom({ database, reader, log }: Told, place: Cursor): Promise<Cursor> {
  if (await isWhole(database, place)) return place
  const left = await goPastLoss(database, reader, place)
  if (!left) throw new Error(OVERTAKEN)
  const facts = { place: formatCursor(place), left: formatCursor(left) }
  log.error(facts, 'the change log was cut off before the driver was told: changes are lost')
  return left
}

/** Everything that can be read by now. `standing`: more is committed, and readable soon. */
async function tellAll(
  told: Told,
  from: Cursor,
  trouble: Trouble | null,
  signal: AbortSignal,
): Promise<{ place: Cursor; standing: boolean }> {
  const { database, driver, reader, metrics } = told
  const fence = await readFence(database)
  for (let place = from; ; ) {
    place = await readableFrom(told, place)
    const rows = await readChanges(database, place, fence, BATCH)
    const last = rows.at(-1)
    if (!last) metrics?.standsAt(driver.name, null)
    if (!last) return { place, standing: fence.standing }
    await tell(told, { place, rows, trouble }, signal)
    if (signal.aborted) return { place, standing: false }
    if (!(await movePlace(database, reader, place, last))) throw new Error(OVERTAKEN)
    place = last
  }
}

interface Batch {
  /** Where the driver stands until all is taken. */
  readonly place: Cursor
  readonly rows: readonly ChangeRow[]
  /** What it failed at when this server began. */
  readonly trouble: Trouble | null
}

async function tell(told: Told, { place, rows, trouble }: Batch, signal: AbortSignal): Promise<void> {
  const { database, driver, reader, metrics } = told
  const wanted = rows.filter(({ kind }) => KINDS.includes(kind))
  for (const row of inOrderOfObjects(wanted, await readAhead(database, wanted))) {
    if (signal.aborted) return
    metrics?.standsAt(driver.name, row.at)
    const failures = trouble?.change === row.cursor ? trouble.failures : 0
    const refused = await tellOnce(told, row, failures, signal)
    if (refused !== null && !signal.aborted) await insist(told, { place, row, failures: failures + 1, refused }, signal)
    if (!signal.aborted && (refused !== null || failures > 0)) await endTrouble(database, reader, row.cursor)
  }
}

interface Failed {
  readonly place: Cursor
  readonly row: ChangeRow
  /** In a row. */
  readonly failures: number
  /** What it said the last time. */
  readonly refused: string
}

/** Tells it until it takes it, or until an operator has it skipped. */
async function insist(told: Told, failed: Failed, signal: AbortSignal): Promise<void> {
  const over = new AbortController()
  const until = AbortSignal.any([signal, over.signal])
  try {
    await Promise.race([tellAgain(told, failed, until), untilSkipped(told, failed.row, until)])
  } finally {
    over.abort()
  }
}

async function tellAgain(told: Told, { place, row, ...first }: Failed, signal: AbortSignal): Promise<void> {
  const { database, driver, reader, log, metrics, delayMs = (times) => eventDelay(times, Math.random()) } = told
  let { failures, refused } = first as { failures: number; refused: string | null }
  for (; refused !== null && !signal.aborted; failures++) {
    metrics?.failed(driver.name)
    const { kind, id, op, cursor: change } = row
    log.warn({ kind, id, op, change, failures, error: refused }, 'the driver failed at a change; telling it again')
    if (!(await keepTrouble(database, reader, place, { row, failures, error: refused }))) throw new Error(OVERTAKEN)
    await pauseFor(delayMs(failures), signal)
    refused = await tellOnce(told, row, failures, signal)
  }
}

async function untilSkipped({ database, driver, log }: Told, row: ChangeRow, signal: AbortSignal): Promise<void> {
  const { kind, id, op, cursor: change } = row
  while (!signal.aborted) {
    if (await isSkipped(database, driver.name, change)) {
      log.warn({ kind, id, op, change }, 'the driver goes past a change: an operator said so')
      return
    }
    await pauseFor(POLL_MS, signal)
  }
}

/** Null: it took the change; else what went wrong. Comes back when `signal` aborts, whatever the driver does. */
async function tellOnce(
  { driver, limitMs = LIMIT_MS }: Told,
  row: ChangeRow,
  failures: number,
  signal: AbortSignal,
): Promise<string | null> {
  // One that is slow would never be done with the same time again.
  const ms = limitMs * Math.min(MOST_TIME, 2 ** failures)
  const { kind, id, op, generation, before, after } = row
  const change: BindingChange = { kind, id, op, generation, before, after }
  const end = new AbortController()
  const stop = (): void => end.abort()
  const timer = setTimeout(stop, ms)
  signal.addEventListener('abort', stop, { once: true })
  const tooLate = Promise.withResolvers<string>()
  end.signal.addEventListener('abort', () => tooLate.resolve(`it did not answer within ${ms / 1000} s`))
  const answer = async (): Promise<null> => {
    await driver.follow?.(change, end.signal)
    return null
  }
  try {
    return await Promise.race([answer().catch(wordsOf), tooLate.promise])
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', stop)
  }
}

const wordsOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

const pauseFor = (ms: number, signal: AbortSignal): Promise<void> =>
  sleep(ms, undefined, { signal }).catch(() => undefined)
