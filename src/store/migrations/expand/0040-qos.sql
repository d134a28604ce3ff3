-- QoS: policies, their rules by kind, and who has which policy.

create extension if not exists "uuid-ossp";

create table qos_policies (
  id uuid primary key,
  project_id text not null,
  name text not null,
  description text not null,
  shared_with text[] not null default '{}',
  is_default boolean not null,
  tags text[] not null default '{}',
  revision_number bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null
);
create index on qos_policies (project_id);
create index on qos_policies using gin (shared_with);
create index on qos_policies using gin (tags);
create unique index qos_policies_one_default on qos_policies (project_id) where is_default;

create table qos_bandwidth_limit_rules (
  id uuid primary key,
  project_id text not null,
  qos_policy_id uuid not null references qos_policies,
  max_kbps bigint not null,
  max_burst_kbps bigint not null,
  direction text not null,
  revision_number bigint not null,
  constraint qos_bandwidth_limit_rules_once unique (qos_policy_id, direction)
);
create table qos_packet_rate_limit_rules (
  id uuid primary key,
  project_id text not null,
  qos_policy_id uuid not null references qos_policies,
  max_kpps bigint not null,
  max_burst_kpps bigint not null,
  direction text not null,
  revision_number bigint not null,
  constraint qos_packet_rate_limit_rules_once unique (qos_policy_id, direction)
);
create table qos_dscp_marking_rules (
  id uuid primary key,
  project_id text not null,
  qos_policy_id uuid not null references qos_policies,
  dscp_mark bigint not null,
  revision_number bigint not null,
  constraint qos_dscp_marking_rules_once unique (qos_policy_id)
);
create table qos_minimum_bandwidth_rules (
  id uuid primary key,
  project_id text not null,
  qos_policy_id uuid not null references qos_policies,
  min_kbps bigint not null,
  direction text not null,
  revision_number bigint not null,
  constraint qos_minimum_bandwidth_rules_once unique (qos_policy_id, direction)
);
create table qos_minimum_packet_rate_rules (
  id uuid primary key,
  project_id text not null,
  qos_policy_id uuid not null references qos_policies,
  min_kpps bigint not null,
  direction text not null,
  revision_number bigint not null,
  constraint qos_minimum_packet_rate_rules_once unique (qos_policy_id, direction)
);

alter table networks add column qos_policy_id uuid references qos_policies;
alter table ports add column qos_policy_id uuid references qos_policies;
create index on networks (qos_policy_id) where qos_policy_id is not null;
create index on ports (qos_policy_id) where qos_policy_id is not null;

-- One user of each policy, if there is any: what an index finds first, however many there are.
create view qos_policy_uses as
select p.id, u.object_type, u.object_id
from qos_policies p cross join lateral (
  (select 'port' as object_type, o.id as object_id from ports o where o.qos_policy_id = p.id limit 1)
  union all
  (select 'network', o.id from networks o where o.qos_policy_id = p.id limit 1)
  limit 1
) u;

-- Ports that have the policy, or would have their network's.
create view qos_policy_ports as
select o.qos_policy_id, o.id, o.network_id, o.device_owner from ports o where o.qos_policy_id is not null
union all
select n.qos_policy_id, o.id, o.network_id, o.device_owner
from networks n join ports o on o.network_id = n.id and o.qos_policy_id is null
where n.qos_policy_id is not null;

-- Has the network's first segment a physical network?
create function has_physical_network(network uuid) returns boolean language sql stable as $$
  select coalesce((select s.physical_network is not null from network_segments s where s.network_id = network
    order by s.segment_index limit 1), false)
$$;

-- What stands in the way of a guarantee: a port whose guarantees are counted elsewhere (an instance's), and a port on a
-- network without a physical one, where nobody could keep the guarantee of a bandwidth.
create view qos_policy_limits as
select p.id,
  (select o.id from qos_policy_ports o where o.qos_policy_id = p.id and o.device_owner like 'compute:%' limit 1)
    as instance_port_id,
  (select o.id from qos_policy_ports o where o.qos_policy_id = p.id and not has_physical_network(o.network_id) limit 1)
    as unbacked_port_id
from qos_policies p;

-- What a scheduler must find for a port before it can be placed: a group for the guaranteed bandwidth and one for the
-- guaranteed packet rate, each of resources and traits as Placement names them; null when nothing is guaranteed. A group's id is made from
-- the port's and those of the rules, so that it stays the same while they do.
create function placement_trait(prefix text, name text) returns text language sql immutable as $$
  select 'CUSTOM_' || prefix || '_' || regexp_replace(upper(name), '[^A-Z0-9_]+', '_', 'g')
$$;

create function port_resource_request(port uuid, network uuid, policy uuid, vnic_type text) returns jsonb
language sql stable as $$
  with segment as (
    select s.physical_network from network_segments s where s.network_id = network order by s.segment_index limit 1
  ), bandwidth as (
    select 1 as place, string_agg(r.id::text, ':' order by r.id) as rules,
      jsonb_object_agg(case r.direction when 'ingress' then 'NET_BW_IGR_KILOBIT_PER_SEC'
        else 'NET_BW_EGR_KILOBIT_PER_SEC' end, r.min_kbps) as resources,
      (select jsonb_build_array(placement_trait('PHYSNET', s.physical_network), placement_trait('VNIC_TYPE', vnic_type))
        from segment s where s.physical_network is not null) as required
    from qos_minimum_bandwidth_rules r where r.qos_policy_id = policy
  ), packets as (
    select 2 as place, string_agg(r.id::text, ':' order by r.id) as rules,
      jsonb_object_agg(case r.direction when 'ingress' then 'NET_PACKET_RATE_IGR_KILOPACKET_PER_SEC'
        when 'egress' then 'NET_PACKET_RATE_EGR_KILOPACKET_PER_SEC'
        else 'NET_PACKET_RATE_KILOPACKET_PER_SEC' end, r.min_kpps) as resources,
      jsonb_build_array(placement_trait('VNIC_TYPE', vnic_type)) as required
    from qos_minimum_packet_rate_rules r where r.qos_policy_id = policy
  ), groups as (
    select g.place, uuid_generate_v5(port, g.rules) as id, g.required, g.resources
    from (select * from bandwidth union all select * from packets) g
    where g.rules is not null and g.required is not null
  )
  select case when count(*) > 0 then jsonb_build_object(
    'request_groups', jsonb_agg(jsonb_build_object('id', g.id, 'required', g.required, 'resources', g.resources) order by g.place),
    'same_subtree', jsonb_agg(g.id order by g.place)) end
  from groups g
$$;

-- The kinds of rules and the drivers that know them, with the parameters each accepts.
create view qos_rule_types as
with drivers (driver, type, parameters) as (values
  ('openvswitch', 'bandwidth_limit', '{"max_kbps": [0, 2147483647], "max_burst_kbps": [0, 2147483647], "direction": ["ingress", "egress"]}'::json),
  ('openvswitch', 'packet_rate_limit', '{"max_kpps": [0, 2147483647], "max_burst_kpps": [0, 2147483647], "direction": ["ingress", "egress"]}'),
  ('openvswitch', 'dscp_marking', '{"dscp_mark": [0, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34, 36, 38, 40, 46, 48, 56]}'),
  ('openvswitch', 'minimum_bandwidth', '{"min_kbps": [0, 2147483647], "direction": ["ingress", "egress"]}'),
  ('openvswitch', 'minimum_packet_rate', '{"min_kpps": [0, 2147483647], "direction": ["any", "ingress", "egress"]}')
)
select md5(d.type)::uuid as id, d.type, jsonb_agg(jsonb_build_object('name', d.driver, 'supported_parameters', (
  select jsonb_agg(jsonb_build_object('parameter_name', p.key) ||
    case when p.key in ('direction', 'dscp_mark')
      then jsonb_build_object('parameter_type', 'choices', 'parameter_values', p.value)
      else jsonb_build_object('parameter_type', 'range',
        'parameter_values', json_build_object('start', p.value -> 0, 'end', p.value -> 1)) end)
  from json_each(d.parameters) p
)) order by d.driver) as drivers
from drivers d group by d.type;
