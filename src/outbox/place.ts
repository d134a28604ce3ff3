/**
 * Where readers of the change log stand that have effects outside, each by its name: a durable place that moves by
 * compare-and-swap, so that two servers which read at once lose nothing.
 */
import { type ChangeRow, standingOf } from '#store/change-reader.ts'
import type { Cursor } from '#store/cursor.ts'
import type { Database } from '#store/pool.ts'

type Querying = Pick<Database, 'query'>

const text = ({ era, xid, seq }: Cursor) => [era, String(xid), String(seq)]

/** Null: it never began. */
export async function placeOf(database: Querying, name: string): Promise<Cursor | null> {
  const [row] = await database.query<{ era: number; xid: string; seq: string }>(
    'select era, xid::text as xid, seq::text as seq from outbox_readers where name = $1',
    [name],
  )
  return row ? { era: row.era, xid: BigInt(row.xid), seq: BigInt(row.seq) } : null
}

/** Whether the log still has all that comes after a place. */
export const isWhole = async (database: Database, place: Cursor): Promise<boolean> =>
  (await standingOf(database, place)) !== 'cursor_expired'

/** False: it was not at `from` any more. */
export async function movePlace(database: Querying, name: string, from: Cursor, to: Cursor): Promise<boolean> {
  const moved = await database.query(
    `update outbox_readers set era = $2, xid = $3::xid8, seq = $4::bigint, trouble = null
      where name = $1 and (era, xid, seq) = ($5, $6::xid8, $7::bigint) returning 1`,
    [name, ...text(to), ...text(from)],
  )
  return moved.length > 0
}

/** Begins at `place`: the first time, or instead of `lost`. False: another did it. */
export async function settlePlace(
  database: Querying,
  name: string,
  place: Cursor,
  lost: Cursor | null,
): Promise<boolean> {
  if (lost) return movePlace(database, name, lost, place)
  const made = await database.query(
    'insert into outbox_readers (name, era, xid, seq) values ($1, $2, $3::xid8, $4::bigint) on conflict do nothing returning 1',
    [name, ...text(place)],
  )
  return made.length > 0
}

/** Rows of the same objects that stand later in the log and happened before: committed, for the row lock orders them. */
export async function readAhead(database: Querying, rows: readonly ChangeRow[]): Promise<ChangeRow[]> {
  if (rows.length === 0) return []
  const mine = rows.map(({ kind, id, era, xid, seq, generation }) => ({
    kind,
    id,
    era,
    xid: String(xid),
    seq: String(seq),
    generation,
  }))
  const found = await database.query<Ahead>(
    `select distinct p.era, p.xid::text as xid, p.seq::text as seq, p.kind, p.id, p.op, p.generation, p.before, p.after
      from jsonb_to_recordset($1) as c (kind text, id uuid, era integer, xid xid8, seq bigint, generation bigint)
        join change p on p.kind = c.kind and p.id = c.id and p.generation < c.generation
          and (p.era, p.xid, p.seq) > (c.era, c.xid, c.seq)`,
    [JSON.stringify(mine)],
  )
  return found.map(
    (row) =>
      ({ ...row, xid: BigInt(row.xid), seq: BigInt(row.seq), cursor: `${row.xid}.${row.seq}` }) as unknown as ChangeRow,
  )
}
type Ahead = Omit<ChangeRow, 'xid' | 'seq' | 'cursor'> & { xid: string; seq: string }
