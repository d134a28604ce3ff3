/**
 * The change log's partitions: made ahead of need by transaction number, dropped whole when their youngest row is
 * older than the retention. One server at a time does it (advisory lock); the others skip.
 */
import type { Database } from './pool.ts'
import { inTransaction } from './transaction.ts'

const LOCK = 0x6465_7265

export interface RetentionOptions {
  /** Seconds a change is kept at least. */
  readonly keepSeconds: number
  /** Transactions a partition spans. */
  readonly span?: bigint
}

export interface RetentionOutcome {
  readonly made: readonly string[]
  readonly dropped: readonly string[]
  /** Rows removed from the rest partition, which holds what no other does. */
  readonly deleted: number
}

/** Null when another server is at it. */
export const maintainChangeLog = (
  database: Database,
  { keepSeconds, span = 1_000_000n }: RetentionOptions,
): Promise<RetentionOutcome | null> =>
  inTransaction(database, async (tx) => {
    const [lock] = await tx.query<{ mine: boolean }>('select pg_try_advisory_xact_lock($1) as mine', [LOCK])
    if (!lock?.mine) return { value: null }
    // Partitions come and go under a lock that writers wait for: behind a long transaction we give up, not they.
    await tx.query("/* once */ set local lock_timeout = '2s'")
    const [now] = await tx.query<{ xid: string; era: number }>(
      'select pg_snapshot_xmax(pg_current_snapshot())::text as xid, (select coalesce(max(era), 1) from eras) as era',
    )
    const era = now?.era ?? 1
    const existing = await tx.query<{ name: string }>(
      `select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'change'::regclass`,
    )
    const names = new Set(existing.map((row) => row.name))
    const made = await makeAhead(tx.query, names, era, BigInt(now?.xid ?? '0'), span)
    const dropped: string[] = []
    for (const name of names) {
      if (name === 'change_rest') continue
      const upper = BigInt(name.split('_')[2] ?? '0') + span
      const current = name.startsWith(`change_${era}_`) && upper > BigInt(now?.xid ?? '0')
      if (current) continue
      const [young] = await tx.query(
        `/* once */ select 1 from ${name} where at > now() - make_interval(secs => $1) limit 1`,
        [keepSeconds],
      )
      if (young) continue
      await tx.query(`/* once */ ${RAISE_HORIZON(name)}`)
      await tx.query(`/* once */ drop table ${name}`)
      dropped.push(name)
    }
    const gone = await tx.query<{ rows: number }>(
      `with gone as (delete from change_rest where at <= now() - make_interval(secs => $1) returning era, xid, seq, at)
        ${RAISE_HORIZON('gone')} returning (select count(*) from gone) as rows`,
      [keepSeconds],
    )
    return { value: { made, dropped, deleted: gone[0]?.rows ?? 0 } }
  })

/** Remembers that what `source` holds is no longer in the log. */
const RAISE_HORIZON = (source: string): string => `insert into change_horizon as h (era, xid, seq, at)
  select distinct on (era) era, xid, seq, max(at) over (partition by era) from ${source} order by era, xid desc, seq desc
  on conflict (era) do update set at = greatest(h.at, excluded.at),
    xid = case when (h.xid, h.seq) < (excluded.xid, excluded.seq) then excluded.xid else h.xid end,
    seq = case when (h.xid, h.seq) < (excluded.xid, excluded.seq) then excluded.seq else h.seq end`

/**
 * Rows up to this size stay whole in their pages, two to a page: two images of a port are a little over the usual
 * 2 kB, and trying to compress them and writing them elsewhere took a sixth of the time of a port's update.
 */
const INLINE_BYTES = 4080

/** The next two partitions. Where the rest partition already holds rows of their range they stay there: it is left out. */
async function makeAhead(
  query: (text: string, params?: readonly unknown[]) => Promise<unknown[]>,
  names: ReadonlySet<string>,
  era: number,
  xid: bigint,
  span: bigint,
): Promise<string[]> {
  const made: string[] = []
  const first = (xid / span) * span
  for (const from of [first, first + span, first + 2n * span]) {
    const name = `change_${era}_${from}`
    if (names.has(name)) continue
    const held = await query(
      `/* once */ select 1 from change_rest where era = $1 and xid >= $2::xid8 and xid < $3::xid8 limit 1`,
      [era, String(from), String(from + span)],
    )
    if (held.length > 0) continue
    await query(
      `/* once */ create table ${name} partition of change for values from (${era}, '${from}') to (${era}, '${from + span}')
        with (toast_tuple_target = ${INLINE_BYTES})`,
    )
    made.push(name)
  }
  return made
}
