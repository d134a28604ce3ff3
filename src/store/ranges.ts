/**
 * Numbers that are free: addresses of a subnet, VNIs, VLAN ids. A pool is a set of inclusive ranges; taking a number
 * shrinks one of them, so the cost is the same when 1 % is taken and when 99 % is. Writers take from different ranges
 * side by side (SKIP LOCKED) and wait for each other only when every range left is locked.
 *
 * READ COMMITTED has a trap here: a statement that waited for a row sees that row as it is now, and everything else as
 * it was when the statement began. So whatever decides on "nothing there" looks again in a statement of its own.
 */
import type { NumberRange } from '#kernel/ranges.ts'
import type { Transaction } from './transaction.ts'

/** A fresh pool is cut into at most so many ranges, that as many writers do not wait for each other. */
const PARTS = 64n
/** Not cut below this size. */
const SMALLEST = 64n

const FOR = ' for '
function familyOf(pool: string): string {
  return `split_part(${pool}, '${FOR}', 1)`
}

/**
 * Whoever takes from a pool or gives back holds it, side by side with others; whoever makes it anew waits for them and
 * keeps them out (`lockPool`). As a condition in the statement itself it costs no statement of its own; it is evaluated
 * once, before any row.
 */
const HOLD = `(select pg_advisory_xact_lock_shared(hashtextextended(${familyOf('$1')}, 0)) is not null)`

/** Holds the pools of these names (SQL for a text array) without touching them, as a condition in another statement. */
export const holdPools = (names: string): string =>
  `(select count(pg_advisory_xact_lock_shared(hashtextextended(${familyOf('p')}, 0))) >= 0 from unnest(${names}) p)`

/** Before a pool and those set apart from it are made anew: nobody takes or gives back until this transaction ends. */
export const lockPool = (tx: Transaction, pool: string): Promise<unknown> =>
  tx.query(`select ${lockingPool('$1')}`, [pool])

/** The same, of a pool's name in SQL. */
export function lockingPool(pool: string): string {
  return `pg_advisory_xact_lock(hashtextextended(${familyOf(pool)}, 0))`
}

/** Holds a pool in a statement of its own: what is read after it is as the last one who made the pool left it. */
export const holdPool = (tx: Transaction, pool: string): Promise<unknown> => tx.query(`select ${HOLD}`, [pool])

/** What is set apart of a pool for one project is a pool too. The two are locked as one. */
export const poolFor = (pool: string, projectId: string | null): string =>
  projectId === null ? pool : `${pool}${FOR}${projectId}`

/** Takes $2 numbers off the `chosen` range, or all of it, and answers them. */
const SHRINK = `shrunk as (
    update free_ranges f set first = c.first + $2 from chosen c where f.pool = c.pool and f.seq = c.seq and c.first + $2 <= c.last),
  used_up as (
    delete from free_ranges f using chosen c where f.pool = c.pool and f.seq = c.seq and c.first + $2 > c.last)
  select first::text, least(last, first + $2 - 1)::text as last from chosen`

const TAKE = (skip: string): string => `with chosen as (
    select pool, seq, first, last from free_ranges where pool = $1 and ${HOLD} order by seq limit 1 for update ${skip}),
  ${SHRINK}`

/** Takes `count` numbers, or as many as there are. */
export async function takeNumbers(tx: Transaction, pool: string, count: number): Promise<bigint[]> {
  const taken: bigint[] = []
  while (taken.length < count) {
    const wanted = count - taken.length
    let [range] = await tx.query<{ first: string; last: string }>(TAKE('skip locked'), [pool, wanted])
    // All that is left is locked by others, or nothing is left: wait to know which.
    if (!range) [range] = await tx.query<{ first: string; last: string }>(TAKE(''), [pool, wanted])
    if (!range && !(await anyLeft(tx, pool))) break
    if (range) for (let one = BigInt(range.first); one <= BigInt(range.last); one++) taken.push(one)
  }
  return taken
}

/** A waiter whose range was used up by the other sees none; a later one may still be there. */
export async function anyLeft(tx: Transaction, pool: string): Promise<boolean> {
  return (await tx.query('select 1 from free_ranges where pool = $1 limit 1', [pool])).length > 0
}

/** From pool $1, and from $3 once nothing is left in $1. */
const TAKE_EITHER = `with own as (
    select pool, seq, first, last from free_ranges where pool = $1 and ${HOLD} order by seq limit 1 for update skip locked),
  common as (
    select pool, seq, first, last from free_ranges where pool = $3 and ${HOLD}
      and not exists (select 1 from free_ranges where pool = $1) order by seq limit 1 for update skip locked),
  chosen as (select * from own union all select * from common),
  ${SHRINK}`

/** One number of a project's own pool, or of the common one when that has none left; undefined when neither has. */
export async function takeEither(tx: Transaction, own: string, common: string): Promise<bigint | undefined> {
  const [taken] = await tx.query<{ first: string }>(TAKE_EITHER, [own, 1, common])
  if (taken) return BigInt(taken.first)
  // All that is left is locked by others, or nothing is left: wait to know which.
  return (await takeNumbers(tx, own, 1))[0] ?? (await takeNumbers(tx, common, 1))[0]
}

/** The range that could hold $2: the last that begins at or before it. One step in the index, however many there are. */
const NEAREST = `(select seq from free_ranges where pool = $1 and first <= $2::numeric order by first desc limit 1)`

const TAKE_ONE = `with chosen as (
    select pool, seq, first, last from free_ranges where pool = $1 and seq = ${NEAREST}
    and first <= $2::numeric and last >= $2::numeric and ${HOLD} for update),
  gone as (delete from free_ranges f using chosen c where f.pool = c.pool and f.seq = c.seq),
  rest as (insert into free_ranges (pool, first, last)
    select pool, first, $2::numeric - 1 from chosen where first < $2::numeric
    union all select pool, $2::numeric + 1, last from chosen where last > $2::numeric)
  select 1 from chosen`

const STILL_FREE = `select 1 from free_ranges where pool = $1 and seq = ${NEAREST} and last >= $2::numeric`

/** Takes one given number out of the pool. False when it is not free there (taken, or outside the pool). */
export async function takeNumber(tx: Transaction, pool: string, number: bigint): Promise<boolean> {
  const params = [pool, String(number)]
  for (;;) {
    if ((await tx.query(TAKE_ONE, params)).length > 0) return true
    // Whoever had locked its range may have split it, and the statement that waited does not see the parts.
    if ((await tx.query(STILL_FREE, params)).length === 0) return false
  }
}

/** Gives numbers back; they rest behind those never used. */
export async function giveBack(tx: Transaction, pool: string, numbers: readonly bigint[]): Promise<void> {
  if (numbers.length === 0) return
  await tx.query(
    `insert into free_ranges (pool, first, last) select $1, n, n from unnest($2::numeric[]) n where ${HOLD}`,
    [pool, numbers.map(String)],
  )
}

/** Makes the pool exactly these ranges minus `taken` numbers, which were read under `lockPool`. */
export async function setRanges(
  tx: Transaction,
  pool: string,
  ranges: readonly NumberRange[],
  taken: readonly bigint[],
): Promise<void> {
  await dropPool(tx, pool)
  await addRanges(tx, pool, subtract(ranges, taken))
}

export const dropPool = (tx: Transaction, pool: string): Promise<unknown> =>
  tx.query('delete from free_ranges where pool = $1', [pool])

/** Fills a pool that nobody knows yet. */
export async function addRanges(tx: Transaction, pool: string, ranges: readonly NumberRange[]): Promise<void> {
  const parts = ranges.flatMap(cut)
  if (parts.length === 0) return
  await tx.query(
    'insert into free_ranges (pool, first, last) select $1, f, l from unnest($2::numeric[], $3::numeric[]) as r(f, l)',
    [pool, parts.map((part) => String(part.first)), parts.map((part) => String(part.last))],
  )
}

/** Pure: the ranges without the numbers. */
export function subtract(ranges: readonly NumberRange[], numbers: readonly bigint[]): NumberRange[] {
  const sorted = [...new Set(numbers)].sort((a, b) => (a < b ? -1 : 1))
  return ranges.flatMap(({ first, last }) => {
    const out: NumberRange[] = []
    let from = first
    for (const number of sorted) {
      if (number < from || number > last) continue
      if (number > from) out.push({ first: from, last: number - 1n })
      from = number + 1n
    }
    return from <= last ? [...out, { first: from, last }] : out
  })
}

/** Pure: consecutive parts of about equal size. */
export function cut({ first, last }: NumberRange): NumberRange[] {
  const size = last - first + 1n
  const parts = size / SMALLEST < 1n ? 1n : size / SMALLEST < PARTS ? size / SMALLEST : PARTS
  const step = (size + parts - 1n) / parts
  const out: NumberRange[] = []
  for (let from = first; from <= last; from += step)
    out.push({ first: from, last: from + step - 1n < last ? from + step - 1n : last })
  return out
}
