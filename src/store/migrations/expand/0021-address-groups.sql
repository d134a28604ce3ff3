-- Address groups: named lists of prefixes that rules of security groups refer to.
-- Breaking: no (a new table, a new column that may be null).

create table address_groups (
  id uuid primary key,
  project_id text not null,
  name text not null,
  description text not null,
  -- Canonical prefixes, each once.
  addresses jsonb not null,
  shared_with text[] not null default '{}',
  revision_number bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null
);
create index on address_groups (project_id);
create index on address_groups using gin (shared_with);

alter table security_group_rules add column remote_address_group_id uuid references address_groups;
create index on security_group_rules (remote_address_group_id) where remote_address_group_id is not null;
alter table default_security_group_rules add foreign key (remote_address_group_id) references address_groups;
