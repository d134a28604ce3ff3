-- Ports that have a QoS policy on an interface on which no driver enforces one.

-- Open vSwitch does: on what it has plugged, and on what it will.
create function takes_qos(vif_type text, vnic_type text) returns boolean language sql immutable as $$
  select case when vif_type in ('unbound', 'binding_failed') then vnic_type in ('normal', 'direct')
    else vif_type in ('ovs', 'vhostuser') end
$$;

create or replace view qos_policy_limits as
select p.id,
  (select o.id from qos_policy_ports o where o.qos_policy_id = p.id and o.device_owner like 'compute:%' limit 1)
    as instance_port_id,
  (select o.id from qos_policy_ports o where o.qos_policy_id = p.id and not has_physical_network(o.network_id) limit 1)
    as unbacked_port_id,
  (select o.id from qos_policy_ports q join ports o on o.id = q.id
    where q.qos_policy_id = p.id and not takes_qos(o.binding_vif_type, o.binding_vnic_type) limit 1)
    as unfit_port_id
from qos_policies p;
