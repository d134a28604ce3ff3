-- Logs: which packets that security groups accept or drop are written down.

create table logs (
  id uuid primary key,
  project_id text not null,
  name text not null,
  description text not null,
  resource_type text not null,
  resource_id uuid references security_groups,
  target_id uuid references ports,
  event text not null,
  enabled boolean not null,
  revision_number bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null
);
create index on logs (project_id);
create index on logs (resource_id) where resource_id is not null;
create index on logs (target_id) where target_id is not null;

create view loggable_resources as
select md5(r.type)::uuid as id, r.type from (values ('security_group')) r (type);
