/** From a port of the API to a VM on a host: what Nova asks Neutron for, then the plug, then the DHCP client. */
import { randomUUID } from 'node:crypto'
import { type Api, findPort, getPort, type PortFacts, type SubnetFacts } from './api.ts'
import { hostNames } from './hosts.ts'
import { tapName } from './names.ts'
import { isAlive } from './processes.ts'
import { type Lab, listVms, readHost, readVm, type VmState, writeVm } from './state.ts'
import { type Plug, plugVm, readAddresses, runDhcpClient } from './vm.ts'

export interface VmOrder {
  readonly name: string
  /** Id or name of the port. */
  readonly port: string
  /** Null: where the port is bound already. */
  readonly host: string | null
  /** False: the fixed addresses are set by hand instead. */
  readonly dhcp: boolean
}

/**
 * Pure. How the VM is plugged. IPv4 addresses of subnets with DHCP are left to the client when `dhcp` is true; IPv6
 * addresses are set by hand, since nobody advertises routes on a network without a router.
 */
export const planPlug = (
  order: { readonly name: string; readonly host: string; readonly dhcp: boolean; readonly vmUuid: string },
  port: PortFacts,
  mtu: number,
  subnets: readonly SubnetFacts[],
): Plug & { readonly wantsDhcp: boolean } => {
  const addresses = port.fixed_ips.flatMap(({ subnet_id, ip_address }) => {
    const subnet = subnets.find(({ id }) => id === subnet_id)
    if (!subnet) return []
    const leased = order.dhcp && subnet.ip_version === 4 && subnet.enable_dhcp
    return [{ subnet, leased, text: `${ip_address}/${subnet.cidr.split('/')[1]}` }]
  })
  const six = addresses.find(({ subnet }) => subnet.ip_version === 6)
  return {
    vm: {
      name: order.name,
      host: order.host,
      portId: port.id,
      networkId: port.network_id,
      mac: port.mac_address,
      tap: tapName(port.id),
      mtu,
      vmUuid: order.vmUuid,
    },
    fixed: addresses.filter(({ leased }) => !leased).map(({ text }) => text),
    gateway6: six?.subnet.gateway_ip ?? null,
    wantsDhcp: addresses.some(({ leased }) => leased),
  }
}

/** Binds the port to `host` as Nova does when it is not bound yet; rejects with the reason when it cannot be plugged. */
const bindPort = async (api: Api, port: PortFacts, host: string | null, vmUuid: string): Promise<PortFacts> => {
  const bound = port['binding:host_id']
  if (bound === '' && host === null) throw new Error(`port ${port.id} is bound to no host: say --host`)
  if (bound !== '' && host !== null && bound !== host)
    throw new Error(
      `port ${port.id} is bound to ${bound}, not to ${host}; bind it first: openstack port set --host ${host} ${port.id}`,
    )
  if (bound === '') {
    const change = { 'binding:host_id': host, device_id: vmUuid, device_owner: 'compute:nova' }
    await api.call('PUT', `ports/${port.id}`, { port: change })
  }
  const now = bound === '' ? await getPort(api, port.id) : port
  if (now['binding:vif_type'] !== 'ovs')
    throw new Error(
      `port ${port.id} has vif_type ${now['binding:vif_type']} on ${now['binding:host_id']}: a VM cannot be plugged`,
    )
  return now
}

const checkOrder = async (lab: Lab, { name, host }: VmOrder): Promise<void> => {
  const hosts = hostNames(lab)
  if (host !== null && !hosts.includes(host)) throw new Error(`there is no host ${host}; there are ${hosts.join(', ')}`)
  if (await readVm(lab.paths, name))
    throw new Error(`there is a VM ${name} already; remove it with: deuteron lab vm del ${name}`)
}

/**
 * Adds a VM and answers it with the addresses it has. Rejects, with the VM left plugged for a look at it, when no DHCP
 * lease comes within 15 s.
 */
export const addVm = async (lab: Lab, api: Api, order: VmOrder): Promise<VmState> => {
  await checkOrder(lab, order)
  const wanted = await findPort(api, order.port)
  const taken = (await listVms(lab.paths)).find(({ portId }) => portId === wanted.id)
  if (taken) throw new Error(`port ${wanted.id} is plugged as VM ${taken.name} already`)
  const vmUuid = wanted.device_id === '' ? randomUUID() : wanted.device_id
  const port = await bindPort(api, wanted, order.host, vmUuid)
  const host = port['binding:host_id']
  const [network, subnets] = await Promise.all([
    api.call('GET', `networks/${port.network_id}`),
    api.call('GET', `subnets?network_id=${port.network_id}`),
  ])
  const { mtu } = network['network'] as { mtu: number }
  const plug = planPlug({ ...order, host, vmUuid }, port, mtu, subnets['subnets'] as SubnetFacts[])
  await plugVm(lab, plug)
  if (plug.wantsDhcp && (await runDhcpClient(lab, order.name, 15)) === null)
    throw new Error(await whyNoLease(lab, api, plug.vm))
  const vm = { ...plug.vm, addresses: await readAddresses(lab, order.name) }
  await writeVm(lab.paths, vm)
  return vm
}

const whyNoLease = async (lab: Lab, api: Api, { name, host, portId }: Plug['vm']): Promise<string> => {
  const { status } = await getPort(api, portId)
  const { agent } = await readHost(lab.paths, host)
  const facts = `port ${portId} is ${status}, the agent of ${host} ${isAlive(agent) ? 'runs' : 'is DEAD'}`
  return `VM ${name} got no DHCP lease within 15 s (${facts}); the VM stays plugged`
}
