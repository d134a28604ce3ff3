/**
 * Reads the change log, gap-free, behind the fence: rows of transactions older than every one still running. What
 * commits late is therefore seen late, never missed.
 *
 * Order is (era, xid, seq), which is not the order of commits: a row whose object already had a higher generation
 * before it is marked superseded. Notifications are hints; the table is the truth, and it is polled anyway.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '#kernel/log.ts'
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

interface Fence {
  readonly xmin: bigint
  readonly xmax: bigint
  readonly era: number
}

const POLL_AT_FENCE_MS = 10
const POLL_IDLE_MS = 1000

export const readFence = async (database: Database): Promise<Fence> => {
  const [row] = await database.query<{ xmin: string; xmax: string; era: number }>(
    `select pg_snapshot_xmin(s)::text as xmin, pg_snapshot_xmax(s)::text as xmax, (select max(era) from eras) as era from pg_current_snapshot() s`,
  )
  if (!row) throw new Error('PostgreSQL gave no snapshot')
  return { xmin: BigInt(row.xmin), xmax: BigInt(row.xmax), era: row.era }
}

const COLUMNS = `c.era, c.xid::text as xid, c.seq::text as seq, c.at, c.kind, c.id, c.op, c.generation, c.before, c.after, c.project_id, c.actor, c.actor_name, c.request_id`
const NEXT = `select ${COLUMNS}, exists (select 1 from change p where p.kind = c.kind and p.id = c.id and p.generation > c.generation
      and (p.era, p.xid, p.seq) < (c.era, c.xid, c.seq)) as superseded
  from change c where (c.era, c.xid, c.seq) > ($1, $2::xid8, $3::bigint) and (c.era < $4 or c.xid < $5::xid8)
  order by c.era, c.xid, c.seq limit $6`

type RawRow = Omit<ChangeRow, 'cursor' | 'xid' | 'seq' | 'at'> & { xid: string; seq: string; at: Date }

/** The rows after `cursor` and behind `fence`. */
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

export async function createChangeReader({
  database,
  from,
  hint,
  log,
  batch = 500,
}: ReaderOptions): Promise<ChangeReader> {
  const fromNow = async (): Promise<Cursor> => {
    const { era, xmin } = await readFence(database)
    return { era, xid: xmin, seq: 0n }
  }
  const start: Cursor = from ?? (await fromNow())
  let cursor = start
  /** Transactions below this are drained, in era `drained.era`. */
  let drained = { era: start.era, xid: start.xid }
  let waiters: { xmax: bigint; resolve: () => void }[] = []
  let fenceHeldSince: number | null = null
  const closing = new AbortController()

  const settle = (): void => {
    const [ready, later] = [
      waiters.filter((one) => one.xmax <= drained.xid),
      waiters.filter((one) => one.xmax > drained.xid),
    ]
    waiters = later
    for (const one of ready) one.resolve()
  }

  const drain = async (onBatch: Parameters<ChangeReader['run']>[0]): Promise<boolean> => {
    const fence = await readFence(database)
    for (;;) {
      const rows = await readChanges(database, cursor, fence, batch)
      const last = rows.at(-1)
      if (last) {
        await onBatch(rows, last.cursor)
        cursor = { era: last.era, xid: last.xid, seq: last.seq }
      }
      if (rows.length < batch || closing.signal.aborted) break
    }
    drained = { era: fence.era, xid: fence.xmin }
    if (cursor.era < fence.era || cursor.xid < fence.xmin) cursor = { era: fence.era, xid: fence.xmin, seq: 0n }
    settle()
    const held = fence.xmin < fence.xmax
    fenceHeldSince = held ? (fenceHeldSince ?? Date.now()) : null
    return held || waiters.length > 0
  }

  return {
    position: () => formatCursor(cursor),
    fenceAge: () => (fenceHeldSince === null ? 0 : (Date.now() - fenceHeldSince) / 1000),
    waitUntil: (xmax) =>
      xmax <= drained.xid ? Promise.resolve() : new Promise((resolve) => waiters.push({ xmax, resolve })),
    run: async (onBatch) => {
      while (!closing.signal.aborted) {
        const next = hint()
        const atFence = await drain(onBatch).catch((error: Error) => {
          log.warn({ error: error.message }, 'the change log cannot be read; trying again')
          return false
        })
        const pause = new AbortController()
        const timer = sleep(atFence || waiters.length > 0 ? POLL_AT_FENCE_MS : POLL_IDLE_MS, undefined, {
          signal: pause.signal,
        }).catch(() => undefined)
        const closed = new Promise<void>((resolve) =>
          closing.signal.addEventListener('abort', () => resolve(), { once: true }),
        )
        await Promise.race([next, timer, closed])
        pause.abort()
      }
    },
    close: async () => closing.abort(),
  }
}
