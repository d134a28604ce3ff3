-- Where mechanism drivers stand that follow the change log, what they fail at, and what operators let them skip.
-- Breaking: no (columns that may be null, a table and a view).

-- The change a reader fails at: {change, kind, id, op, generation, failures, error, since, at}. Null: it does not fail.
alter table outbox_readers add column trouble jsonb;
-- When a driver lost changes, for the change log was cut off before it was told.
alter table outbox_readers add column lost_at timestamptz;

-- A change that a driver need not take, named by its place in the log.
create table outbox_skips (
  id uuid primary key,
  driver text not null,
  change text not null,
  revision_number bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null
);
create index on outbox_skips (driver, change);

create view outbox_drivers as
  select md5(r.name)::uuid as id,
    substr(r.name, 8) as name,
    concat_ws('.', r.era, r.xid, r.seq) as place,
    exists (select 1 from leases l where l.name = r.name and l.held_until > now()) as told,
    (select c.at from change c where (c.era, c.xid, c.seq) > (r.era, r.xid, r.seq) order by c.era, c.xid, c.seq limit 1)
      as behind_since,
    r.trouble ->> 'change' as change,
    r.trouble ->> 'kind' as kind,
    (r.trouble ->> 'id')::uuid as object_id,
    r.trouble ->> 'op' as op,
    (r.trouble ->> 'generation')::bigint as generation,
    coalesce((r.trouble ->> 'failures')::integer, 0) as failures,
    r.trouble ->> 'error' as error,
    (r.trouble ->> 'since')::timestamptz as failing_since,
    (r.trouble ->> 'at')::timestamptz as tried_at,
    r.lost_at
  from outbox_readers r where r.name like 'driver %';
