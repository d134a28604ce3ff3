#!/usr/bin/python3
"""Writes fixture-policy.json: the facts of every default policy rule of the Neutron installed here.

Run with the Python that has Debian's neutron-common and python3-neutron-dynamic-routing:

    /usr/bin/python3 test/contract/make-policy-fixture.py > test/contract/fixture-policy.json
    npx biome format --write test/contract/fixture-policy.json

Facts only: name, present check, former check and former name, operations, scopes. No descriptions.
"""
import importlib
import json
import sys

SOURCES = ('neutron', 'neutron_dynamic_routing')
LISTS = {'neutron': 'neutron.conf.policies', 'neutron_dynamic_routing': 'neutron_dynamic_routing.policies'}


def facts(rule, source):
    former = rule.deprecated_rule
    return {
        'name': rule.name,
        'source': source,
        'check': rule.check_str,
        'formerly': former.check_str if former else None,
        'former_name': former.name if former and former.name != rule.name else None,
        'operations': [
            f"{operation['method']} {operation['path']}" for operation in getattr(rule, 'operations', None) or []
        ],
        'scopes': rule.scope_types,
    }


rules = [
    facts(rule, source) for source in SOURCES for rule in importlib.import_module(LISTS[source]).list_rules()
]
rules.sort(key=lambda one: (one['source'], one['name']))
json.dump(rules, sys.stdout, indent=1, sort_keys=True)
sys.stdout.write('\n')
