/**
 * Exact quotas: counters per project and resource, moved in the transaction that makes the objects. With a limit that is
 * one row, and writers wait for each other's commits; without, it is several, and what is used is their sum.
 */
import type { Database, Params } from './pool.ts'
import type { Transaction } from './transaction.ts'

/** One counter to move: by `delta`, to no more than the project's limit or `fallback` where it is enforced. */
export interface Count {
  readonly projectId: string
  readonly resource: string
  readonly delta: number
  readonly fallback: number
  readonly enforce: boolean
}

/** Moves the counters in the order given; refuses with SQLSTATE DQ001 when a limit would be passed. */
export const countStatement = (counts: readonly Count[]): { readonly text: string; readonly params: Params } => ({
  text: `select quota_count(p, r, d, f, e)
    from unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::boolean[]) as x(p, r, d, f, e)`,
  params: [
    counts.map((one) => one.projectId),
    counts.map((one) => one.resource),
    counts.map((one) => one.delta),
    counts.map((one) => one.fallback),
    counts.map((one) => one.enforce),
  ],
})

/** Null unless the error is a refused count; then the limit and what was used of it. */
export const overQuota = (
  error: unknown,
): { readonly resource: string; readonly limit: number; readonly used: number } | null => {
  const { code, detail } = error as { code?: string; detail?: string }
  return code === 'DQ001' && detail ? (JSON.parse(detail) as { resource: string; limit: number; used: number }) : null
}

export interface Limit {
  readonly resource: string
  readonly limit: number
}

export const limitsOf = (database: Database, projectId: string): Promise<Limit[]> =>
  database.query<Limit & Record<string, unknown>>('select resource, "limit" from quotas where project_id = $1', [
    projectId,
  ])

export const usageOf = (database: Database, projectId: string): Promise<{ resource: string; used: number }[]> =>
  database.query(
    'select resource, greatest(sum(used), 0)::bigint as used from quota_usage where project_id = $1 group by resource',
    [projectId],
  )

/** Parts of a counter: 0 is that of a project with a limit. See the function `quota_count`. */
const PARTS = 17

/** What is used of these, held still: whoever makes or removes one waits for the end of the transaction. */
export async function holdUsage(
  tx: Transaction,
  projectId: string,
  resources: readonly string[],
): Promise<{ resource: string; used: number }[]> {
  // Parts that are not there yet could be made meanwhile.
  await tx.query(
    `insert into quota_usage (project_id, resource, used, part)
      select $1, r, 0, p from unnest($2::text[]) r, generate_series(0, $3::integer - 1) p order by r, p
      on conflict (project_id, resource, part) do nothing`,
    [projectId, resources, PARTS],
  )
  const parts = await tx.query<{ resource: string; used: number }>(
    `select resource, used from quota_usage where project_id = $1 and resource = any($2)
      order by resource, part for update`,
    [projectId, resources],
  )
  const byResource = Map.groupBy(parts, (one) => one.resource)
  return [...byResource].map(([resource, all]) => ({ resource, used: all.reduce((sum, { used }) => sum + used, 0) }))
}

export const projectsWithLimits = (database: Database): Promise<(Limit & { project_id: string })[]> =>
  database.query('select project_id, resource, "limit" from quotas order by project_id, resource')

export async function setLimits(
  tx: Transaction,
  projectId: string,
  limits: Readonly<Record<string, number>>,
): Promise<void> {
  await tx.query(
    `insert into quotas (project_id, resource, "limit") select $1, r, l from unnest($2::text[], $3::bigint[]) as x(r, l)
      on conflict (project_id, resource) do update set "limit" = excluded."limit"`,
    [projectId, Object.keys(limits), Object.values(limits)],
  )
}

export const clearLimits = (tx: Transaction, projectId: string): Promise<{ resource: string }[]> =>
  tx.query('delete from quotas where project_id = $1 returning resource', [projectId])
