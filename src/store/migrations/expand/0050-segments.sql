-- Segments become objects of their own, subnets may stand on one of them, and hosts reach them by their mappings.
-- Breaking: no (columns with defaults, a wider type, a view).

alter table network_segments
  add column name text,
  add column description text not null default '',
  add column is_dynamic boolean not null default false,
  add column revision_number bigint not null default 1,
  add column created_at timestamptz not null default now(),
  add column updated_at timestamptz not null default now(),
  -- GRE keys have 32 bits.
  alter column segmentation_id type bigint;
create index on network_segments (physical_network) where physical_network is not null;

alter table subnets add column segment_id uuid references network_segments;
create index on subnets (segment_id) where segment_id is not null;

-- Which hosts reach which segments of physical networks: what their agents say they are plugged into.
create view segment_hosts as
  select md5(s.id || ' ' || a.host)::uuid as id, s.id as segment_id, s.network_id, a.host
    from network_segments s join agents a on s.physical_network is not null and (
      coalesce(a.configurations -> 'bridge_mappings' ? s.physical_network, false)
      or coalesce(a.configurations -> 'interface_mappings' ? s.physical_network, false)
      or coalesce(a.configurations -> 'device_mappings' ? s.physical_network, false))
    group by s.id, a.host;
