"""What the stock `openstack` knows of networking: JSON {command: [[option, its other names...], ...]} on standard output."""
import argparse
import importlib.metadata
import json

# Of plugins for services that are not ours: VPN, firewalls, BGP VPNs, service chains.
OTHERS = ("bgpvpn", "firewall", "sfc", "vpn")
# Of every command that shows something.
COMMON = {"-h", "-f", "-c", "--quote", "--noindent", "--max-width", "--fit-width", "--print-empty", "--sort-column",
          "--sort-ascending", "--sort-descending", "--prefix"}

verbs = {}
for group in ("openstack.network.v2", "openstack.neutronclient.v2"):
    for entry in importlib.metadata.entry_points(group=group):
        if entry.name.startswith(OTHERS):
            continue
        command = entry.load()(argparse.Namespace(client_manager=None), None)
        actions = command.get_parser("x")._actions
        verbs[entry.name.replace("_", " ")] = [
            action.option_strings for action in actions
            if action.option_strings and not COMMON.intersection(action.option_strings)
            and action.help != argparse.SUPPRESS
        ]
print(json.dumps(verbs))
