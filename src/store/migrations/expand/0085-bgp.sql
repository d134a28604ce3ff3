-- BGP speakers: with whom they speak, the networks they speak for, and what they advertise.
-- Breaking: no (new tables and a view).

create table bgp_speakers (
  id uuid primary key,
  project_id text not null,
  name text not null,
  local_as bigint not null check (local_as between 1 and 4294967295),
  ip_version integer not null check (ip_version in (4, 6)),
  advertise_floating_ip_host_routes boolean not null,
  advertise_tenant_networks boolean not null,
  revision_number bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null
);

create table bgp_peers (
  id uuid primary key,
  project_id text not null,
  name text not null,
  peer_ip inet not null,
  remote_as bigint not null check (remote_as between 1 and 4294967295),
  auth_type text not null check (auth_type in ('none', 'md5')),
  password text,
  revision_number bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null
);

create table bgp_speaker_peers (
  id uuid primary key,
  bgp_speaker_id uuid not null references bgp_speakers on delete cascade,
  bgp_peer_id uuid not null references bgp_peers on delete cascade,
  peer_ip inet not null,
  revision_number bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  unique (bgp_speaker_id, bgp_peer_id),
  unique (bgp_speaker_id, peer_ip)
);
create index on bgp_speaker_peers (bgp_peer_id);

create table bgp_speaker_networks (
  id uuid primary key,
  bgp_speaker_id uuid not null references bgp_speakers on delete cascade,
  network_id uuid not null references networks on delete cascade,
  revision_number bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  unique (bgp_speaker_id, network_id)
);
create index on bgp_speaker_networks (network_id);

-- An agent speaks for one speaker.
create table bgp_speaker_agents (
  id uuid primary key,
  bgp_speaker_id uuid not null references bgp_speakers on delete cascade,
  agent_id uuid not null unique references agents on delete cascade,
  revision_number bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null
);
create index on bgp_speaker_agents (bgp_speaker_id);

-- By the gateway of a router: floating IPs of the speaker's networks, and the tenants' subnets that share the address
-- scope of the gateway's subnet, so that they are reached without translation.
create view bgp_routes as
  select md5(r.bgp_speaker_id || ' ' || r.destination || ' ' || r.next_hop)::uuid as id, r.*
  from (
    select n.bgp_speaker_id, host(f.floating_ip_address) || '/32' as destination, host(g.ip_address) as next_hop
    from bgp_speaker_networks n
      join bgp_speakers s on s.id = n.bgp_speaker_id and s.ip_version = 4 and s.advertise_floating_ip_host_routes
      join floating_ips f on f.floating_network_id = n.network_id
      join router_addresses g on g.router_id = f.router_id and g.network_id = n.network_id
        and g.device_owner = 'network:router_gateway' and family(g.ip_address) = 4
    union
    select n.bgp_speaker_id, i.cidr::text, host(g.ip_address)
    from bgp_speaker_networks n
      join bgp_speakers s on s.id = n.bgp_speaker_id and s.advertise_tenant_networks
      join router_addresses g on g.network_id = n.network_id and g.device_owner = 'network:router_gateway'
        and family(g.ip_address) = s.ip_version
      join subnets gs on gs.id = g.subnet_id join subnetpools gp on gp.id = gs.subnetpool_id
      join router_addresses i on i.router_id = g.router_id and i.device_owner <> 'network:router_gateway'
        and family(i.ip_address) = s.ip_version
      join subnets ts on ts.id = i.subnet_id
      join subnetpools tp on tp.id = ts.subnetpool_id and tp.address_scope_id = gp.address_scope_id) r;
