-- Local IPs: one address that on every host is the port there; and what stands on a port, of all kinds at once.
-- Breaking: no (new tables and a view).

create table local_ips (
  id uuid primary key,
  project_id text not null,
  name text not null,
  description text not null,
  local_port_id uuid not null references ports,
  network_id uuid not null references networks,
  local_ip_address inet not null,
  ip_mode text not null,
  revision_number bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null
);
create index on local_ips (project_id);
create index on local_ips (local_port_id);
create index on local_ips (network_id);

create table local_ip_associations (
  id uuid primary key,
  project_id text not null,
  local_ip_id uuid not null references local_ips,
  fixed_port_id uuid not null references ports,
  fixed_ip inet not null,
  fixed_subnet_id uuid not null,
  revision_number bigint not null,
  constraint local_ip_associations_once unique (local_ip_id, fixed_port_id),
  constraint local_ip_associations_need_fixed_ip foreign key (fixed_subnet_id, fixed_ip) references ip_allocations
    deferrable initially deferred
);
create index on local_ip_associations (fixed_port_id);
create index on local_ip_associations (fixed_subnet_id, fixed_ip);

-- What stands on a port: on this address of it, on any of its addresses in this subnet, or on the port as such.
create view port_uses as
  select md5(u.kind || u.object_id)::uuid as id, u.*
  from (
    select internal_port_id as port_id, 'port_forwarding' as kind, id as object_id, internal_ip_address as ip_address,
      internal_subnet_id as subnet_id from port_forwardings
    union all
    select interface_port_id, 'forwarding_interface', id, null, internal_subnet_id from port_forwardings
    union all
    select port_id, 'ndp_proxy', id, ip_address, subnet_id from ndp_proxies
    union all
    select interface_port_id, 'proxy_interface', id, null, subnet_id from ndp_proxies
    union all
    select gateway_port_id, 'proxy_gateway', id, null, null from ndp_proxies
    union all
    select local_port_id, 'local_ip', id, null, null from local_ips
    union all
    select fixed_port_id, 'local_ip_association', id, fixed_ip, fixed_subnet_id from local_ip_associations
    union all
    select port_id, 'floating_ip', id, fixed_ip_address, null from floating_ips
    union all
    select target_id, 'log', id, null, null from logs) u;
