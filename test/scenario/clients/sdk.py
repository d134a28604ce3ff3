"""openstacksdk as scripts use it: every resource of conn.network, tags, bulk, paging, conditions, and the cloud layer.

Prints "ok NAME" for each part; the first that is wrong ends the script with its traceback.
"""
import openstack
from openstack import exceptions

conn = openstack.connect()
net = conn.network


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def equal(got, wanted, what=""):
    check(got == wanted, f"{what}: {got!r} is not {wanted!r}")


def fails(kind, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except kind as error:
        return error
    raise AssertionError(f"{call.__name__}{args} succeeded")


def life(noun, create, change=None, plural=None, key="name"):
    """Create, get, find, list, update, delete: what every resource has. The object is gone afterwards."""
    plural = plural or noun + "s"
    made = getattr(net, "create_" + noun)(**create)
    for name, value in create.items():
        if name not in ("password", "auth_type"):
            equal(getattr(made, name), value, f"{noun}.{name}")
    equal(getattr(net, "get_" + noun)(made.id).id, made.id, noun)
    if key:
        equal(getattr(net, "find_" + noun)(create[key], ignore_missing=False).id, made.id, noun)
        equal([one.id for one in getattr(net, plural)(**{key: create[key]})], [made.id], plural)
    check(getattr(net, "find_" + noun)("nosuch", ignore_missing=True) is None, noun)
    if change:
        changed = getattr(net, "update_" + noun)(made, **change)
        for name, value in change.items():
            equal(getattr(changed, name), value, f"{noun}.{name} changed")
    getattr(net, "delete_" + noun)(made, ignore_missing=False)
    fails(exceptions.ResourceNotFound, getattr(net, "get_" + noun), made.id)
    getattr(net, "delete_" + noun)(made.id, ignore_missing=True)
    print("ok", noun)


def lives():
    life("network", {"name": "n", "mtu": 1400, "is_admin_state_up": False}, {"name": "m", "is_admin_state_up": True})
    life("address_scope", {"name": "a", "ip_version": 4}, {"name": "b", "is_shared": True})
    life("subnet_pool", {"name": "p", "prefixes": ["10.5.0.0/16"], "default_prefix_length": 24}, {"name": "q"})
    life("address_group", {"name": "g", "addresses": ["10.0.0.0/24"]}, {"name": "h"})
    life("security_group", {"name": "s", "description": "words"}, {"name": "t"})
    life("router", {"name": "r"}, {"name": "x", "is_admin_state_up": False})
    life("qos_policy", {"name": "q"}, {"name": "w", "is_shared": True}, "qos_policies")
    life("metering_label", {"name": "l"})
    life("flavor", {"name": "f", "service_type": "L3_ROUTER_NAT"}, {"name": "g"})
    life("service_profile", {"description": "d", "meta_info": "m"}, {"description": "e"}, key=None)
    life("network_segment_range", {"name": "sr", "network_type": "vxlan", "minimum": 9000,
         "maximum": 9001, "shared": True}, {"name": "ss"})


def networks():
    made = net.create_network(name="red")
    first = net.create_subnet(network_id=made.id, ip_version=4, cidr="10.1.0.0/24", name="red-four")
    life("subnet", {"name": "six", "network_id": made.id, "ip_version": 6, "cidr": "2001:db8::/64"}, {"name": "seven"})
    life("port", {"name": "p", "network_id": made.id}, {"name": "q", "description": "words"})
    equal(net.get_network(made).subnet_ids, [first.id])
    ports = list(net.create_ports([{"network_id": made.id, "name": f"bulk{n}"} for n in range(5)]))
    equal([port.name for port in ports], [f"bulk{n}" for n in range(5)])
    mine = [port for port in net.ports(network_id=made.id, limit=2) if port.name.startswith("bulk")]
    equal(sorted(port.id for port in mine), sorted(port.id for port in ports), "pages of two")
    seen = next(iter(net.networks(name="red")))
    equal(seen.id, made.id)
    for thing in (made, first, ports[0]):
        net.set_tags(thing, ["a", "b"])
    equal([port.id for port in net.ports(tags="a,b")], [ports[0].id])
    equal([port.id for port in net.ports(any_tags="a,z")], [ports[0].id])
    equal(net.get_port(ports[0]).tags, ["a", "b"])
    net.set_tags(made, [])
    equal(net.get_network(made).tags, [])
    now = net.get_port(ports[0])
    error = fails(exceptions.PreconditionFailedException, net.update_port, now, name="x", if_revision=now.revision_number - 1)
    check("RevisionNumberConstraintFailed" in str(error) or "412" in str(error), error)
    equal(net.update_port(now, name="x", if_revision=now.revision_number).name, "x")
    fails(exceptions.ConflictException, net.delete_network, made)
    fails(exceptions.DuplicateResource, find_twice)
    for port in net.ports(network_id=made.id):
        if not port.device_owner:
            net.delete_port(port)
    net.delete_network(made)
    print("ok networks")


def find_twice():
    for _ in range(2):
        net.create_network(name="twin")
    try:
        net.find_network("twin")
    finally:
        for one in net.networks(name="twin"):
            net.delete_network(one)


def rules():
    group = net.create_security_group(name="web")
    rule = net.create_security_group_rule(security_group_id=group.id, direction="ingress", protocol="tcp",
                                          port_range_min=80, port_range_max=80, ether_type="IPv4")
    equal([one.id for one in net.security_group_rules(security_group_id=group.id, protocol="tcp")], [rule.id])
    fails(exceptions.ConflictException, net.create_security_group_rule, security_group_id=group.id, direction="ingress",
          protocol="tcp", port_range_min=80, port_range_max=80, ether_type="IPv4")
    net.delete_security_group_rule(rule, ignore_missing=False)
    made = net.create_address_group(name="g", addresses=["10.0.0.0/24"])
    equal(sorted(net.add_addresses_to_address_group(made, ["10.0.1.0/24"]).addresses), ["10.0.0.0/24", "10.0.1.0/24"])
    equal(net.remove_addresses_from_address_group(made, ["10.0.0.0/24"]).addresses, ["10.0.1.0/24"])
    net.delete_address_group(made)
    net.delete_security_group(group)
    print("ok rules")


def qos():
    policy = net.create_qos_policy(name="gold")
    for kind, values, change in (
        ("bandwidth_limit", {"max_kbps": 1000, "max_burst_kbps": 10, "direction": "egress"}, {"max_kbps": 2000}),
        ("dscp_marking", {"dscp_mark": 26}, {"dscp_mark": 10}),
        ("minimum_bandwidth", {"min_kbps": 5, "direction": "egress"}, {"min_kbps": 6}),
        ("minimum_packet_rate", {"min_kpps": 5, "direction": "any"}, {"min_kpps": 6}),
    ):
        noun = f"qos_{kind}_rule"
        rule = getattr(net, "create_" + noun)(policy, **values)
        equal([one.id for one in getattr(net, noun + "s")(policy)], [rule.id], noun)
        changed = getattr(net, "update_" + noun)(rule, policy, **change)
        for name, value in change.items():
            equal(getattr(changed, name), value, noun)
        equal(getattr(net, "get_" + noun)(rule.id, policy).id, rule.id)
        getattr(net, "delete_" + noun)(rule, policy, ignore_missing=False)
    check("bandwidth_limit" in [one.type for one in net.qos_rule_types()], "rule types")
    net.delete_qos_policy(policy)
    print("ok qos")


def outside():
    """Routers, floating IPs and their like; leaves nothing."""
    public = net.create_network(name="public", is_router_external=True)
    net.create_subnet(network_id=public.id, ip_version=4, cidr="203.0.113.0/24", enable_dhcp=False)
    inside = net.create_network(name="inside")
    subnet = net.create_subnet(network_id=inside.id, ip_version=4, cidr="10.2.0.0/24")
    router = net.create_router(name="r", external_gateway_info={"network_id": public.id})
    equal(net.add_interface_to_router(router, subnet_id=subnet.id)["subnet_id"], subnet.id)
    route = {"destination": "10.9.0.0/24", "nexthop": "10.2.0.9"}
    equal(net.add_extra_routes_to_router(router, {"router": {"routes": [route]}}).routes, [route])
    equal(net.remove_extra_routes_from_router(router, {"router": {"routes": [route]}}).routes, [])
    port = net.create_port(network_id=inside.id, fixed_ips=[{"subnet_id": subnet.id}])
    ip = net.create_ip(floating_network_id=public.id, port_id=port.id)
    equal(net.find_ip(ip.floating_ip_address).id, ip.id)
    equal(ip.fixed_ip_address, port.fixed_ips[0]["ip_address"])
    equal(net.update_ip(ip, port_id=None).port_id, None)
    check(net.find_available_ip().id == ip.id, "available IP")
    values = {"internal_port_id": port.id, "internal_ip_address": ip.fixed_ip_address or port.fixed_ips[0]["ip_address"],
              "internal_port": 25, "external_port": 2525, "protocol": "tcp"}
    forwarding = net.create_port_forwarding(floatingip_id=ip.id, **values)
    equal([one.id for one in net.port_forwardings(ip)], [forwarding.id])
    equal(net.update_port_forwarding(forwarding, ip, external_port=2626).external_port, 2626)
    net.delete_port_forwarding(forwarding, ip)
    helper = net.create_conntrack_helper(router, protocol="udp", helper="tftp", port=69)
    equal([one.port for one in net.conntrack_helpers(router)], [69])
    net.delete_conntrack_helper(helper, router)
    local = net.create_local_ip(network_id=inside.id, name="lip")
    equal(net.find_local_ip("lip").id, local.id)
    one = net.create_local_ip_association(local.id, fixed_port_id=port.id)
    equal([found.fixed_port_id for found in net.local_ip_associations(local.id)], [port.id])
    net.delete_local_ip_association(local.id, one.fixed_port_id)
    net.delete_local_ip(local)
    trunk = net.create_trunk(port_id=port.id, name="trunk")
    child = net.create_port(network_id=inside.id)
    net.add_trunk_subports(trunk, [{"port_id": child.id, "segmentation_type": "vlan", "segmentation_id": 7}])
    equal([sub["port_id"] for sub in net.get_trunk_subports(trunk)["sub_ports"]], [child.id])
    net.delete_trunk_subports(trunk, [{"port_id": child.id}])
    net.delete_trunk(trunk)
    shared = net.create_rbac_policy(object_type="network", object_id=inside.id, action="access_as_shared", target_tenant="*")
    equal([found.id for found in net.rbac_policies(object_id=inside.id)], [shared.id])
    net.delete_rbac_policy(shared)
    net.delete_ip(ip)
    net.remove_interface_from_router(router, subnet_id=subnet.id)
    net.delete_router(router)
    for found in (port, child):
        net.delete_port(found)
    for network in (inside, public):
        net.delete_network(network)
    print("ok outside")


def operators():
    project = conn.current_project_id
    quota = net.get_quota(project, details=True)
    equal(quota.networks["used"], len([one for one in net.networks() if one.project_id == project]), "quota in use")
    equal(net.update_quota(project, networks=33).networks, 33)
    equal(net.get_quota_default(project).networks, 100)
    equal([one.networks for one in net.quotas()], [33])
    net.delete_quota(project)
    equal(net.get_quota(project).networks, 100)
    agents = list(net.agents(host="v-host-1"))
    equal(sorted(one.agent_type for one in agents),
          ["BGP dynamic routing agent", "DHCP agent", "L3 agent", "Open vSwitch agent"])
    check(all(one.is_alive for one in agents), "alive")
    equal(net.update_agent(agents[0], description="words").description, "words")
    check(any(one.resource == "router" for one in net.availability_zones()), "zones")
    check(net.find_extension("port-security", ignore_missing=False).name == "Port Security", "extensions")
    check(len(list(net.service_providers())) > 0, "providers")
    check(isinstance(list(net.network_ip_availabilities()), list), "availabilities")
    print("ok operators")


def cloud():
    """The layer Ansible's modules and many scripts stand on."""
    public = conn.create_network("outside", external=True)
    conn.create_subnet("outside", cidr="192.0.2.0/25", enable_dhcp=False, subnet_name="outside-four")
    inside = conn.create_network("lan", port_security_enabled=False)
    equal(inside.is_port_security_enabled, False)
    subnet = conn.create_subnet("lan", cidr="10.3.0.0/24", subnet_name="lan-four", dns_nameservers=["9.9.9.9"])
    router = conn.create_router(name="gate", ext_gateway_net_id=public.id)
    conn.add_router_interface(router, subnet_id=subnet.id)
    equal([port.fixed_ips[0]["ip_address"] for port in conn.list_router_interfaces(router, "internal")], ["10.3.0.1"])
    ip = conn.create_floating_ip(network="outside")
    equal(conn.available_floating_ip(network="outside").id, ip.id)
    equal(conn.get_floating_ip(ip.id).status, "DOWN")
    port = conn.create_port(inside.id, name="vm", fixed_ips=[{"subnet_id": subnet.id, "ip_address": "10.3.0.33"}])
    equal(conn.get_port("vm").id, port.id)
    equal([one.id for one in conn.search_networks("lan")], [inside.id], "search by name")
    equal(conn.update_network("lan", name="lan2").name, "lan2")
    check(conn.delete_port("vm"), "port")
    check(conn.delete_floating_ip(ip.id), "floating IP")
    conn.remove_router_interface(router, subnet_id=subnet.id)
    check(conn.delete_router("gate"), "router")
    group = conn.create_security_group("sg", "words")
    conn.create_security_group_rule(group.id, port_range_min=22, port_range_max=22, protocol="tcp")
    check(conn.delete_security_group("sg"), "group")
    conn.set_network_quotas(conn.current_project_id, network=44)
    equal(conn.get_network_quotas(conn.current_project_id).networks, 44)
    conn.delete_network_quotas(conn.current_project_id)
    for network in (public, inside):
        check(conn.delete_network(network.id), "network")
    check(conn.delete_network("nosuch") is False, "what is not there")
    print("ok cloud")


def get_me_a_network():
    public = net.create_network(name="public", is_router_external=True, is_default=True)
    net.create_subnet(network_id=public.id, ip_version=4, cidr="198.51.100.0/24", enable_dhcp=False)
    pool = net.create_subnet_pool(name="all", prefixes=["10.64.0.0/16"], default_prefix_length=24, is_default=True)
    net.validate_auto_allocated_topology()
    mine = net.get_auto_allocated_topology()
    equal(net.get_network(mine.id).name, "auto_allocated_network")
    equal(net.get_auto_allocated_topology().id, mine.id)
    net.delete_auto_allocated_topology()
    net.delete_subnet_pool(pool)
    net.delete_network(public)
    print("ok get me a network")


for part in (lives, networks, rules, qos, outside, operators, cloud, get_me_a_network):
    part()
