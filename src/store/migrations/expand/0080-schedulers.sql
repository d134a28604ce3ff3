-- Which agents serve a network's DHCP and a router's outside, who could, and the zones agents are in.
-- Breaking: no (new tables and views, a column with a default, a check that allows more).

alter table networks add column availability_zone_hints jsonb not null default '[]';

-- Keeps a network served on the agent's host, whether ports of it live there or not.
create table dhcp_bindings (
  id uuid primary key,
  network_id uuid not null references networks,
  agent_id uuid not null references agents,
  host text not null,
  revision_number bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  unique (network_id, agent_id)
);
create index on dhcp_bindings (agent_id);
create index on dhcp_bindings (host);

-- The hosts of a router's outside. Without high availability it has only the first slot.
create table router_bindings (
  id uuid primary key,
  router_id uuid not null references routers deferrable initially deferred,
  agent_id uuid not null references agents,
  host text not null,
  slot integer not null check (slot > 0),
  revision_number bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  unique (router_id, agent_id),
  unique (router_id, slot)
);
create index on router_bindings (agent_id);
create index on router_bindings (host);

create view live_agents as
  select a.* from agents a
  where a.admin_state_up and a.refused is null
    and a.heartbeat_timestamp > now() - current_setting('deuteron.agent_down_time')::interval;

-- Where a network's DHCP is served: where it is bound, and where ports of it live.
create view dhcp_services as
  select md5(s.network_id || ' ' || s.agent_id)::uuid as id, s.network_id, s.agent_id
  from (
    select b.network_id, b.agent_id from dhcp_bindings b
    union
    select p.network_id, a.id from ports p join agents a on a.host = p.binding_host and a.agent_type = 'DHCP agent'
      where p.binding_host <> '' and p.binding_vif_type not in ('unbound', 'binding_failed')
        and exists (select from subnets s where s.network_id = p.network_id and s.enable_dhcp)) s;

-- Agents that may be given a network, with how many they have. Of many agents a random few are looked at: the least
-- loaded of those is nearly as good as of all, and costs the same whatever their number.
create view dhcp_candidates as
  select md5(n.id || ' ' || c.id)::uuid as id, n.id as network_id, c.id as agent_id, c.host, c.availability_zone,
    (select count(*) from dhcp_bindings b where b.agent_id = c.id) as load,
    (select count(*) from dhcp_bindings b where b.network_id = n.id) as bound
  from networks n cross join lateral (
    select a.id, a.host, a.availability_zone from live_agents a
    where a.agent_type = 'DHCP agent'
      and (n.availability_zone_hints = '[]' or n.availability_zone_hints ? a.availability_zone)
      and not exists (select from dhcp_bindings b where b.network_id = n.id and b.agent_id = a.id)
      and exists (
        select from network_segments s where s.network_id = n.id and (s.physical_network is null or exists (
          select from agents l where l.host = a.host and l.configurations -> 'bridge_mappings' ? s.physical_network)))
    order by random() limit 24) c;

-- Agents that may be given a router, in the same way: they reach the network of its gateway.
create view router_candidates as
  select md5(r.id || ' ' || c.id)::uuid as id, r.id as router_id, c.id as agent_id, c.host, c.availability_zone,
    (select count(*) from router_bindings b where b.agent_id = c.id) as load
  from routers r cross join lateral (
    select a.id, a.host, a.availability_zone from live_agents a
    where a.agent_type = 'L3 agent'
      and a.configurations ->> 'agent_mode' in ('legacy', 'dvr_snat')
      and not (r.distributed and a.configurations ->> 'agent_mode' = 'legacy')
      and (r.availability_zone_hints = '[]' or r.availability_zone_hints ? a.availability_zone)
      and not exists (select from router_bindings b where b.router_id = r.id and b.agent_id = a.id)
      and not exists (
        select from ports g join network_segments s on s.network_id = g.network_id
        where g.router_id = r.id and g.device_owner = 'network:router_gateway' and s.physical_network is not null
          and not exists (
            select from agents l where l.host = a.host and l.configurations -> 'bridge_mappings' ? s.physical_network))
    order by random() limit 24) c;

-- Bindings to agents that are down, longest first, as many as one round of failover takes. An agent that an
-- administrator took out of service keeps what it has.
create view lost_bindings as
  select * from (
    select b.id, 'dhcp' as kind, b.network_id as bound_id, b.agent_id, a.heartbeat_timestamp
      from dhcp_bindings b join agents a on a.id = b.agent_id
      where a.admin_state_up
        and a.heartbeat_timestamp <= now() - current_setting('deuteron.agent_down_time')::interval
    union all
    select b.id, 'l3', b.router_id, b.agent_id, a.heartbeat_timestamp
      from router_bindings b join agents a on a.id = b.agent_id
      where a.admin_state_up
        and a.heartbeat_timestamp <= now() - current_setting('deuteron.agent_down_time')::interval) b
  order by b.heartbeat_timestamp, b.id limit 200;

-- What needs an agent and has none: for agents that come later.
create view unscheduled as
  (select s.network_id as id, 'dhcp' as kind from subnets s
    where s.enable_dhcp and not exists (select from dhcp_bindings b where b.network_id = s.network_id)
    group by s.network_id limit 200)
  union all
  (select p.router_id, 'l3' from ports p
    where p.router_id is not null and not exists (select from router_bindings b where b.router_id = p.router_id)
    group by p.router_id limit 200);

create view availability_zones as
  select md5(z.resource || ' ' || z.name)::uuid as id, z.name, z.resource,
    case when bool_or(z.admin_state_up) then 'available' else 'unavailable' end as state
  from (
    select a.availability_zone as name, a.admin_state_up,
      case a.agent_type when 'DHCP agent' then 'network' else 'router' end as resource
    from agents a
    where a.agent_type in ('DHCP agent', 'L3 agent') and a.availability_zone is not null) z
  group by z.resource, z.name;

-- A data plane may say that it does not do such objects at all.
alter table realizations drop constraint realizations_state_check;
alter table realizations add constraint realizations_state_check
  check (state in ('pending', 'done', 'error', 'unsupported'));
