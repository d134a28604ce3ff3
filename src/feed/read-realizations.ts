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

/** A port that nobody binds is realized nowhere, and the host it was meant for cannot say so. */
const UNBINDABLE = `
  select t.binding_host, 'port', t.id, t.revision_number, 'error',
    concat('binding failed: ', (select string_agg(concat(a->>'driver', ' says ', a->>'reason'), ', ' order by n)
      from jsonb_array_elements(t.binding_failure->'attempts') with ordinality x (a, n) where a->>'reason' is not null)),
    false, (t.binding_failure->>'at')::timestamptz
  from ports t where t.binding_vif_type = 'binding_failed' and t.binding_failure is not null`

const READ = `
  select * from (select host, kind, id, generation, state, message, repaired, at from realizations r
    where not (r.kind = 'port' and exists (select from ports t
      where t.id = r.id and t.binding_host = r.host and t.binding_vif_type = 'binding_failed'))
    union all ${UNBINDABLE}) r
  where ($1::text[] is null or host = any($1)) and ($2::text[] is null or kind = any($2))
    and ($3::uuid[] is null or id = any($3)) and ($4::text[] is null or state = any($4))
    and ($5::boolean is null or repaired = $5)
  order by at desc, host, kind, id limit $6`

export const readRealizations = (
  database: Database,
  { host, kind, id, state, repaired, limit }: RealizationQuery,
): Promise<readonly Record<string, unknown>[]> =>
  database.query(READ, [host ?? null, kind ?? null, id ?? null, state ?? null, repaired ?? null, limit])
