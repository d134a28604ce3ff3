-- Subnet pools, address scopes, and what subnets get from them.
-- Breaking: no (new tables, new columns with defaults).

create table address_scopes (
  id uuid primary key,
  project_id text not null,
  name text not null,
  ip_version smallint not null check (ip_version in (4, 6)),
  shared_with text[] not null default '{}',
  revision_number bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null
);
create index on address_scopes (project_id);
create index on address_scopes using gin (shared_with);

create table subnetpools (
  id uuid primary key,
  project_id text not null,
  name text not null,
  description text not null,
  ip_version smallint not null check (ip_version in (4, 6)),
  prefixes jsonb not null,
  min_prefixlen smallint not null,
  max_prefixlen smallint not null,
  default_prefixlen smallint not null,
  default_quota bigint,
  is_default boolean not null,
  address_scope_id uuid references address_scopes deferrable initially deferred,
  shared_with text[] not null default '{}',
  tags text[] not null default '{}',
  revision_number bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  check (min_prefixlen <= default_prefixlen and default_prefixlen <= max_prefixlen)
);
create index on subnetpools (project_id);
create index on subnetpools (address_scope_id);
create index on subnetpools using gin (shared_with);
create index on subnetpools using gin (tags);
create unique index subnetpools_one_default on subnetpools (ip_version) where is_default;

-- The prefixes of the pools, kept by the trigger below: what two pools of one scope have may never overlap.
create table subnetpool_prefixes (
  subnetpool_id uuid not null references subnetpools on delete cascade,
  address_scope_id uuid,
  prefix cidr not null,
  primary key (subnetpool_id, prefix),
  constraint address_scopes_disjoint exclude using gist (address_scope_id with =, prefix inet_ops with &&)
);

create function keep_subnetpool_prefixes() returns trigger language plpgsql as $$
begin
  if tg_op = 'UPDATE' then
    if new.prefixes = old.prefixes and new.address_scope_id is not distinct from old.address_scope_id then
      return null;
    end if;
    delete from subnetpool_prefixes where subnetpool_id = new.id;
  end if;
  insert into subnetpool_prefixes
    select new.id, new.address_scope_id, p::cidr from jsonb_array_elements_text(new.prefixes) p;
  return null;
end $$;
create trigger keep_prefixes after insert or update of prefixes, address_scope_id on subnetpools
  for each row execute function keep_subnetpool_prefixes();

-- What of a pool is free, as the largest blocks there are: to take a prefix splits one, to give it back joins them.
create table subnetpool_free_blocks (
  subnetpool_id uuid not null references subnetpools on delete cascade deferrable initially deferred,
  block cidr not null,
  primary key (subnetpool_id, block)
);
create index on subnetpool_free_blocks (subnetpool_id, masklen(block) desc, block);

alter table subnets
  add column subnetpool_id uuid references subnetpools deferrable initially deferred,
  add column service_types text[] not null default '{}',
  add column dns_publish_fixed_ip boolean not null default false,
  -- Two subnets of a pool never overlap, whatever runs at the same time.
  add constraint subnets_no_overlap_in_pool exclude using gist (subnetpool_id with =, cidr inet_ops with &&);
create index on subnets (subnetpool_id, project_id);
