/**
 * Reads the change log, gap-free, behind the fence: rows of transactions older than every one still running. What
 * commits late is therefore seen late, never missed.
 *
 * Order is (era, xid, seq), which is not the order of commits: a row whose object already had a higher generation
 * before it is marked superseded. Notifications are hints; the table is the truth, and it is polled anyway.
 */
import type { Logger } from '#kernel/log.ts'
import { createBell } from './bell.ts'
import { type Cursor, formatCursor } from './cursor.ts'
import type { Database } from './pool.ts'

export interface ChangeRow {
  readonly cursor: string
  readonly era: number
  readonly xid: bigint
  readonly seq: bigint
  readonly at: string
  readonly kind: string
  readonly id: string
  readonly op: 'create' | 'update' | 'delete'
  readonly generation: number
  /** A row with a higher generation of this object came before: state must not go back to this one. */
  readonly superseded: boolean
  readonly before: Readonly<Record<string, unknown>> | null
  readonly after: Readonly<Record<string, unknown>> | null
  readonly project_id: string
  readonly actor: string
  readonly actor_name: string
  readonly request_id: string
}

export interface ChangeReader {
  /** Hands every row on in batches until closed; waits for `onBatch` before reading on. */
  run(onBatch: (rows: readonly ChangeRow[], position: string) => Promise<void>): Promise<void>
  /** Everything before this has been handed on and taken. */
  position(): string
  /** Resolves when everything of transactions below `xmax` has been handed on and taken. */
  waitUntil(xmax: bigint): Promise<void>
  /** Age of the fence in seconds: how long the oldest writer has been running. */
  fenceAge(): number
  close(): Promise<void>
}

export interface ReaderOptions {
  readonly database: Database
  /** Start after this; null: from now on. */
  readonly from: Cursor | null
  /** Resolves on the next hint that something may have changed. */
  readonly hint: () => Promise<void>
  readonly log: Logger
  readonly batch?: number
}

export interface Fence {
  readonly xmin: bigint
  readonly xmax: bigint
  readonly era: number
  /** Committed rows stand at the fence: an older transaction is still running. */
  readonly standing: boolean
}

const POLL_AT_FENCE_MS = 10
const POLL_IDLE_MS = 1000

export const readFence = async (database: Database): Promise<Fence> => {
  const [row] = await database.query<{ xmin: string; xmax: string; era: number; standing: boolean }>(
    `select pg_snapshot_xmin(s)::text as xmin, pg_snapshot_xmax(s)::text as xmax, e.era,
        exists (select 1 from change c where c.era = e.era and c.xid >= pg_snapshot_xmin(s)) as standing
      from pg_current_snapshot() s, (select max(era) as era from eras) e`,
  )
  if (!row) throw new Error('PostgreSQL gave no snapshot')
  return { ...row, xmin: BigInt(row.xmin), xmax: BigInt(row.xmax) }
}

export type Standing =
  | 'readable'
  /** Rows after it have been removed from the log. */
  | 'cursor_expired'
  /** It was given out on another numbering of transactions: before a restore or a failover, or by another installation. */
  | 'era_changed'

/** Whether a reader that stood at `cursor` can go on from there and miss nothing. */
export async function standingOf(database: Database, { era, xid, seq }: Cursor): Promise<Standing> {
  const [row] = await database.query<{ foreign: boolean; expired: boolean }>(
    `select $1 <> (select max(era) from eras) or $2::xid8 > pg_snapshot_xmax(pg_current_snapshot()) as foreign,
      exists (select 1 from change_horizon h where h.era = $1 and (h.xid, h.seq) > ($2::xid8, $3::bigint)) as expired`,
    [era, String(xid), String(seq)],
  )
  if (row?.foreign) return 'era_changed'
  return row?.expired ? 'cursor_expired' : 'readable'
}

const COLUMNS = `c.era, c.xid::text as xid, c.seq::text as seq, c.at, c.kind, c.id, c.op, c.generation, c.before, c.after, c.project_id, c.actor, c.actor_name, c.request_id`
const NEXT = `select ${COLUMNS}, exists (select 1 from change p where p.kind = c.kind and p.id = c.id and p.generation > c.generation
      and (p.era, p.xid, p.seq) < (c.era, c.xid, c.seq)) as superseded
  from change c where (c.era, c.xid, c.seq) > ($1, $2::xid8, $3::bigint)
    and (c.era < $4 or c.xid < least($5::xid8, pg_snapshot_xmin(pg_current_snapshot())))
  order by c.era, c.xid, c.seq limit $6`

type RawRow = Omit<ChangeRow, 'cursor' | 'xid' | 'seq' | 'at'> & { xid: string; seq: string; at: Date }

/** The rows after `cursor` and behind `fence`; behind today's too, should PostgreSQL have crashed since. */
export async function readChanges(
  database: Database,
  cursor: Cursor,
  fence: Fence,
  limit: number,
): Promise<ChangeRow[]> {
  const params = [cursor.era, String(cursor.xid), String(cursor.seq), fence.era, String(fence.xmin), limit]
  const rows = await database.query<RawRow & Record<string, unknown>>(NEXT, params)
  return rows.map((row) => {
    const [xid, seq] = [BigInt(row.xid), BigInt(row.seq)]
    return { ...row, xid, seq, at: row.at.toISOString(), cursor: formatCursor({ era: row.era, xid, seq }) }
  })
}

const LAST = `select n.era, last.xid::text as xid, last.seq::text as seq from (select max(era) as era from eras) n
  left join lateral (
    (select c.xid, c.seq from change c where c.era = n.era and c.xid < pg_snapshot_xmin(pg_current_snapshot())
      order by c.xid desc, c.seq desc limit 1)
    union all select h.xid, h.seq from change_horizon h where h.era = n.era
    order by xid desc, seq desc limit 1) last on true`

/**
 * The last row behind the fence, the place of a reader that begins now. Never the fence itself: after a crash PostgreSQL
 * gives numbers of transactions out again that wrote nothing, and rows may come to stand before where the fence was.
 */
export async function lastReadable(database: Pick<Database, 'query'>): Promise<Cursor> {
  const [row] = await database.query<{ era: number; xid: string | null; seq: string | null }>(LAST)
  if (!row) throw new Error('PostgreSQL gave no era')
  return { era: row.era, xid: BigInt(row.xid ?? 0), seq: BigInt(row.seq ?? 0) }
}

/** Who waits for the log to be drained, and up to which transaction. */
function createWaiters() {
  let visits = 0
  let waiting: { readonly xmax: bigint; readonly since: number; readonly resolve: () => void }[] = []
  return {
    awaited: () => waiting.length > 0,
    /** A visit to the log begins. */
    begin: (): number => ++visits,
    /** A visit took everything of transactions below `xmin`: whoever waited before it began for no more is served. */
    reach(visit: number, xmin: bigint): void {
      const served = (one: (typeof waiting)[number]): boolean => one.since < visit && one.xmax <= xmin
      const ready = waiting.filter(served)
      waiting = waiting.filter((one) => !served(one))
      for (const one of ready) one.resolve()
    },
    waitFor: (xmax: bigint): Promise<void> => new Promise((resolve) => waiting.push({ xmax, since: visits, resolve })),
  }
}

export async function createChangeReader({
  database,
  from,
  hint,
  log,
  batch = 500,
}: ReaderOptions): Promise<ChangeReader> {
  let cursor = from ?? (await lastReadable(database))
  const waiters = createWaiters()
  /** The transaction at the fence while rows stand there, and since when. */
  let held: { readonly xmin: bigint; readonly since: number } | null = null
  let closed = false
  const bell = createBell(hint)

  /** Answers true while there is more to come as soon as the fence moves. */
  const drain = async (onBatch: Parameters<ChangeReader['run']>[0]): Promise<boolean> => {
    const visit = waiters.begin()
    const fence = await readFence(database)
    while (!closed) {
      const rows = await readChanges(database, cursor, fence, batch)
      const last = rows.at(-1)
      if (last) {
        await onBatch(rows, last.cursor)
        cursor = { era: last.era, xid: last.xid, seq: last.seq }
      }
      if (rows.length < batch) break
    }
    if (closed) return false
    waiters.reach(visit, fence.xmin)
    if (cursor.era < fence.era) cursor = { era: fence.era, xid: 0n, seq: 0n }
    if (!fence.standing) held = null
    else if (held?.xmin !== fence.xmin) held = { xmin: fence.xmin, since: Date.now() }
    return fence.standing || waiters.awaited()
  }

  return {
    position: () => formatCursor(cursor),
    fenceAge: () => (held === null ? 0 : (Date.now() - held.since) / 1000),
    waitUntil: (xmax) => {
      const reached = waiters.waitFor(xmax)
      bell.ring()
      return reached
    },
    run: async (onBatch) => {
      while (!closed) {
        bell.listen()
        const more = await drain(onBatch).catch((error: Error) => {
          log.warn({ error: error.message }, 'the change log cannot be read; trying again')
          return false
        })
        if (!closed) await bell.heard(more ? POLL_AT_FENCE_MS : POLL_IDLE_MS)
      }
    },
    close: async () => {
      closed = true
      bell.ring()
    },
  }
}
