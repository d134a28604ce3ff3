-- Networks that projects were given with one request, and which external network they lead to.
-- Breaking: no (a new table, an index on a flag that was of no use before).

create table auto_allocated_topologies (
  id uuid primary key,
  project_id text not null,
  network_id uuid not null references networks deferrable initially deferred,
  router_id uuid references routers deferrable initially deferred,
  revision_number bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  -- Of two requests at once, one makes it and the other finds it.
  constraint auto_allocated_topologies_one unique (project_id)
);
create index on auto_allocated_topologies (network_id);
create index on auto_allocated_topologies (router_id);

update networks set is_default = false where is_default;
create unique index networks_one_default on networks (is_default) where is_default;
