-- What one server at a time does, of many on this database; and ToRs among the agents.
-- Breaking: no (a table, an index).

create table leases (
  name text primary key,
  holder text not null,
  held_until timestamptz not null
);

-- ToRs are few, and looked for whenever a port is bound or a tunnel address is asked for.
create index agents_tors on agents (host) where agent_type = 'Hardware VTEP agent';
