/** Exact quotas: one counter row per project and resource, moved in the transaction that makes the objects. */
import type { Database, Params } from './pool.ts'
import type { Transaction } from './transaction.ts'

/** Moves a counter by `delta`; refuses with SQLSTATE DQ001 when `enforce` and the limit would be passed. */
export const countStatement = (
  projectId: string,
  resource: string,
  delta: number,
  fallback: number,
  enforce: boolean,
): { readonly text: string; readonly params: Params } => ({
  text: 'select quota_count($1, $2, $3, $4, $5)',
  params: [projectId, resource, delta, fallback, enforce],
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
  database.query('select resource, used from quota_usage where project_id = $1', [projectId])

/** What is used of these, held still: whoever makes or removes one waits for the end of the transaction. */
export const holdUsage = (
  tx: Transaction,
  projectId: string,
  resources: readonly string[],
): Promise<{ resource: string; used: number }[]> =>
  tx.query(
    'select resource, used from quota_usage where project_id = $1 and resource = any($2) order by resource for update',
    [projectId, resources],
  )

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
