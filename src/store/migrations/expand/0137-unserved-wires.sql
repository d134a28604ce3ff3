-- Segments with ports that no switch carries, and no host of their network's DHCP to answer these on the wire.
-- Breaking: no (an index and a view).

create index ports_off_switch on ports (network_id)
  where binding_vif_type in ('hw_veb', 'hostdev_physical', 'macvtap', 'other');

-- With an agent each that may be given the network for it: it lives and reaches the segment.
create view unserved_wires as
  select md5(w.segment_id || ' ' || c.agent_id)::uuid as id, w.network_id, w.segment_id, c.agent_id, c.host
  from (
    select distinct s.network_id, s.id as segment_id, s.physical_network
    from ports p cross join jsonb_array_elements(p.binding_levels) l
      join network_segments s on s.id = (l ->> 'segment_id')::uuid
    where p.binding_vif_type in ('hw_veb', 'hostdev_physical', 'macvtap', 'other') and s.physical_network is not null
      and exists (select from subnets t where t.network_id = s.network_id and t.enable_dhcp)
      and not exists (
        select from dhcp_bindings b join agents a on a.host = b.host
        where b.network_id = s.network_id and a.configurations -> 'bridge_mappings' ? s.physical_network)
    limit 200) w
  join networks n on n.id = w.network_id
  cross join lateral (
    select a.agent_id, a.host from (
      select g.id as agent_id, g.host from live_agents g
      where g.agent_type = 'DHCP agent'
        and (n.availability_zone_hints = '[]' or n.availability_zone_hints ? g.availability_zone)
        and exists (
          select from agents l where l.host = g.host and l.configurations -> 'bridge_mappings' ? w.physical_network)
      order by random() limit 24) a
    order by (select count(*) from dhcp_bindings b where b.agent_id = a.agent_id), a.host limit 1) c;
