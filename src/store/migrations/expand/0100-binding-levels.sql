-- Bindings have levels: who carries a port on which segment, the outermost first; and failures have their reasons.
-- Breaking: no (columns with defaults, indexes, a function).

alter table ports
  add column binding_levels jsonb not null default '[]',
  add column binding_failure jsonb;

-- Only bindings of several levels stand on segments made for them.
create index ports_on_made_segments on ports using gin (binding_levels jsonb_path_ops)
  where jsonb_array_length(binding_levels) > 1;
-- Ports that agents which come back are to be given another chance with.
create index ports_unbindable on ports (binding_host) where binding_vif_type = 'binding_failed';
create index agents_of_tors on agents (host) where agent_type = 'Hardware VTEP agent';
create index network_segments_made on network_segments (network_id) where is_dynamic;

-- Does a binding stand on a segment that was made for bindings?
create function segment_is_bound(segment uuid) returns boolean language sql stable as $$
  select exists (select from ports p where jsonb_array_length(p.binding_levels) > 1
    and p.binding_levels @> jsonb_build_array(jsonb_build_object('segment_id', segment)))
$$;
