/** Requests to bind failed ports anew: a row each, left with the change that may help. */
import type { Context } from '#model/context.ts'
import type { Database } from '#store/pool.ts'
import type { Transaction } from '#store/transaction.ts'

const ASK = `insert into rebind_requests (host, network_id)
  select h, $2::uuid from unnest($1::text[]) h
  where not exists (select 1 from rebind_requests r where r.xid = pg_current_xact_id()
    and r.host is not distinct from h and r.network_id is not distinct from $2::uuid)`

/** Leaves a request, in the transaction of what changed. */
export async function askToRebind(
  tx: Transaction,
  { hosts, network_id }: Parameters<Context['retryBindings']>[0],
): Promise<void> {
  await tx.query(ASK, [hosts ?? [null], network_id ?? null])
}

export interface RebindRequest extends Record<string, unknown> {
  readonly id: string
  /** Null: any. */
  readonly host: string | null
  readonly network_id: string | null
  /** The last port that was tried. */
  readonly reached: string | null
}

/** Behind the fence: whoever bound a port without seeing the change has ended, so that its failure is seen. */
const TAKE = `update rebind_requests r set taken_until = now() + interval '1 minute'
  where r.id = (select q.id from rebind_requests q
    where q.xid < pg_snapshot_xmin(pg_current_snapshot()) and q.taken_until < now()
    order by q.id limit 1 for update skip locked)
  returning r.id, r.host, r.network_id, r.reached`

/** A request that nobody else works on, for a minute. */
export const takeRequest = async (database: Database): Promise<RebindRequest | undefined> =>
  (await database.query<RebindRequest>(TAKE))[0]

const FAILED = `select p.id from ports p where p.binding_vif_type = 'binding_failed'
    and ($1::text is null or p.binding_host = $1) and ($2::uuid is null or p.network_id = $2)
    and p.id > coalesce($3::uuid, '00000000-0000-0000-0000-000000000000')
  order by p.id limit $4`

/** Ports it is about whose binding failed, the first behind `reached`. */
export const failedPorts = async (
  database: Database,
  { host, network_id }: RebindRequest,
  reached: string | null,
  limit: number,
): Promise<string[]> =>
  (await database.query<{ id: string }>(FAILED, [host, network_id, reached, limit])).map(({ id }) => id)

/** Keeps it for another minute, and notes how far it has come. */
export const noteReached = (database: Database, { id }: RebindRequest, reached: string | null): Promise<unknown> =>
  database.query(`update rebind_requests set reached = $2, taken_until = now() + interval '1 minute' where id = $1`, [
    id,
    reached,
  ])

export const settleRequest = (database: Database, { id }: RebindRequest): Promise<unknown> =>
  database.query('delete from rebind_requests where id = $1', [id])
