-- The feed: who may connect as which host, who is connected where, and what hosts have really in place.
-- Breaking: no (new tables).

-- SHA-256 of a random secret; a host may hold several while they are being replaced.
create table host_credentials (
  id uuid primary key,
  host text not null,
  hash text not null unique,
  created_at timestamptz not null default now(),
  revoked_at timestamptz,
  used_at timestamptz
);
create index on host_credentials (host);

-- The newest connection of each host. A server that died leaves its rows; heartbeats say whether they still hold.
create table agent_sessions (
  host text primary key,
  server text not null,
  since timestamptz not null default now()
);

-- What hosts report: the newest state per object. Not in the change log.
create table realizations (
  host text not null,
  kind text not null,
  id uuid not null,
  generation bigint not null,
  state text not null check (state in ('pending', 'done', 'error')),
  message text,
  repaired boolean not null,
  at timestamptz not null,
  primary key (host, kind, id)
) with (fillfactor = 80);
create index on realizations (id);
