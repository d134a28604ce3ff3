/**
 * What operators ask of the outbox, carried out where the change log is read: a wish is a change like any other, so it
 * is audited, survives a crash, and takes its place behind everything that was written before it.
 */
import type { ChangeRow } from '#store/change-reader.ts'
import type { Transaction } from '#store/transaction.ts'

interface Wish {
  readonly wish: 'retry' | 'replay' | 'give_up'
  readonly event_id: string | null
  readonly destination: string | null
  readonly since: string | null
}

const OPEN = "state in ('pending', 'delivering')"
const THESE = '($1::uuid is null or id = $1) and ($2::text is null or destination = $2)'

/** Each wish → the events it is about. What is being delivered at this moment is left to that. */
const STATEMENTS: Readonly<Record<Wish['wish'], string>> = {
  // One event, whatever its state; without one, all that failed and wait for their next time.
  retry: `update outbox_events set state = 'pending', not_before = now(), failures = 0, alone = false, done_at = null
    where ${THESE} and state <> 'delivering' and ($1::uuid is not null or (state = 'pending' and attempts > 0))
      and $3::timestamptz is null returning 1`,
  // In their old order, before whatever comes after them.
  replay: `update outbox_events set state = 'pending', not_before = now(), failures = 0, alone = false, done_at = null
    where ${THESE} and state in ('done', 'dead') and created_at >= $3::timestamptz returning 1`,
  give_up: `update outbox_events set state = 'dead', done_at = now()
    where ${THESE} and ${OPEN} and $1::uuid is not null and $3::timestamptz is null returning 1`,
}

/** Answers how many events are concerned. */
export async function carryOut(tx: Transaction, rows: readonly ChangeRow[]): Promise<number> {
  let concerned = 0
  for (const { kind, after } of rows) {
    if (kind !== 'outbox_request' || after === null) continue
    const { wish, event_id, destination, since } = after as unknown as Wish
    concerned += (await tx.query(STATEMENTS[wish], [event_id, destination, since])).length
  }
  return concerned
}
