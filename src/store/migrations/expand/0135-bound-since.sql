-- Since when a port is bound as it is, as far back as the change log reaches.
-- Breaking: no (a view).

create view bound_ports as
  select distinct on (c.id) c.id, c.at as bound_at
  from change c
  where c.kind = 'port' and jsonb_array_length(c.after -> 'binding:levels') > 0
    and (c.before is null
      or c.before -> 'binding:host_id' <> c.after -> 'binding:host_id'
      or c.before -> 'binding:levels' <> c.after -> 'binding:levels'
      or c.before -> 'binding:vif_type' <> c.after -> 'binding:vif_type'
      or c.before -> 'binding:vif_details' <> c.after -> 'binding:vif_details')
  order by c.id, c.generation desc;
