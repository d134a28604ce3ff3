-- How far back the change log reaches, and which tables its eras were begun in.
-- Breaking: no (a new table, a new column that may be null).

-- The last of what was removed from the log, by position and by time.
create table change_horizon (
  era integer primary key,
  xid xid8 not null,
  seq bigint not null,
  at timestamptz not null
);

-- The table an era was begun in: a dump that is restored, even into the same cluster, makes another.
alter table eras add column relation oid;
