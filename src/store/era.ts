/**
 * Eras of the change log. Transaction numbers order it, and they belong to one PostgreSQL cluster on one timeline: a
 * dump restored elsewhere brings rows whose numbers mean nothing there. The era then rises; older eras are whole.
 */
import type { Transaction } from './transaction.ts'

const LOCK = 0x6465_7561

/** The era that new rows belong to; starts one when the cluster is another than the last one's. */
export async function currentEra(tx: Transaction): Promise<number> {
  await tx.query('select pg_advisory_xact_lock($1)', [LOCK])
  const [cluster] = await tx.query<{ system_identifier: string; timeline: number }>(
    `select system_identifier::text, timeline_id as timeline from pg_control_system(), pg_control_checkpoint()`,
  )
  const [last] = await tx.query<{ era: number; system_identifier: string; timeline: number; ahead: boolean }>(
    `select era, system_identifier, timeline,
        exists (select 1 from change c where c.era = e.era and c.xid >= pg_snapshot_xmax(pg_current_snapshot())) as ahead
      from eras e order by era desc limit 1`,
  )
  if (!cluster) throw new Error('PostgreSQL does not say which cluster it is')
  const same = last && last.system_identifier === cluster.system_identifier && last.timeline === cluster.timeline
  if (last && same && !last.ahead) return last.era
  const era = (last?.era ?? 0) + 1
  await tx.query('insert into eras (era, system_identifier, timeline) values ($1, $2, $3)', [
    era,
    cluster.system_identifier,
    cluster.timeline,
  ])
  return era
}
