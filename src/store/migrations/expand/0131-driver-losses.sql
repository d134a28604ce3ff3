-- When a driver lost changes, for the change log was cut off before it was told.
-- Breaking: no (a column that may be null, a column at the end of a view).

alter table outbox_readers add column lost_at timestamptz;

create or replace view outbox_drivers as
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
