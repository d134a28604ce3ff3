-- With whom objects are shared: one row per object, action and project. The objects keep the lists that reads need.
-- Breaking: no (new tables, new columns with defaults).

create table rbac_policies (
  id uuid primary key,
  project_id text not null,
  object_type text not null,
  object_id uuid not null,
  action text not null check (action in ('access_as_shared', 'access_as_external')),
  target_tenant text not null,
  revision_number bigint not null,
  constraint rbac_policies_once unique (object_id, action, target_tenant)
);
create index on rbac_policies (project_id);
create index on rbac_policies (target_tenant);

alter table security_groups add column shared_with text[] not null default '{}';
create index on security_groups using gin (shared_with);

-- Lists that were kept without policies until now.
insert into rbac_policies (id, project_id, object_type, object_id, action, target_tenant, revision_number)
  select gen_random_uuid(), n.project_id, 'network', n.id, 'access_as_shared', target, 1
  from networks n, unnest(n.shared_with) target;
insert into quota_usage (project_id, resource, used)
  select project_id, 'rbac_policy', count(*) from rbac_policies group by project_id;

-- What a new security group starts with. A rule whose remote group is PARENT names the group it is in.
create table default_security_group_rules (
  id uuid primary key,
  description text not null,
  direction text not null,
  ethertype text not null,
  protocol text,
  port_range_min integer,
  port_range_max integer,
  remote_ip_prefix text,
  remote_group_id text,
  remote_address_group_id uuid,
  used_in_default_sg boolean not null,
  used_in_non_default_sg boolean not null,
  revision_number bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null
);
insert into default_security_group_rules
    (id, description, direction, ethertype, remote_group_id, used_in_default_sg, used_in_non_default_sg,
      revision_number, created_at, updated_at)
  select gen_random_uuid(), '', direction, ethertype, remote, true, direction = 'egress', 1, now(), now()
  from (values ('egress', null), ('ingress', 'PARENT')) d (direction, remote), (values ('IPv4'), ('IPv6')) e (ethertype);
