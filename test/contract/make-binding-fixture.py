#!/usr/bin/python3
"""Writes fixture-bindings.json: what the mechanism drivers of the Neutron installed here make of every kind of port.

Run with the Python that has Debian's neutron-common:

    /usr/bin/python3 test/contract/make-binding-fixture.py > test/contract/fixture-bindings.json
    npx biome format --write test/contract/fixture-bindings.json

A case is driver, agent, profile, segment and vnic_type by name. Those that are bound stand under their result; all
others are refused.
"""
import itertools
import json
import sys

from neutron_lib.api.definitions import portbindings
from neutron.plugins.ml2.drivers.macvtap.mech_driver import mech_macvtap
from neutron.plugins.ml2.drivers.mech_sriov.mech_driver import mech_driver as mech_sriov
from neutron.plugins.ml2.drivers.openvswitch.mech_driver import mech_openvswitch

DRIVERS = {
    'openvswitch': mech_openvswitch.OpenvswitchMechanismDriver,
    'sriovnicswitch': mech_sriov.SriovNicSwitchMechanismDriver,
    'macvtap': mech_macvtap.MacvtapMechanismDriver,
}

OVS = {'bridge_mappings': {'physnet1': 'br-ex'}, 'tunnel_types': ['vxlan', 'geneve'],
       'integration_bridge': 'br-int', 'ovs_hybrid_plug': False, 'datapath_type': 'system'}
AGENTS = {
    'openvswitch': {
        'plain': OVS,
        'hybrid': {**OVS, 'ovs_hybrid_plug': True, 'integration_bridge': 'br-other'},
        'no_tunnels': {**OVS, 'tunnel_types': []},
        'netdev': {**OVS, 'datapath_type': 'netdev'},
        'smart': {**OVS, 'baremetal_smartnic': True},
        'dpdk_client': {**OVS, 'datapath_type': 'netdev', 'vhostuser_socket_dir': '/run/vhu',
                        'ovs_capabilities': {'iface_types': ['internal', 'dpdkvhostuserclient', 'dpdkvhostuser']}},
        'dpdk_server': {**OVS, 'datapath_type': 'netdev', 'ovs_capabilities': {'iface_types': ['dpdkvhostuser']}},
        'dpdk_in_kernel': {**OVS, 'ovs_capabilities': {'iface_types': ['dpdkvhostuserclient']}},
    },
    'sriovnicswitch': {
        'plain': {'device_mappings': {'physnet1': ['enp3s0f0', 'enp3s0f1']}},
        'empty': {'device_mappings': {}},
    },
    'macvtap': {
        'plain': {'interface_mappings': {'physnet1': 'eth1'}},
        'long': {'interface_mappings': {'physnet1': 'enp3s0f0np0x'}},
    },
}
PROFILES = {
    'none': {},
    'pci': {'pci_slot': '0000:3b:02.1', 'pci_vendor_info': '15b3:1018', 'physical_network': 'physnet1'},
    'switchdev': {'pci_slot': '0000:3b:02.1', 'capabilities': ['switchdev']},
}


def segment(network_type, physical_network, segmentation_id):
    return {'id': '5e9a1f00-0000-4000-8000-000000000001', 'network_id': '0e70f000-0000-4000-8000-000000000002',
            'network_type': network_type, 'physical_network': physical_network, 'segmentation_id': segmentation_id}


SEGMENTS = {
    'flat': segment('flat', 'physnet1', None),
    'flat_elsewhere': segment('flat', 'physnet2', None),
    'vlan': segment('vlan', 'physnet1', 4094),
    'vlan_elsewhere': segment('vlan', 'physnet2', 7),
    'vxlan': segment('vxlan', None, 5001),
    'geneve': segment('geneve', None, 5002),
    'gre': segment('gre', None, 5003),
    'local': segment('local', None, None),
}
PORT_ID = 'b1e55ed0-aaaa-4bbb-8ccc-000000000003'
HOST = 'host-1'


class Context:
    """What bind_port asks of a PortContext."""

    def __init__(self, agent_type, agent, profile, one, vnic_type):
        self.current = {'id': PORT_ID, 'fixed_ips': [], portbindings.VNIC_TYPE: vnic_type,
                        portbindings.PROFILE: profile, portbindings.HOST_ID: HOST}
        self.original = None
        self.network = type('Network', (), {'current': {'id': one['network_id']}})
        self.segments_to_bind = [one]
        self.host = HOST
        self._agent_type = agent_type
        self._agent = agent
        self.result = None

    def host_agents(self, agent_type):
        return [self._agent] if self._agent and agent_type == self._agent_type else []

    def set_binding(self, segment_id, vif_type, vif_details, status=None):
        self.result = {'vif_type': vif_type, 'vif_details': dict(vif_details)}


def agents_of(name, agent_type):
    row = {'id': 'a', 'host': HOST, 'agent_type': agent_type, 'alive': True}
    yield 'absent', None
    yield 'dead', {**row, 'alive': False, 'configurations': AGENTS[name]['plain']}
    for label, configurations in AGENTS[name].items():
        yield label, {**row, 'configurations': configurations}


def bound_cases():
    for name, make in DRIVERS.items():
        agent_type = make().agent_type
        for (label, agent), (profile, values), (where, one), vnic_type in itertools.product(
                agents_of(name, agent_type), PROFILES.items(), SEGMENTS.items(), portbindings.VNIC_TYPES):
            # A new driver each time: macvtap's keeps the VLAN of the last binding.
            context = Context(agent_type, agent, values, one, vnic_type)
            make().bind_port(context)
            if context.result:
                yield f'{name} {label} {profile} {where} {vnic_type}', context.result


results = {}
for case, result in bound_cases():
    results.setdefault(json.dumps(result, sort_keys=True), []).append(case)
json.dump({
    'port_id': PORT_ID,
    'host': HOST,
    'vnic_types': portbindings.VNIC_TYPES,
    'agent_types': {name: make().agent_type for name, make in DRIVERS.items()},
    'agents': AGENTS,
    'profiles': PROFILES,
    'segments': SEGMENTS,
    'bound': [{**json.loads(result), 'cases': cases} for result, cases in results.items()],
}, sys.stdout, sort_keys=True)
