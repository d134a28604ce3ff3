/**
 * Failures that a database may answer with at any time, put into the database itself: one of N transactions that
 * write fails, half of them at once (deadlock), half at COMMIT (serialization failure). The server is the one that
 * ships; it has to run them again, and no client may notice.
 */
import pg from 'pg'

/** All rows of one transaction draw the same lot: by its number, which is another one when it is run again. */
const sql = (oneOf: number): string => `
create sequence injected_faults;
create function inject_fault() returns trigger language plpgsql as $$
begin
  if hashtextextended(tg_argv[0] || pg_current_xact_id()::text, 0) % ${oneOf * 2} = 0 then
    perform nextval('injected_faults');
    raise exception 'injected' using errcode = tg_argv[0];
  end if;
  return null;
end $$;
create trigger inject_deadlock after insert on change for each row execute function inject_fault('40P01');
create constraint trigger inject_serialization_failure after insert on change deferrable initially deferred
  for each row execute function inject_fault('40001');`

export interface Faults {
  /** How many transactions failed so far. */
  count(): Promise<number>
}

/** From now on one of `oneOf` writing transactions fails. */
export const injectFaults = async (stack: AsyncDisposableStack, url: string, oneOf: number): Promise<Faults> => {
  const client = new pg.Client({ connectionString: url, application_name: 'conformance' })
  await client.connect()
  stack.defer(() => client.end())
  await client.query(sql(oneOf))
  const count = async (): Promise<number> => {
    const { rows } = await client.query<{ used: boolean; last: string }>(
      'select is_called as used, last_value as last from injected_faults',
    )
    return rows[0]?.used ? Number(rows[0].last) : 0
  }
  return { count }
}
