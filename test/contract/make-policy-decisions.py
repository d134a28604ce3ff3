#!/usr/bin/python3
"""Writes fixture-policy-decisions.json: what the Neutron installed here decides, rule by rule.

Run with the Python that has Debian's neutron-common and python3-neutron-dynamic-routing:

    /usr/bin/python3 test/contract/make-policy-decisions.py > test/contract/fixture-policy-decisions.json
    npx biome format --write test/contract/fixture-policy-decisions.json

Every rule of fixture-policy.json is asked about every caller and every target, once for each setting. Targets hold all
that rules ask for, so that nothing is looked up in a database. The answers of one rule are the bits of a number in
hexadecimal: callers outermost, targets within, the first of them the highest bit. A rule is asked alone, without the
rules of the attributes that a request would give.
"""
import json
import pathlib
import random
import sys
import warnings

import neutron.conf.common  # noqa: F401, registers the options that neutron.policy reads
from neutron import policy
from neutron_lib import context
from neutron_lib.api import attributes
from neutron_lib.api.definitions import address_group, address_scope, external_net, network, subnetpool
from oslo_config import cfg

warnings.simplefilter('ignore')
CALLERS = [
    {'project_id': project_id, 'roles': roles, 'system_scope': system_scope}
    for project_id, roles, system_scope in (
        ('a', ['admin', 'member', 'reader'], None),
        ('a', ['member', 'reader'], None),
        ('b', ['member', 'reader'], None),
        ('a', ['reader'], None),
        ('a', [], None),
        ('c', ['advsvc'], None),
        ('c', ['data_plane_integrator', 'reader'], None),
        (None, ['member', 'reader'], None),
        (None, ['admin', 'member', 'reader'], 'all'),
    )
]
SETTINGS = [
    {'enforce_new_defaults': new, 'enforce_scope': scope}
    for new, scope in ((False, False), (False, True), (True, False), (True, True))
]
ATTRIBUTES = {
    'project_id': ['a', 'b'],
    'network:project_id': ['a', 'b'],
    'security_group:project_id': ['a', 'b'],
    'ext_parent:project_id': ['a', 'b'],
    'shared': [True, False],
    'router:external': [True, False],
    'device_owner': ['', 'network:dhcp', 'compute:nova'],
    'target_tenant': ['*', 'a'],
}


def targets(count):
    draw = random.Random(21)
    return [{name: draw.choice(values) for name, values in ATTRIBUTES.items()} for _ in range(count)]


def with_old_names(target):
    old = {name.replace('project_id', 'tenant_id'): value for name, value in target.items()}
    return {**target, **old}


def decide(rule, callers, objects):
    bits = ''.join(
        '1' if policy.check(caller, rule, with_old_names(target)) else '0' for caller in callers for target in objects
    )
    return f'{int(bits, 2):x}'


# What a server has loaded by the time it reads its rules: `field:` checks convert their values by it.
for definition in (network, external_net, subnetpool, address_scope, address_group):
    for collection, known in definition.RESOURCE_ATTRIBUTE_MAP.items():
        attributes.RESOURCES.setdefault(collection, {}).update(known)
policy.get_resource_and_action = lambda action, pluralized=None: (pluralized or action, False)
cfg.CONF([], project='neutron', default_config_files=[])
facts = json.loads((pathlib.Path(__file__).parent / 'fixture-policy.json').read_text())
objects = targets(24)
decisions = {}
for setting in SETTINGS:
    for name, value in setting.items():
        cfg.CONF.set_override(name, value, 'oslo_policy')
    policy.reset()
    policy.init(cfg.CONF, suppress_deprecation_warnings=True)
    callers = [
        context.Context(user_id='u', tenant_id=one['project_id'], roles=one['roles'], system_scope=one['system_scope'])
        for one in CALLERS
    ]
    for fact in facts:
        decisions.setdefault(fact['name'], []).append(decide(fact['name'], callers, objects))
json.dump({'callers': CALLERS, 'targets': objects, 'settings': SETTINGS, 'decisions': decisions}, sys.stdout, indent=1)
sys.stdout.write('\n')
