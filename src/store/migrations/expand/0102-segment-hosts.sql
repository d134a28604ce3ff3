-- Hosts that reach a segment because an operator says so, beside those whose agents do; and requests to bind failed
-- ports anew.
-- Breaking: no (a column with a default, columns at the end of a view, a table, a view).

alter table network_segments add column hosts text[] not null default '{}';

-- Which hosts reach which segments: by what their agents are plugged into, or by hand.
create or replace view segment_hosts as
  select md5(x.segment_id || ' ' || x.host)::uuid as id, x.segment_id, x.network_id, x.host, x.segment_index,
      bool_or(x.reported) as reported
    from (
      select s.id as segment_id, s.network_id, a.host, s.segment_index, true as reported
        from network_segments s join agents a on s.physical_network is not null and (
          coalesce(a.configurations -> 'bridge_mappings' ? s.physical_network, false)
          or coalesce(a.configurations -> 'interface_mappings' ? s.physical_network, false)
          or coalesce(a.configurations -> 'device_mappings' ? s.physical_network, false))
      union all
      select s.id, s.network_id, h.host, s.segment_index, false from network_segments s cross join unnest(s.hosts) h (host)
    ) x
    group by x.segment_id, x.network_id, x.host, x.segment_index;

-- What has changed may help ports whose binding failed: those of a host, of a network, or (both null) all. Not in the
-- change log: each port that is bound is.
create table rebind_requests (
  id bigint generated always as identity primary key,
  host text,
  network_id uuid,
  -- Looked at once every transaction has ended that did not see the change.
  xid xid8 not null default pg_current_xact_id(),
  -- The last port that was tried.
  reached uuid,
  -- The server that works on it has until then.
  taken_until timestamptz not null default '-infinity'
);

-- Ports that are bound on a segment, at any level, where they are or where they may go.
create view segment_ports as
  select p.id, p.network_id, (l ->> 'segment_id')::uuid as segment_id
    from ports p cross join jsonb_array_elements(p.binding_levels) l
  union
  select p.id, p.network_id, (l ->> 'segment_id')::uuid
    from port_bindings b join ports p on p.id = b.port_id cross join jsonb_array_elements(b.levels) l;
