-- Ports of floating IPs that are forwarded to ports behind routers.
-- Breaking: no (new table, a generated column).

-- A floating IP leads to a port as a whole, or forwards some of its own ports; never both.
alter table floating_ips add column is_associated boolean not null generated always as (port_id is not null) stored;
alter table floating_ips add unique (id, is_associated);

create table port_forwardings (
  id uuid primary key,
  project_id text not null,
  floatingip_id uuid not null references floating_ips,
  is_associated boolean not null default false check (not is_associated),
  protocol text not null,
  external_port_start integer not null,
  external_port_end integer not null,
  internal_port_id uuid not null references ports,
  internal_ip_address inet not null,
  internal_subnet_id uuid not null,
  internal_port_start integer not null,
  internal_port_end integer not null,
  -- The interface of the floating IP's router that the way in leaves by: it may not go while it is needed.
  interface_port_id uuid not null,
  description text not null,
  revision_number bigint not null,
  check (1 <= external_port_start and external_port_start <= external_port_end and external_port_end <= 65535),
  check (1 <= internal_port_start and internal_port_start <= internal_port_end and internal_port_end <= 65535),
  check (internal_port_start = internal_port_end
    or internal_port_end - internal_port_start = external_port_end - external_port_start),
  constraint port_forwardings_free_floating_ip foreign key (floatingip_id, is_associated)
    references floating_ips (id, is_associated),
  constraint port_forwardings_need_interface foreign key (interface_port_id) references ports,
  constraint port_forwardings_need_fixed_ip foreign key (internal_subnet_id, internal_ip_address)
    references ip_allocations deferrable initially deferred,
  -- A port outside leads to one port inside, a port inside is reached by one outside.
  constraint port_forwardings_one_outside exclude using gist (
    floatingip_id with =, protocol with =, int4range(external_port_start, external_port_end, '[]') with &&),
  constraint port_forwardings_one_inside exclude using gist (
    internal_port_id with =, internal_ip_address with =, protocol with =,
    int4range(internal_port_start, internal_port_end, '[]') with &&)
);
create index on port_forwardings (interface_port_id);
create index on port_forwardings (internal_subnet_id, internal_ip_address);
