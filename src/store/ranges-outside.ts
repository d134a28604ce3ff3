/**
 * Taking a number that is outside given ranges: what is free here but in use where we have no say. For pools of small
 * numbers (segmentation ids); rarer than plain taking, and three statements instead of one.
 */
import type { IdRange } from '#model/context.ts'
import { holdPool, takeNumber } from './ranges.ts'
import type { Transaction } from './transaction.ts'

/** What is left of a free range without those of parameter $2 (int8multirange), as SQL. */
export const leftOutside = (range: string): string =>
  `(int8multirange(int8range(${range}.first::bigint, ${range}.last::bigint, '[]')) - $2::int8multirange)`

/** The ranges as parameter. They may overlap. */
export const multirange = (ranges: readonly IdRange[]): string =>
  `{${ranges.map(([first, last]) => `[${first},${last}]`).join(',')}}`

/** Locked, so that whoever comes next looks for another. */
const CANDIDATE = (skip: string): string => `select lower(${leftOutside('f')})::text as number from free_ranges f
  where f.pool = $1 and not isempty(${leftOutside('f')}) order by f.seq limit 1 for update ${skip}`

/** One number outside of `without`; undefined when none is left. */
export async function takeOutside(
  tx: Transaction,
  pool: string,
  without: readonly IdRange[],
): Promise<bigint | undefined> {
  await holdPool(tx, pool)
  const params = [pool, multirange(without)]
  do {
    let [found] = await tx.query<{ number: string }>(CANDIDATE('skip locked'), params)
    // All that is left is locked by others, or nothing is left: wait to know which.
    if (!found) [found] = await tx.query<{ number: string }>(CANDIDATE(''), params)
    if (found && (await takeNumber(tx, pool, BigInt(found.number)))) return BigInt(found.number)
  } while (await isAnyOutside(tx, [pool], without))
  return undefined
}

/** Is a number outside of `without` free in one of these pools? */
export async function isAnyOutside(
  tx: Transaction,
  pools: readonly string[],
  without: readonly IdRange[],
): Promise<boolean> {
  const [found] = await tx.query(
    `select 1 from unnest($1::text[]) p (pool) where exists (
      select from free_ranges f where f.pool = p.pool and not isempty(${leftOutside('f')})) limit 1`,
    [pools, multirange(without)],
  )
  return found !== undefined
}
