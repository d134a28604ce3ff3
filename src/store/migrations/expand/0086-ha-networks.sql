-- The network on which a project's highly available routers tell each other that they live.
-- Breaking: no.

create table ha_networks (
  id uuid primary key,
  project_id text not null,
  network_id uuid not null references networks deferrable initially deferred,
  revision_number bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  constraint ha_networks_one_per_project unique (project_id)
);
create index on ha_networks (network_id);
create index routers_ha on routers (project_id) where ha;
