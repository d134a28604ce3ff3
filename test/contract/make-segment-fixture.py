#!/usr/bin/python3
"""Writes fixture-segments.json: what the type drivers of the Neutron installed here say of segments, and their MTUs.

Run with the Python that has Debian's neutron-common:

    /usr/bin/python3 test/contract/make-segment-fixture.py > test/contract/fixture-segments.json
    npx biome format --write test/contract/fixture-segments.json
"""
import itertools
import json
import sys

from neutron_lib import exceptions
from oslo_config import cfg

from neutron.conf import common as common_conf
from neutron.conf.plugins.ml2 import config as ml2_conf
from neutron.plugins.ml2.drivers import type_flat, type_geneve, type_gre, type_local, type_vlan, type_vxlan

common_conf.register_core_common_config_opts()
ml2_conf.register_ml2_plugin_opts()
VLAN_RANGES = ['physnet1:100:200', 'physnet2']
PHYSNETS = [None, 'physnet1', 'physnet2', 'physnet3']
IDS = {'flat': [None, 7], 'local': [None, 7], 'vlan': [None, 1, 150, 4094, 4095],
       'vxlan': [None, 1, 2 ** 24 - 1], 'geneve': [None, 1, 2 ** 24 - 1], 'gre': [None, 1, 2 ** 32 - 1]}
FLAT = [['*'], [], ['physnet1']]
MTUS = list(itertools.product([1500, 9000], [0, 1400, 9000], [4, 6], [[], ['physnet1:1450', 'physnet2:9000']]))


def drivers():
    vlan = type_vlan.VlanTypeDriver()
    vlan._parse_network_vlan_ranges()
    geneve = type_geneve.GeneveTypeDriver()
    return {'flat': type_flat.FlatTypeDriver(), 'vlan': vlan, 'local': type_local.LocalTypeDriver(),
            'vxlan': type_vxlan.VxlanTypeDriver(), 'geneve': geneve, 'gre': type_gre.GreTypeDriver()}


def verdict(driver, segment):
    try:
        driver.validate_provider_segment(segment)
    except exceptions.InvalidInput as error:
        return str(error)
    return None


def checks():
    cfg.CONF.set_override('network_vlan_ranges', VLAN_RANGES, group='ml2_type_vlan')
    for flat in FLAT:
        cfg.CONF.set_override('flat_networks', flat, group='ml2_type_flat')
        for name, driver in drivers().items():
            if name != 'flat' and flat != FLAT[0]:
                continue
            for physnet, number in itertools.product(PHYSNETS, IDS[name]):
                segment = {'network_type': name, 'physical_network': physnet, 'segmentation_id': number}
                yield {'flat_networks': flat, 'segment': segment, 'says': verdict(driver, segment)}


def mtus():
    for physical, path, version, physnets in MTUS:
        cfg.CONF.set_override('global_physnet_mtu', physical)
        cfg.CONF.set_override('path_mtu', path, group='ml2')
        cfg.CONF.set_override('overlay_ip_version', version, group='ml2')
        cfg.CONF.set_override('physical_network_mtus', physnets, group='ml2')
        made = drivers()
        yield {'global_physnet_mtu': physical, 'path_mtu': path, 'overlay_ip_version': version,
               'physical_network_mtus': physnets,
               'mtus': [[name, physnet, driver.get_mtu(physnet)] for name, driver in made.items()
                        for physnet in (PHYSNETS[1:] if name in ('flat', 'vlan') else [None])]}


json.dump({'network_vlan_ranges': VLAN_RANGES, 'checks': list(checks()), 'mtus': list(mtus())}, sys.stdout)
