-- Where a port stands that stands on many hosts: what they report of it, or of what it is part of there.
-- Breaking: no (a view).

create view distributed_port_hosts as
  select md5(s.port_id || ' ' || s.kind || ' ' || r.host)::uuid as id, s.port_id, r.host, r.generation, r.message,
    r.at as reported_at,
    case when r.state = 'done' and r.generation >= s.generation then 'ACTIVE'
      when r.state = 'error' and r.generation >= s.generation or r.state = 'unsupported' then 'DOWN'
      else 'BUILD' end as status
  from (
    select p.id as port_id, 'network' as kind, p.network_id as part_of, n.revision_number as generation
      from ports p join networks n on n.id = p.network_id where p.device_owner = 'network:dhcp'
    union all
    select p.id, 'router', p.router_id, o.revision_number
      from ports p join routers o on o.id = p.router_id where p.router_id is not null) s
  join realizations r on r.kind = s.kind and r.id = s.part_of;
