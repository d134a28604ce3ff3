-- A port that stands on every host, as a network's DHCP port does, is in the way of no rule: policies of networks are not
-- for the ports of services, and what a policy of its own says is asked of each host's switch.
-- Breaking: no (a function is replaced).

create or replace function takes_qos(vif_type text, vnic_type text) returns boolean language sql immutable as $$
  select case when vif_type in ('unbound', 'binding_failed', 'distributed') then vnic_type in ('normal', 'direct')
    else vif_type in ('ovs', 'vhostuser') end
$$;
