-- Bindings that wait stand on segments too.
-- Breaking: no (an index, a function).

create index port_bindings_on_made_segments on port_bindings using gin (levels jsonb_path_ops)
  where jsonb_array_length(levels) > 1;

create or replace function segment_is_bound(segment uuid) returns boolean language sql stable as $$
  select exists (select from ports p where jsonb_array_length(p.binding_levels) > 1
      and p.binding_levels @> jsonb_build_array(jsonb_build_object('segment_id', segment)))
    or exists (select from port_bindings b where jsonb_array_length(b.levels) > 1
      and b.levels @> jsonb_build_array(jsonb_build_object('segment_id', segment)))
$$;
