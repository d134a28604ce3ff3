-- Routers and their ports, floating IPs, and for whom a network leads outside.
-- Breaking: no (new tables and views, new columns that may be null or have a default).

alter table networks add column external_with text[] not null default '{}';
alter table networks add column is_default boolean not null default false;
create index on networks using gin (external_with);

create table routers (
  id uuid primary key,
  project_id text not null,
  name text not null,
  description text not null,
  admin_state_up boolean not null,
  status text not null,
  enable_snat boolean not null,
  routes jsonb not null,
  distributed boolean not null,
  ha boolean not null,
  availability_zone_hints jsonb not null,
  tags text[] not null default '{}',
  revision_number bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null
);
create index on routers (project_id);
create index on routers using gin (tags);

-- A port of a router: one of its interfaces, or its gateway. A gateway's port is there before its router's row.
alter table ports add column router_id uuid references routers deferrable initially deferred;
create index on ports (router_id) where router_id is not null;
create index ports_of_routers on ports (network_id) where router_id is not null;
create unique index routers_one_gateway on ports (router_id)
  where router_id is not null and device_owner = 'network:router_gateway';

-- Every address of every router, with its subnet; a gateway without an address has one row without.
create view router_addresses as
  select md5(p.id::text || coalesce(host(a.ip_address), ''))::uuid as id, p.router_id, p.id as port_id, p.network_id,
    p.device_owner, a.subnet_id, a.ip_address, s.cidr, s.gateway_ip
  from ports p left join ip_allocations a on a.port_id = p.id left join subnets s on s.id = a.subnet_id
  where p.router_id is not null;

create table floating_ips (
  id uuid primary key,
  project_id text not null,
  description text not null,
  status text not null,
  floating_network_id uuid not null references networks,
  floating_ip_address inet not null,
  floating_port_id uuid not null unique references ports deferrable initially deferred,
  port_id uuid references ports,
  fixed_ip_address inet,
  fixed_subnet_id uuid,
  router_id uuid references routers,
  -- What the association stands on: none of it may go while a floating IP needs it.
  interface_port_id uuid,
  gateway_port_id uuid,
  dns_name text not null,
  dns_domain text not null,
  tags text[] not null default '{}',
  revision_number bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  check ((port_id is null) = (fixed_ip_address is null)),
  constraint floating_ips_need_fixed_ip foreign key (fixed_subnet_id, fixed_ip_address) references ip_allocations
    deferrable initially deferred,
  constraint floating_ips_need_interface foreign key (interface_port_id) references ports,
  constraint floating_ips_need_gateway foreign key (gateway_port_id) references ports
);
create index on floating_ips (project_id);
create index on floating_ips (router_id) where router_id is not null;
create index on floating_ips (interface_port_id) where interface_port_id is not null;
create index on floating_ips (gateway_port_id) where gateway_port_id is not null;
create index on floating_ips (fixed_subnet_id, fixed_ip_address) where fixed_ip_address is not null;
create index on floating_ips (floating_network_id);
create index on floating_ips using gin (tags);
-- One floating IP of a network per fixed IP.
create unique index floating_ips_one_per_fixed_ip on floating_ips (port_id, fixed_ip_address, floating_network_id)
  where port_id is not null;

-- Where floating IPs come from: the IPv4 subnets of external networks.
create view floatingip_pools as
  select s.id, s.id as subnet_id, s.name as subnet_name, s.network_id, s.cidr, n.project_id
  from subnets s join networks n on n.id = s.network_id
  where n.external_with <> '{}' and s.ip_version = 4;
