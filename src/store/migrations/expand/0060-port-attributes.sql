-- What ports say about the servers behind them: DHCP options, device profile, NUMA affinity, uplink state.
-- Breaking: no (defaults for servers that do not know the columns).

alter table ports
  add column extra_dhcp_opts jsonb not null default '[]',
  add column device_profile text,
  add column numa_affinity_policy text,
  add column propagate_uplink_status boolean not null default true;
