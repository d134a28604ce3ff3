/**
 * What a driver fails at and what it lost, kept beside its place so that operators see it, whichever server tells the
 * driver; and the changes that operators let it skip.
 */
import type { ChangeRow } from '#store/change-reader.ts'
import type { Cursor } from '#store/cursor.ts'
import type { Database } from '#store/pool.ts'

type Querying = Pick<Database, 'query'>

/** How often in a row a driver failed at a change. */
export interface Trouble {
  /** The change's place in the log. */
  readonly change: string
  readonly failures: number
}

const LONGEST_ERROR = 1000

/** Null: it does not fail. */
export async function troubleOf(database: Querying, reader: string): Promise<Trouble | null> {
  const [row] = await database.query<{ trouble: Trouble | null }>(
    'select trouble from outbox_readers where name = $1',
    [reader],
  )
  return row?.trouble ?? null
}

const KEEP = `update outbox_readers set trouble = $2::jsonb || jsonb_build_object('at', now(),
      'since', case when trouble ->> 'change' = $2::jsonb ->> 'change' then trouble -> 'since' else to_jsonb(now()) end)
    where name = $1 and (era, xid, seq) = ($3, $4::xid8, $5::bigint) returning 1`

/** The reader stands at `place` and failed at `row`. False: it does not stand there any more. */
export async function keepTrouble(
  database: Querying,
  reader: string,
  place: Cursor,
  { row, failures, error }: { readonly row: ChangeRow; readonly failures: number; readonly error: string },
): Promise<boolean> {
  const { cursor: change, kind, id, op, generation } = row
  const trouble = { change, kind, id, op, generation, failures, error: error.slice(0, LONGEST_ERROR) }
  const params = [reader, JSON.stringify(trouble), place.era, String(place.xid), String(place.seq)]
  return (await database.query(KEEP, params)).length > 0
}

/** The change it failed at is behind it. Moving its place says the same. */
export async function endTrouble(database: Querying, reader: string, change: string): Promise<void> {
  await database.query("update outbox_readers set trouble = null where name = $1 and trouble ->> 'change' = $2", [
    reader,
    change,
  ])
}

/** Whether an operator said that the driver need not take this change. */
export async function isSkipped(database: Querying, driver: string, change: string): Promise<boolean> {
  const found = await database.query('select 1 from outbox_skips where driver = $1 and change = $2 limit 1', [
    driver,
    change,
  ])
  return found.length > 0
}

const HORIZON = 'select era, xid::text as xid, seq::text as seq from change_horizon where era = $1'
const LOSE = `update outbox_readers set xid = $2::xid8, seq = $3::bigint, trouble = null, lost_at = now()
    where name = $1 and (era, xid, seq) = ($4, $5::xid8, $6::bigint) returning 1`

/**
 * The log was cut off behind `place`: the reader goes on with what is left of it, and it is noted that the rest is
 * lost. Null: it does not stand there any more.
 */
export async function goPastLoss(database: Querying, reader: string, place: Cursor): Promise<Cursor | null> {
  const [row] = await database.query<{ era: number; xid: string; seq: string }>(HORIZON, [place.era])
  if (!row) return place
  const moved = await database.query(LOSE, [reader, row.xid, row.seq, place.era, String(place.xid), String(place.seq)])
  return moved.length > 0 ? { era: row.era, xid: BigInt(row.xid), seq: BigInt(row.seq) } : null
}
