-- Flavors of services, the profiles behind them, and the providers there are.

create table flavors (
  id uuid primary key,
  project_id text not null,
  name text not null,
  description text,
  service_type text not null,
  enabled boolean,
  revision_number bigint not null
);
create table service_profiles (
  id uuid primary key,
  project_id text not null,
  description text,
  driver text not null,
  metainfo text not null,
  enabled boolean,
  revision_number bigint not null
);
create table flavor_service_profiles (
  id uuid primary key,
  flavor_id uuid not null references flavors,
  service_profile_id uuid not null references service_profiles,
  created_at timestamptz not null,
  revision_number bigint not null,
  constraint flavor_service_profiles_once unique (flavor_id, service_profile_id)
);
create index on flavor_service_profiles (service_profile_id);

-- Who provides a service. Drivers go by the names clients know them by.
create view service_providers as
select md5(p.service_type || ' ' || p.name)::uuid as id, p.service_type, p.name, p.driver, p.is_default
from (values
  ('L3_ROUTER_NAT', 'single_node', 'neutron.services.l3_router.service_providers.single_node.SingleNodeDriver', false),
  ('L3_ROUTER_NAT', 'ha', 'neutron.services.l3_router.service_providers.ha.HaDriver', false),
  ('L3_ROUTER_NAT', 'dvr', 'neutron.services.l3_router.service_providers.dvr.DvrDriver', false),
  ('L3_ROUTER_NAT', 'dvrha', 'neutron.services.l3_router.service_providers.dvrha.DvrHaDriver', false)
) p (service_type, name, driver, is_default);
