/**
 * Eras of the change log. Transaction numbers order it, and they belong to one PostgreSQL cluster on one timeline: a
 * dump restored elsewhere brings rows whose numbers mean nothing there, and one restored in place takes back what some
 * have read. The era then rises; older eras are whole.
 *
 * Every row is written in the highest era there is when it is written, whichever server writes it and whenever that
 * server started. An era begins when no transaction is writing to the log, and keeps new ones waiting until it has:
 * so no row of an older era appears once a reader has seen the newer.
 */
import type { Transaction } from './transaction.ts'

const LOCK = 0x6465_7561

/** Begins an era when the cluster is another than the last one's. Answers the era that new rows belong to. */
export async function beginEra(tx: Transaction): Promise<number> {
  await tx.query('select pg_advisory_xact_lock($1)', [LOCK])
  // The timeline of the last checkpoint would lag behind a promotion.
  const [here] = await tx.query<Place>(
    `select system_identifier::text, ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int as timeline,
        'eras'::regclass::oid::text as relation from pg_control_system()`,
  )
  const [last] = await tx.query<Place & { era: number; ahead: boolean }>(
    `select era, system_identifier, timeline, relation::text,
        exists (select 1 from change c where c.era = e.era and c.xid >= pg_snapshot_xmax(pg_current_snapshot())) as ahead
      from eras e order by era desc limit 1`,
  )
  if (!here) throw new Error('PostgreSQL does not say which cluster it is')
  if (last && isSame(last, here) && !last.ahead) return last.era
  await tx.query('lock table change in share row exclusive mode')
  const era = (last?.era ?? 0) + 1
  await tx.query('insert into eras (era, system_identifier, timeline, relation) values ($1, $2, $3, $4)', [
    era,
    here.system_identifier,
    here.timeline,
    here.relation,
  ])
  return era
}

/** Where transaction numbers mean one thing. */
interface Place extends Record<string, unknown> {
  readonly system_identifier: string
  readonly timeline: number
  readonly relation: string | null
}

const isSame = (a: Place, b: Place): boolean =>
  a.system_identifier === b.system_identifier && a.timeline === b.timeline && a.relation === b.relation
