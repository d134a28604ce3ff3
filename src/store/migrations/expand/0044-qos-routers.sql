-- QoS of floating IPs and of router gateways; flavors of routers.

alter table floating_ips add column qos_policy_id uuid references qos_policies;
alter table routers add column qos_policy_id uuid references qos_policies;
create index on floating_ips (qos_policy_id) where qos_policy_id is not null;
create index on routers (qos_policy_id) where qos_policy_id is not null;

alter table routers add column flavor_id uuid references flavors;
create index on routers (flavor_id) where flavor_id is not null;

-- One user of each policy, if there is any: what an index finds first, however many there are.
create or replace view qos_policy_uses as
select p.id, u.object_type, u.object_id
from qos_policies p cross join lateral (
  (select 'port' as object_type, o.id as object_id from ports o where o.qos_policy_id = p.id limit 1)
  union all
  (select 'network', o.id from networks o where o.qos_policy_id = p.id limit 1)
  union all
  (select 'fip', o.id from floating_ips o where o.qos_policy_id = p.id limit 1)
  union all
  (select 'router', o.id from routers o where o.qos_policy_id = p.id limit 1)
  limit 1
) u;
