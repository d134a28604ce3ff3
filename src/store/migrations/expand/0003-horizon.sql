-- How far back the change log reaches: the last of what was removed from it, by position and by time, for each era.
-- Breaking: no (new table).

create table change_horizon (
  era integer primary key,
  xid xid8 not null,
  seq bigint not null,
  at timestamptz not null
);
