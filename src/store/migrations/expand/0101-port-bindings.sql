-- Bindings that wait: where a port may be bound next, beside its row that says where it is.
-- Breaking: no (a table and a view).

create table port_bindings (
  id uuid primary key,
  port_id uuid not null references ports deferrable initially deferred,
  host text not null check (host <> ''),
  vnic_type text not null,
  profile jsonb not null,
  vif_type text not null,
  vif_details jsonb not null,
  levels jsonb not null default '[]',
  -- The host has proven the flows the port will have there.
  proven boolean not null default false,
  -- Nobody asked for it so long that its migration counts as abandoned.
  expires_at timestamptz not null,
  revision_number bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  constraint port_bindings_one_per_host unique (port_id, host)
);
create index on port_bindings (host);
create index on port_bindings (expires_at);

-- Some of those whose lease is over: what is left is found the next time.
create view expired_port_bindings as
  select b.id, b.port_id, true as expired from port_bindings b
  where b.expires_at <= now() order by b.expires_at limit 500;
