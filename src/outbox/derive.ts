/**
 * From the change log to events: reads on from a durable place, and moves that place in the transaction that writes the
 * events. Two servers that do it at once lose nothing and write nothing twice: the place moves by compare-and-swap.
 */
import { newId } from '#kernel/ids.ts'
import type { Logger } from '#kernel/log.ts'
import { type ChangeRow, lastReadable, readChanges, readFence } from '#store/change-reader.ts'
import { type Cursor, formatCursor } from '#store/cursor.ts'
import type { Database } from '#store/pool.ts'
import { inTransaction, type Transaction } from '#store/transaction.ts'
import type { DerivedEvent, OutboxEvent } from './event.ts'
import { isServerPort, type NovaWishes, novaEvents, type Ports, portsOfFloatingIp } from './nova-events.ts'
import { inOrderOfObjects, type Tail, withoutRepetitions } from './order.ts'
import { isWhole, movePlace, placeOf, readAhead, settlePlace } from './place.ts'
import { lookAt, touched, type Touched } from './placement-events.ts'
import { carryOut } from './requests.ts'

const READER = 'outbox'

export interface DeriveOptions {
  readonly database: Database
  readonly nova: NovaWishes
  readonly placement: boolean
  readonly log: Logger
  /** Rows at a time. */
  readonly batch?: number
}

export interface Derived {
  /** Events written, wishes of operators carried out included. */
  readonly events: number
  /** An open transaction stands before rows that are committed: look again at once. */
  readonly standing: boolean
}

/** Everything that can be read by now. @throws when the database does */
export async function derive(options: DeriveOptions): Promise<Derived> {
  const { database, batch = 500 } = options
  const fence = await readFence(database)
  let cursor = await begin(options)
  for (let events = 0; ; ) {
    const rows = await readChanges(database, cursor, fence, batch)
    const last = rows.at(-1)
    if (!last) return { events, standing: fence.standing }
    const written = await step(options, cursor, rows, last)
    // Another server was faster: it goes on from where the place is now.
    if (written === null) return { events, standing: true }
    events += written
    cursor = last
    if (rows.length < batch) return { events, standing: fence.standing }
  }
}

/** Where we stand. */
async function begin(options: DeriveOptions): Promise<Cursor> {
  const { database, log } = options
  const stands = await placeOf(database, READER)
  if (stands && (await isWhole(database, stands))) return stands
  if (stands)
    log.error({ place: formatCursor(stands) }, 'the change log was cut off before the outbox read it: events are lost')
  const now = await lastReadable(database)
  await settleAt(options, now, stands)
  return (await placeOf(database, READER)) ?? now
}

/** Begins at `place`, with every routed segment to be looked at: the first time, or instead of `lost`. */
const settleAt = ({ database, placement }: DeriveOptions, place: Cursor, lost: Cursor | null): Promise<void> =>
  inTransaction(database, async (tx) => {
    const settled = await settlePlace(tx, READER, place, lost)
    if (settled && placement) await insertEvents(tx, await looksAtAll(tx))
    return { value: undefined }
  })

/** Makes the place, if there is none. */
export async function establish(options: DeriveOptions): Promise<void> {
  await begin(options)
}

const looksAtAll = async (tx: Transaction): Promise<DerivedEvent[]> => {
  const rows = await tx.query<{ id: string }>(
    'select distinct segment_id as id from subnets where segment_id is not null order by 1',
  )
  return rows.map(({ id }) => ({ ...lookAt(id), era: null, xid: null, seq: null, ordinal: null }))
}

/** Events of `rows`, and the place behind them, in one transaction. Null: the place was not `cursor` any more. */
const step = (options: DeriveOptions, cursor: Cursor, rows: readonly ChangeRow[], to: Cursor): Promise<number | null> =>
  inTransaction(options.database, async (tx) => {
    if (!(await movePlace(tx, READER, cursor, to))) return { value: null, commit: false }
    const asked = await carryOut(tx, rows)
    const events = [...(await eventsForNova(tx, options.nova, rows)), ...(await eventsForPlacement(tx, options, rows))]
    if (events.length === 0) return { value: asked }
    const kept = withoutRepetitions(events, await tailsOf(tx, events))
    await insertEvents(tx, kept)
    return { value: asked + kept.length }
  })

async function eventsForNova(tx: Transaction, wishes: NovaWishes, all: readonly ChangeRow[]): Promise<DerivedEvent[]> {
  if (!wishes.status && !wishes.data) return []
  const rows = all.filter(concernsNova)
  if (rows.length === 0) return []
  const ports = await portsOf(tx, rows)
  const ahead = await readAhead(tx, rows)
  return inOrderOfObjects(rows, ahead).flatMap((row) => from(row, novaEvents(row, ports, wishes)))
}

const concernsNova = ({ kind, before, after }: ChangeRow): boolean =>
  kind === 'floatingip' ||
  ((kind === 'port' || kind === 'port_binding') && [before, after].some((port) => port !== null && isServerPort(port)))

const from = ({ era, xid, seq }: ChangeRow, events: readonly OutboxEvent[]): DerivedEvent[] =>
  events.map((event, ordinal) => ({ ...event, era, xid, seq, ordinal }))

/** The ports, as they are now, that floating IPs of these rows pointed to. One that is gone says so itself. */
async function portsOf(tx: Transaction, rows: readonly ChangeRow[]): Promise<Ports> {
  const ids = rows.flatMap((row) => (row.kind === 'floatingip' ? portsOfFloatingIp(row) : []))
  if (ids.length === 0) return new Map()
  const ports = await tx.query<{ id: string }>(
    'select id, device_id, device_owner from ports where id = any($1::uuid[])',
    [ids],
  )
  return new Map(ports.map((port) => [port.id, port]))
}

async function eventsForPlacement(
  tx: Transaction,
  { placement }: DeriveOptions,
  rows: readonly ChangeRow[],
): Promise<DerivedEvent[]> {
  if (!placement) return []
  const touches = rows.map((row) => ({ row, touch: touched(row) })).filter(({ touch }) => !isNothing(touch))
  if (touches.length === 0) return []
  const segments = await segmentsOf(
    tx,
    touches.map(({ touch }) => touch),
  )
  return touches.flatMap(({ row, touch }) =>
    from(
      row,
      [
        ...new Set(
          segments
            .filter((one) => isTouched(one, touch))
            .map(({ id }) => id)
            .concat(touch.segments),
        ),
      ].map(lookAt),
    ),
  )
}

const isNothing = ({ segments, subnets, physicalNetworks }: Touched): boolean =>
  segments.length + subnets.length + physicalNetworks.length === 0

interface RoutedSubnet {
  readonly id: string
  readonly subnet: string
  readonly physical_network: string | null
}
const isTouched = ({ subnet, physical_network }: RoutedSubnet, touch: Touched): boolean =>
  touch.subnets.includes(subnet) || (physical_network !== null && touch.physicalNetworks.includes(physical_network))

/** The segments, with their subnets, that have any of these subnets or physical networks. */
const segmentsOf = (tx: Transaction, touches: readonly Touched[]): Promise<RoutedSubnet[]> =>
  tx.query<RoutedSubnet & Record<string, unknown>>(
    `select g.id, s.id as subnet, g.physical_network from subnets s join network_segments g on g.id = s.segment_id
      where s.id = any($1::uuid[]) or g.physical_network = any($2::text[]) order by g.id, s.id`,
    [touches.flatMap((one) => one.subnets), touches.flatMap((one) => one.physicalNetworks)],
  )

/** The last event of each subject that is not done; those that wait are kept from being taken until we are done. */
async function tailsOf(tx: Transaction, events: readonly DerivedEvent[]): Promise<Tail[]> {
  const open = await tx.query<Tail & Record<string, unknown>>(
    `select destination, subject, name, body, state from outbox_events
      where state in ('pending', 'delivering') and subject = any($1::uuid[]) order by position for update`,
    [[...new Set(events.map(({ subject }) => subject))]],
  )
  return open
}

async function insertEvents(tx: Transaction, events: readonly DerivedEvent[]): Promise<void> {
  if (events.length === 0) return
  const rows = events.map(({ xid, seq, ...event }) => ({
    id: newId(),
    ...event,
    xid: xid === null ? null : String(xid),
    seq: seq === null ? null : String(seq),
  }))
  await tx.query(
    `insert into outbox_events (id, destination, subject, name, body, era, xid, seq, ordinal)
      select e.id, e.destination, e.subject, e.name, e.body, e.era, e.xid, e.seq, e.ordinal
        from rows from (jsonb_to_recordset($1) as (id uuid, destination text, subject uuid, name text, body jsonb,
          era integer, xid xid8, seq bigint, ordinal integer)) with ordinality as e (id, destination, subject, name, body, era, xid, seq, ordinal, n)
        order by e.n
      on conflict (destination, era, xid, seq, ordinal) do nothing`,
    [JSON.stringify(rows)],
  )
}
