-- Helpers that follow protocols through a router whose data connections its connection tracking would not know.
-- Breaking: no (new table).

create table conntrack_helpers (
  id uuid primary key,
  project_id text not null,
  router_id uuid not null references routers,
  protocol text not null,
  port integer not null check (port between 1 and 65535),
  helper text not null,
  revision_number bigint not null,
  constraint conntrack_helpers_once unique (router_id, protocol, port, helper)
);
