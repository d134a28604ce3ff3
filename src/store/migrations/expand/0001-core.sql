-- The core: networks, subnets, ports, security groups, agents; what allocates, counts and remembers.
-- Breaking: no (first schema).

create extension if not exists btree_gist;

create table networks (
  id uuid primary key,
  project_id text not null,
  name text not null,
  description text not null,
  admin_state_up boolean not null,
  status text not null,
  shared boolean not null,
  mtu integer not null check (mtu between 68 and 65535),
  port_security_enabled boolean not null,
  revision_number bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null
);
create index on networks (project_id);
create index on networks (name);

create table network_segments (
  id uuid primary key,
  network_id uuid not null references networks deferrable initially deferred,
  network_type text not null,
  physical_network text,
  segmentation_id integer,
  segment_index integer not null default 0,
  unique (network_id, segment_index)
);
-- The last word on every VNI, VLAN and flat network: one owner.
create unique index network_segments_taken on network_segments
  (network_type, coalesce(physical_network, ''), coalesce(segmentation_id, -1)) where network_type <> 'local';

create table subnets (
  id uuid primary key,
  project_id text not null,
  network_id uuid not null references networks deferrable initially deferred,
  name text not null,
  description text not null,
  ip_version smallint not null check (ip_version in (4, 6)),
  cidr cidr not null,
  gateway_ip inet,
  allocation_pools jsonb not null,
  dns_nameservers jsonb not null,
  host_routes jsonb not null,
  enable_dhcp boolean not null,
  ipv6_ra_mode text,
  ipv6_address_mode text,
  shared boolean not null,
  revision_number bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  -- Two subnets of a network never overlap, whatever runs at the same time.
  constraint subnets_no_overlap exclude using gist (network_id with =, cidr inet_ops with &&)
);
create index on subnets (network_id);
create index on subnets (project_id);

create table security_groups (
  id uuid primary key,
  project_id text not null,
  name text not null,
  description text not null,
  stateful boolean not null,
  revision_number bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null
);
create index on security_groups (project_id);
create unique index security_groups_one_default on security_groups (project_id) where name = 'default';

create table security_group_rules (
  id uuid primary key,
  project_id text not null,
  security_group_id uuid not null references security_groups deferrable initially deferred,
  description text not null,
  direction text not null,
  ethertype text not null,
  protocol text,
  port_range_min integer,
  port_range_max integer,
  remote_ip_prefix text,
  remote_group_id uuid references security_groups deferrable initially deferred,
  normalized_cidr cidr,
  revision_number bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null
);
create index on security_group_rules (security_group_id);
create index on security_group_rules (remote_group_id);
create index on security_group_rules (project_id);

create table ports (
  id uuid primary key,
  project_id text not null,
  network_id uuid not null references networks deferrable initially deferred,
  name text not null,
  description text not null,
  mac_address macaddr not null,
  admin_state_up boolean not null,
  status text not null,
  device_id text not null,
  device_owner text not null,
  fixed_ips jsonb not null,
  security_group_ids uuid[] not null,
  port_security_enabled boolean not null,
  allowed_address_pairs jsonb not null,
  dns_name text not null,
  dns_assignment jsonb not null,
  data_plane_status text,
  binding_host text not null,
  binding_vnic_type text not null,
  binding_profile jsonb not null,
  binding_vif_type text not null,
  binding_vif_details jsonb not null,
  revision_number bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  constraint ports_one_mac unique (network_id, mac_address)
);
create index on ports (project_id);
create index on ports (device_id) where device_id <> '';
create index on ports (binding_host) where binding_host <> '';
create index on ports (network_id) where device_owner = 'network:dhcp';
create index on ports using gin (security_group_ids);

-- Kept by the trigger below; the foreign key refuses to delete a group that a port is in.
create table port_security_groups (
  port_id uuid not null references ports on delete cascade deferrable initially deferred,
  security_group_id uuid not null references security_groups,
  primary key (port_id, security_group_id)
);
create index on port_security_groups (security_group_id);

create function link_port_security_groups() returns trigger language plpgsql as $$
begin
  if tg_op = 'UPDATE' then
    if new.security_group_ids = old.security_group_ids then return null; end if;
    delete from port_security_groups where port_id = new.id;
  end if;
  if cardinality(new.security_group_ids) > 0 then
    insert into port_security_groups select new.id, unnest(new.security_group_ids) on conflict do nothing;
  end if;
  return null;
end $$;
create trigger link_security_groups after insert or update of security_group_ids on ports
  for each row execute function link_port_security_groups();

-- One address, one holder: the last word on allocation.
create table ip_allocations (
  subnet_id uuid not null references subnets deferrable initially deferred,
  ip_address inet not null,
  port_id uuid not null references ports deferrable initially deferred,
  -- Was taken out of the subnet's free ranges, and goes back there.
  from_pool boolean not null,
  primary key (subnet_id, ip_address)
);
create index on ip_allocations (port_id);

-- What is still free, as inclusive ranges of numbers: addresses of a subnet (`subnet:<id>`), VNIs (`vxlan`), VLANs
-- (`vlan:<physical network>`). Taking one shrinks a range, whatever share of the pool is used; several ranges a
-- pool let writers take side by side. Given back numbers queue up behind the others (seq), so they rest the longest.
create table free_ranges (
  pool text not null,
  seq bigint generated always as identity,
  first numeric(39) not null,
  last numeric(39) not null,
  primary key (pool, seq),
  check (first <= last)
);
create index on free_ranges (pool, first);

-- What the ranges were made from, so that a changed configuration is noticed and an unchanged one costs nothing.
create table range_sources (
  pool text primary key,
  source text not null
);

create table agents (
  id uuid primary key,
  host text not null,
  agent_type text not null,
  binary_name text not null,
  topic text not null,
  availability_zone text,
  admin_state_up boolean not null default true,
  description text,
  configurations jsonb not null default '{}',
  resources_synced boolean,
  refused jsonb,
  created_at timestamptz not null,
  started_at timestamptz not null,
  heartbeat_timestamp timestamptz not null,
  revision_number bigint not null,
  unique (host, agent_type)
);

-- Limits an administrator set; the others come from the configuration.
create table quotas (
  project_id text not null,
  resource text not null,
  "limit" bigint not null,
  primary key (project_id, resource)
);

-- Exact counters, written last in each transaction.
create table quota_usage (
  project_id text not null,
  resource text not null,
  used bigint not null check (used >= 0),
  primary key (project_id, resource)
);

-- `cap` < 0 or a null cap with no stored limit: unlimited. Raises DQ001 when the limit would be passed.
create function quota_count(project text, kind text, delta bigint, fallback bigint, enforce boolean) returns bigint
language plpgsql as $$
declare
  cap bigint;
  total bigint;
begin
  insert into quota_usage as u values (project, kind, greatest(delta, 0))
    on conflict (project_id, resource) do update set used = greatest(u.used + delta, 0)
    returning used into total;
  if enforce and delta > 0 then
    select coalesce((select "limit" from quotas where project_id = project and resource = kind), fallback) into cap;
    if cap >= 0 and total > cap then
      raise exception 'quota' using errcode = 'DQ001', detail = json_build_object('limit', cap, 'used', total - delta)::text;
    end if;
  end if;
  return total;
end $$;

create table idempotency_keys (
  project_id text not null,
  key text not null,
  request_hash text not null,
  status integer not null,
  response text not null,
  created_at timestamptz not null default now(),
  primary key (project_id, key)
);
create index on idempotency_keys (created_at);

-- The change log. Cursor: (era, xid, seq), read behind xid < pg_snapshot_xmin. An era is one numbering of
-- transactions: a restored dump starts the next one.
create table eras (
  era integer primary key,
  system_identifier text not null,
  timeline integer not null,
  began_at timestamptz not null default now()
);

create table change (
  era integer not null,
  xid xid8 not null default pg_current_xact_id(),
  seq bigint generated always as identity,
  at timestamptz not null default clock_timestamp(),
  actor text not null,
  actor_name text not null,
  request_id text not null,
  project_id text not null,
  kind text not null,
  id uuid not null,
  op text not null check (op in ('create', 'update', 'delete')),
  generation bigint not null,
  before jsonb,
  after jsonb,
  primary key (era, xid, seq)
) partition by range (era, xid);
create table change_rest partition of change default;
create index on change (kind, id, generation);
