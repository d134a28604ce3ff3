/**
 * The events that wait, as statements: taking the heads of their subjects, keeping what was answered, who works on it.
 *
 * Only the first open event of a subject can be taken, so none overtakes another and no subject waits for another. What
 * is taken may not be taken again before its time is up; by then whoever took it has given up sending.
 */
import type { Database } from '#store/pool.ts'
import type { DestinationName, TakenEvent, Verdict } from './event.ts'

export interface QueueOptions {
  readonly database: Database
  /** Milliseconds added to the database's clock; tests let time pass by it. */
  readonly ahead?: () => number
}

export interface Take {
  readonly destination: DestinationName
  readonly limit: number
  /** One that goes alone, or those that go together. */
  readonly alone: boolean
  /** Milliseconds until others may take them. */
  readonly holdMs: number
}

export interface Backlog {
  readonly destination: DestinationName
  readonly pending: number
  /** Of these, tried without success. */
  readonly failing: number
  /** Seconds. */
  readonly oldest: number
}

export interface Queue {
  take(request: Take): Promise<TakenEvent[]>
  /** Keeps verdicts, in the order of events; `delayMs` gives how long one is kept back after so many refusals. */
  settle(
    events: readonly TakenEvent[],
    verdicts: readonly Verdict[],
    delayMs: (failures: number) => number,
  ): Promise<void>
  /** Nothing is known of them: they are taken again when the destination is asked again. `delayMs`: not before; `alone`: and by themselves. */
  giveBack(events: readonly TakenEvent[], why: string, later?: { readonly delayMs: number }): Promise<void>
  backlog(): Promise<Backlog[]>
  /** Removes what is done for so long. */
  forget(keepSeconds: number): Promise<void>
}

const TAKE = `with heads as (
    select e.id from outbox_events e
      where e.destination = $1 and e.state in ('pending', 'delivering') and e.alone = $3
        and e.not_before <= now() + $5 * interval '1 millisecond'
        and not exists (select 1 from outbox_events p where p.destination = e.destination and p.subject = e.subject
          and p.position < e.position and p.state in ('pending', 'delivering'))
      order by e.position limit $2 for update skip locked),
  taken as (update outbox_events e set state = 'delivering', attempts = e.attempts + 1,
      attempted_at = now() + $5 * interval '1 millisecond', not_before = now() + ($5::float8 + $4::float8) * interval '1 millisecond'
    from heads where e.id = heads.id
    returning e.id, e.position, e.destination, e.subject, e.name, e.body, e.attempts, e.failures)
  select * from taken order by position`

const SETTLE = `update outbox_events e set answer = v.answer, alone = false,
    state = case when v.done then 'done' else 'pending' end,
    failures = case when v.done then 0 else e.failures + 1 end,
    done_at = case when v.done then now() end,
    not_before = now() + ($2 + v.delay) * interval '1 millisecond'
  from jsonb_to_recordset($1) as v (id uuid, attempts integer, done boolean, answer text, delay double precision)
  where e.id = v.id and e.attempts = v.attempts and e.state = 'delivering'`

const GIVE_BACK = `update outbox_events e set state = 'pending', answer = $2, alone = e.alone or $3::boolean,
    failures = e.failures + $3::boolean::integer, not_before = now() + ($4::float8 + $5::float8) * interval '1 millisecond'
  from jsonb_to_recordset($1) as v (id uuid, attempts integer)
  where e.id = v.id and e.attempts = v.attempts and e.state = 'delivering'`

const BACKLOG = `select destination, count(*)::integer as pending,
    (count(*) filter (where attempts > 0 and state = 'pending'))::integer as failing,
    extract(epoch from now() - min(created_at))::float8 as oldest
  from outbox_events where state in ('pending', 'delivering') group by destination`

export function createQueue({ database, ahead = () => 0 }: QueueOptions): Queue {
  const marks = (events: readonly TakenEvent[]) => events.map(({ id, attempts }) => ({ id, attempts }))
  return {
    take: ({ destination, limit, alone, holdMs }) =>
      database.query<TakenEvent & Record<string, unknown>>(TAKE, [destination, limit, alone, holdMs, ahead()]),
    settle: async (events, verdicts, delayMs) => {
      const rows = events.map(({ id, attempts, failures }, index) => {
        const verdict = verdicts[index]
        const done = verdict?.kind === 'done'
        const answer = verdict?.kind === 'done' ? verdict.note : (verdict?.why ?? 'no verdict')
        return { id, attempts, done, answer, delay: done ? 0 : delayMs(failures + 1) }
      })
      await database.query(SETTLE, [JSON.stringify(rows), ahead()])
    },
    giveBack: async (events, why, later) => {
      await database.query(GIVE_BACK, [
        JSON.stringify(marks(events)),
        why,
        later !== undefined,
        ahead(),
        later?.delayMs ?? 0,
      ])
    },
    backlog: () => database.query<Backlog & Record<string, unknown>>(BACKLOG),
    forget: async (keepSeconds) => {
      await database.query(`delete from outbox_events where done_at < now() - $1 * interval '1 second'`, [keepSeconds])
    },
  }
}
