/** What hosts report they really have, for operators: the newest state per host and object, newest first. */
import type { Database } from '#store/pool.ts'

export interface RealizationQuery {
  readonly host?: readonly string[]
  readonly kind?: readonly string[]
  readonly id?: readonly string[]
  readonly state?: readonly string[]
  /** Only what had to be put right. */
  readonly repaired?: boolean
  readonly limit: number
}

const READ = `
  select host, kind, id, generation, state, message, repaired, at from realizations
  where ($1::text[] is null or host = any($1)) and ($2::text[] is null or kind = any($2))
    and ($3::uuid[] is null or id = any($3)) and ($4::text[] is null or state = any($4))
    and ($5::boolean is null or repaired = $5)
  order by at desc, host, kind, id limit $6`

export const readRealizations = (
  database: Database,
  { host, kind, id, state, repaired, limit }: RealizationQuery,
): Promise<readonly Record<string, unknown>[]> =>
  database.query(READ, [host ?? null, kind ?? null, id ?? null, state ?? null, repaired ?? null, limit])
