-- The outbox: what others (Nova, Placement) must hear of changes, until they have heard it.
-- Breaking: no (three tables).

-- Where a reader of the change log with effects outside stands.
create table outbox_readers (
  name text primary key,
  era integer not null,
  xid xid8 not null,
  seq bigint not null
);

create table outbox_events (
  id uuid primary key,
  -- The order in which they are delivered, for each subject.
  position bigint generated always as identity,
  destination text not null,
  -- The port, or the segment.
  subject uuid not null,
  name text not null,
  body jsonb not null,
  -- The change it comes of, and which of that change's events it is; null: nobody's change.
  era integer,
  xid xid8,
  seq bigint,
  ordinal integer,
  state text not null default 'pending' check (state in ('pending', 'delivering', 'done', 'dead')),
  -- pending: not tried before; delivering: who delivers it has given up by then.
  not_before timestamptz not null default now(),
  attempts integer not null default 0,
  -- Since when in a row it was answered with a refusal of its own.
  failures integer not null default 0,
  -- It made a whole batch fail, as far as we know: nothing else goes with it.
  alone boolean not null default false,
  answer text,
  created_at timestamptz not null default now(),
  attempted_at timestamptz,
  done_at timestamptz,
  unique (destination, era, xid, seq, ordinal)
);
create index outbox_events_heads on outbox_events (destination, subject, position) where state in ('pending', 'delivering');
create index outbox_events_open on outbox_events (destination, position) where state in ('pending', 'delivering');
create index on outbox_events (subject);
create index on outbox_events (done_at) where done_at is not null;
create index on outbox_events (created_at, id);

-- What operators ask of the outbox. It is carried out by whoever reads the change log.
create table outbox_requests (
  id uuid primary key,
  wish text not null check (wish in ('retry', 'replay', 'give_up')),
  event_id uuid,
  destination text,
  since timestamptz,
  revision_number bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null
);
