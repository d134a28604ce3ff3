"""What programs on neutronclient catch, as Compute does: errors by type, of which the server tells by name."""
import os

from keystoneauth1 import session
from keystoneauth1.identity import v3
from neutronclient.common import exceptions
from neutronclient.v2_0 import client

names = ("auth_url", "username", "password", "project_name", "user_domain_name", "project_domain_name")
auth = v3.Password(**{name: os.environ["OS_" + name.upper()] for name in names})
neutron = client.Client(session=session.Session(auth=auth), region_name=os.environ["OS_REGION_NAME"])


def catches(kind, call, *args):
    try:
        call(*args)
    except exceptions.NeutronClientException as error:
        if type(error) is not kind:
            raise AssertionError(f"{type(error).__name__}, not {kind.__name__}: {error}")
        if "{" in str(error):
            raise AssertionError(f"not a sentence: {error}")
        print("ok", kind.__name__)
    else:
        raise AssertionError(f"no {kind.__name__}")


network = neutron.create_network({"network": {"name": "n"}})["network"]["id"]
subnet = {"network_id": network, "ip_version": 4, "cidr": "10.0.0.0/24",
          "allocation_pools": [{"start": "10.0.0.10", "end": "10.0.0.12"}]}
subnet = neutron.create_subnet({"subnet": subnet})["subnet"]["id"]
port = {"network_id": network, "fixed_ips": [{"ip_address": "10.0.0.50"}], "mac_address": "fa:16:3e:00:00:01"}
made = neutron.create_port({"port": port})["port"]["id"]

catches(exceptions.PortNotFoundClient, neutron.show_port, "6a2c6cbb-9d5c-4c0f-8a0b-7e0a6a4bb001")
catches(exceptions.NetworkNotFoundClient, neutron.show_network, "6a2c6cbb-9d5c-4c0f-8a0b-7e0a6a4bb001")
catches(exceptions.NetworkInUseClient, neutron.delete_network, network)
catches(exceptions.MacAddressInUseClient, neutron.create_port, {"port": {**port, "fixed_ips": []}})
catches(exceptions.IpAddressAlreadyAllocatedClient, neutron.create_port, {"port": {**port, "mac_address": None}})
outside = {"network_id": network, "fixed_ips": [{"ip_address": "192.0.2.1"}]}
catches(exceptions.InvalidIpForNetworkClient, neutron.create_port, {"port": outside})
for _ in range(2):
    neutron.create_port({"port": {"network_id": network}})
catches(exceptions.IpAddressGenerationFailureClient, neutron.create_port, {"port": {"network_id": network}})
catches(exceptions.BadRequest, neutron.create_port, {"port": {"network_id": network, "name": 7}})
project = auth.get_access(session.Session()).project_id
neutron.update_quota(project, {"quota": {"port": 1}})
catches(exceptions.OverQuotaClient, neutron.create_port, {"port": {"network_id": network}})
