-- BGP speakers and peers, the agents that have speakers, and what speakers advertise.
-- Breaking: no (new tables and views).

create table bgp_speakers (
  id uuid primary key,
  project_id text not null,
  name text not null,
  local_as bigint not null check (local_as between 1 and 4294967295),
  ip_version smallint not null check (ip_version in (4, 6)),
  advertise_floating_ip_host_routes boolean not null,
  advertise_tenant_networks boolean not null,
  revision_number bigint not null
);
create index on bgp_speakers (project_id);

create table bgp_peers (
  id uuid primary key,
  project_id text not null,
  name text not null,
  peer_ip inet not null,
  remote_as bigint not null check (remote_as between 1 and 4294967295),
  auth_type text not null,
  password text,
  revision_number bigint not null,
  unique (id, peer_ip)
);
create index on bgp_peers (project_id);

-- A speaker has one session with an address.
create table bgp_speaker_peers (
  id uuid primary key,
  bgp_speaker_id uuid not null references bgp_speakers,
  bgp_peer_id uuid not null,
  peer_ip inet not null,
  revision_number bigint not null,
  constraint bgp_speaker_peers_bgp_peer_id_fkey foreign key (bgp_peer_id, peer_ip) references bgp_peers (id, peer_ip),
  constraint bgp_speaker_peers_one_address unique (bgp_speaker_id, peer_ip)
);
create index on bgp_speaker_peers (bgp_peer_id);

create table bgp_speaker_networks (
  id uuid primary key,
  bgp_speaker_id uuid not null references bgp_speakers,
  network_id uuid not null references networks,
  revision_number bigint not null,
  constraint bgp_speaker_networks_once unique (bgp_speaker_id, network_id)
);
create index on bgp_speaker_networks (network_id);

-- An agent has one speaker.
create table bgp_speaker_agents (
  id uuid primary key,
  bgp_speaker_id uuid not null references bgp_speakers,
  agent_id uuid not null references agents,
  revision_number bigint not null,
  constraint bgp_speaker_agents_one_speaker unique (agent_id)
);
create index on bgp_speaker_agents (bgp_speaker_id);

-- Speakers without an agent, each with the agents without a speaker.
create view bgp_candidates as
  select md5(k.id || ' ' || a.id)::uuid as id, k.id as bgp_speaker_id, a.id as agent_id
  from bgp_speakers k cross join live_agents a
  where a.agent_type = 'BGP dynamic routing agent'
    and not exists (select from bgp_speaker_agents b where b.agent_id = a.id)
    and not exists (select from bgp_speaker_agents b where b.bgp_speaker_id = k.id);

-- The addresses by which routers stand in the networks that a speaker advertises for: its routes' next hops.
create view bgp_next_hops as
  select b.bgp_speaker_id, b.network_id, g.router_id, r.distributed, s.ip_version, p.address_scope_id, a.ip_address
  from bgp_speaker_networks b
    join bgp_speakers k on k.id = b.bgp_speaker_id
    join ports g on g.network_id = b.network_id and g.router_id is not null
      and g.device_owner = 'network:router_gateway'
    join routers r on r.id = g.router_id
    join ip_allocations a on a.port_id = g.id
    join subnets s on s.id = a.subnet_id and s.ip_version = k.ip_version
    left join subnetpools p on p.id = s.subnetpool_id;

-- What a speaker advertises: floating IPs, except those that the hosts of distributed routers answer for, and the
-- subnets behind routers that are of the address scope of the router's way out.
create view bgp_routes as
  select md5(o.bgp_speaker_id || o.destination || o.next_hop)::uuid as id, o.*
  from (
    select h.bgp_speaker_id, host(f.floating_ip_address) || '/32' as destination, host(h.ip_address) as next_hop
    from bgp_next_hops h
      join bgp_speakers k on k.id = h.bgp_speaker_id and k.advertise_floating_ip_host_routes
      join floating_ips f on f.router_id = h.router_id and f.floating_network_id = h.network_id
    where h.ip_version = 4 and not (h.distributed and f.port_id is not null)
    union
    select h.bgp_speaker_id, s.cidr::text, host(h.ip_address)
    from bgp_next_hops h
      join bgp_speakers k on k.id = h.bgp_speaker_id and k.advertise_tenant_networks
      join ports i on i.router_id = h.router_id and i.device_owner <> 'network:router_gateway'
      join ip_allocations a on a.port_id = i.id
      join subnets s on s.id = a.subnet_id and s.ip_version = h.ip_version and s.network_id <> h.network_id
      join subnetpools p on p.id = s.subnetpool_id
    where p.address_scope_id = h.address_scope_id) o;
