-- IPv6 addresses behind routers that the outside finds by neighbour discovery.
-- Breaking: no (new table, a column with a default).

alter table routers add column enable_ndp_proxy boolean not null default false;

create table ndp_proxies (
  id uuid primary key,
  project_id text not null,
  name text not null,
  description text not null,
  router_id uuid not null references routers,
  port_id uuid not null references ports,
  ip_address inet not null,
  subnet_id uuid not null,
  -- What the proxy stands on: none of it may go while it is needed.
  interface_port_id uuid not null,
  gateway_port_id uuid not null,
  revision_number bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  constraint ndp_proxies_once unique (router_id, ip_address),
  constraint ndp_proxies_need_fixed_ip foreign key (subnet_id, ip_address) references ip_allocations
    deferrable initially deferred,
  constraint ndp_proxies_need_interface foreign key (interface_port_id) references ports,
  constraint ndp_proxies_need_gateway foreign key (gateway_port_id) references ports
);
create index on ndp_proxies (project_id);
create index on ndp_proxies (port_id);
create index on ndp_proxies (subnet_id, ip_address);
create index on ndp_proxies (interface_port_id);
create index on ndp_proxies (gateway_port_id);
