-- Trunks: a parent port whose VLANs are ports of other networks.
-- Breaking: no.

create table trunks (
  id uuid primary key,
  project_id text not null,
  port_id uuid not null references ports deferrable initially deferred,
  name text not null,
  description text not null,
  admin_state_up boolean not null,
  status text not null,
  sub_ports jsonb not null,
  tags text[] not null default '{}',
  revision_number bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  constraint trunks_one_parent unique (port_id)
);
create index on trunks (project_id);
create index on trunks using gin (tags);

-- Kept by the trigger below. A port is parent or subport of one trunk at most, a VLAN of a trunk one port's.
create table trunk_ports (
  id uuid not null references ports deferrable initially deferred,
  trunk_id uuid not null references trunks on delete cascade,
  parent boolean not null,
  segmentation_type text,
  segmentation_id integer,
  constraint trunk_ports_one_trunk primary key (id),
  constraint trunk_ports_one_segment unique (trunk_id, segmentation_type, segmentation_id)
);
create index on trunk_ports (trunk_id);

create function link_trunk_ports() returns trigger language plpgsql as $$
begin
  if tg_op = 'UPDATE' then
    if new.sub_ports = old.sub_ports then return null; end if;
    delete from trunk_ports k where k.trunk_id = new.id and not k.parent;
  else
    insert into trunk_ports values (new.port_id, new.id, true, null, null);
  end if;
  insert into trunk_ports
    select s.port_id, new.id, false, s.segmentation_type, s.segmentation_id
    from jsonb_to_recordset(new.sub_ports) as s(port_id uuid, segmentation_type text, segmentation_id integer);
  return null;
end $$;
create trigger link_ports after insert or update of sub_ports on trunks
  for each row execute function link_trunk_ports();
