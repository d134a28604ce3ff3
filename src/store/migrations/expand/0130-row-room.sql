-- How rows lie in their pages.
-- Breaking: no (storage parameters).

-- Two images of a port are a little over the size at which PostgreSQL begins to compress and to put aside.
do $$
declare part regclass;
begin
  for part in select inhrelid from pg_inherits where inhparent = 'change'::regclass loop
    execute format('alter table %s set (toast_tuple_target = 4080)', part);
  end loop;
end $$;

-- Room for a port's next version beside it: a change of status alone then leaves all indexes as they are.
alter table ports set (fillfactor = 80);
