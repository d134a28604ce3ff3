-- What one server at a time does, of many on this database.
-- Breaking: no (a table).

create table leases (
  name text primary key,
  holder text not null,
  held_until timestamptz not null
);
