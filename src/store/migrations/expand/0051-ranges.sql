-- Ranges of segmentation ids: those of the configuration (default) and those administrators add.
-- Breaking: yes, for servers of before the first release: the sources of the pools are these ranges.

create table network_segment_ranges (
  id uuid primary key,
  name text not null,
  is_default boolean not null,
  shared boolean not null,
  project_id text,
  network_type text not null,
  physical_network text,
  minimum bigint not null,
  maximum bigint not null,
  revision_number bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  check (minimum <= maximum),
  check (shared = (project_id is null)),
  check ((network_type = 'vlan') = (physical_network is not null)),
  -- What administrators add never overlaps, whatever runs at the same time.
  constraint network_segment_ranges_no_overlap exclude using gist (
    network_type with =, coalesce(physical_network, '') with =, int8range(minimum, maximum, '[]') with &&
  ) where (not is_default)
);
create index on network_segment_ranges (network_type, physical_network);

drop table range_sources;
