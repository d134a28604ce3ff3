/**
 * Namespaces that stand for VMs, plugged the way Nova's os-vif plugs an instance into Open vSwitch: a tap named after
 * the port, an Interface row with `external_ids:iface-id` and its companions. Inside runs a real DHCP client.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inNamespace, ipBatch, run, tryRun, words } from './exec.ts'
import { hostNamespace, vmNamespace } from './names.ts'
import { guardDevice, unguardDevice, vsctl } from './ovs.ts'
import { processesIn, terminate } from './processes.ts'
import { forgetVm, type Lab, listVms, type VmState, writeVm } from './state.ts'
import { namespacesNow } from './substrate.ts'

/** The integration bridge, where Nova plugs instances. */
export const INTEGRATION_BRIDGE = 'br-int'
const CLIENT_SCRIPT = fileURLToPath(new URL('./udhcpc.sh', import.meta.url))

export interface Plug {
  readonly vm: Omit<VmState, 'addresses'>
  /** Addresses set by hand, with prefix length. */
  readonly fixed: readonly string[]
  readonly gateway6: string | null
}

const vmNs = (lab: Lab, name: string): string => vmNamespace(lab.spec.name, name)

/** Pure: what `ovs-vsctl` is told, as by os-vif for an instance's port. */
export const plugArguments = (vm: Plug['vm'], datapath: 'netdev' | 'system'): string[] => {
  const { tap, portId, mac, vmUuid } = vm
  const bridge = `-- --may-exist add-br ${INTEGRATION_BRIDGE} -- set Bridge ${INTEGRATION_BRIDGE} datapath_type=${datapath}`
  const port = `-- --if-exists del-port ${tap} -- add-port ${INTEGRATION_BRIDGE} ${tap} -- set Interface ${tap}`
  const ids = `external_ids:iface-id=${portId} external_ids:iface-status=active external_ids:vm-uuid=${vmUuid}`
  return words(`${bridge} ${port} ${ids} external_ids:attached-mac="${mac}"`)
}

/** Makes the VM and plugs it; it has link but no IPv4 address yet. What stood there under this name is replaced. */
export const plugVm = async (lab: Lab, plug: Plug): Promise<void> => {
  const { vm } = plug
  const ns = vmNs(lab, vm.name)
  const host = hostNamespace(lab.spec.name, vm.host)
  await unplugVm(lab, vm)
  await writeVm(lab.paths, { ...vm, addresses: [] })
  const ends = `address ${vm.mac} type veth peer name ${vm.tap} netns ${host} mtu ${vm.mtu}`
  await ipBatch(null, [`netns add ${ns}`, `link add eth0 netns ${ns} mtu ${vm.mtu} ${ends}`])
  await Promise.all([
    ipBatch(ns, ['link set lo up', 'link set eth0 up', ...addressLines(plug)]),
    ipBatch(host, [`link set ${vm.tap} addrgenmode none up`]),
    // The userspace datapath hands frames on as they are: checksums left to a card would never be filled in.
    run(inNamespace(ns, ['ethtool', '-K', 'eth0', 'tx', 'off'])),
  ])
  await guardDevice(lab, vm.host, vm.tap)
  await vsctl(lab, vm.host, ['--no-wait', ...plugArguments(vm, lab.spec.datapath)])
}

const addressLines = ({ fixed, gateway6 }: Plug): string[] => [
  ...fixed.map((address) => `addr add ${address} dev eth0${address.includes(':') ? ' nodad' : ''}`),
  ...(gateway6 === null ? [] : [`route replace default via ${gateway6} dev eth0 onlink`]),
]

/** Runs the DHCP client until it has a lease; answers the address with its prefix length, null without one. */
export const runDhcpClient = async (lab: Lab, name: string, seconds = 10): Promise<string | null> => {
  const ns = vmNs(lab, name)
  const lease = join(lab.paths.vms, `${name}.lease`)
  await rm(lease, { force: true })
  const client = ['udhcpc', '-i', 'eth0', '-f', '-n', '-q', '-t', String(seconds), '-T', '1', '-s', CLIENT_SCRIPT]
  const options = ['-O', 'mtu', '-O', 'staticroutes', '-x', `hostname:${name}`]
  const env = { ...process.env, LEASE: lease, RESOLV: `/etc/netns/${ns}` }
  const { code } = await tryRun(inNamespace(ns, [...client, ...options]), { env, timeout: (seconds + 5) * 1000 })
  return code === 0 ? (await run(['cat', lease])).trim() : null
}

/** The addresses of the VM's eth0, link-local ones apart, with prefix length. */
export const readAddresses = async (lab: Lab, name: string): Promise<string[]> => {
  const shown = await run(['ip', '-n', vmNs(lab, name), '-j', 'addr', 'show', 'dev', 'eth0'])
  const [link] = JSON.parse(shown) as { addr_info: { local: string; prefixlen: number; scope: string }[] }[]
  return (link?.addr_info ?? []).filter(({ scope }) => scope === 'global').map((a) => `${a.local}/${a.prefixlen}`)
}

/** Unplugs and removes the VM; a VM that is half there, or not at all, is no error. */
export const unplugVm = async (lab: Lab, vm: Plug['vm']): Promise<void> => {
  const ns = vmNs(lab, vm.name)
  const namespaces = await namespacesNow()
  if (namespaces.has(hostNamespace(lab.spec.name, vm.host))) {
    await unguardDevice(lab, vm.host, vm.tap)
    await vsctl(lab, vm.host, ['--no-wait', '--if-exists', 'del-port', INTEGRATION_BRIDGE, vm.tap]).catch(() => '')
  }
  if (namespaces.has(ns)) {
    await Promise.all(processesIn([ns]).map((ref) => terminate(ref, 500)))
    await run(['ip', 'netns', 'del', ns])
    // The kernel takes the veth down later; a new one of the same name must not meet it.
    await tryRun(['ip', '-n', hostNamespace(lab.spec.name, vm.host), 'link', 'del', vm.tap])
  }
  await rm(join('/etc/netns', ns), { recursive: true, force: true })
  await rm(join(lab.paths.vms, `${vm.name}.lease`), { force: true })
  await forgetVm(lab.paths, vm.name)
}

/** Takes the VM's tap out of the integration bridge behind everybody's back; the device stays. */
export const deletePortOf = async (lab: Lab, { host, tap }: VmState): Promise<void> => {
  await vsctl(lab, host, ['--no-wait', 'del-port', INTEGRATION_BRIDGE, tap])
}

/** Deletes the VM's namespace, and with it both ends of its link, as a crash of the hypervisor would. */
export const deleteNamespaceOf = async (lab: Lab, { name }: VmState): Promise<void> => {
  await run(['ip', 'netns', 'del', vmNs(lab, name)])
}

/** VMs that are recorded but have no namespace or no tap on their host any more. */
export const unpluggedVms = async (lab: Lab): Promise<string[]> => {
  const whole = async (vm: VmState): Promise<boolean> => {
    const tap = ['ip', '-n', hostNamespace(lab.spec.name, vm.host), 'link', 'show', vm.tap]
    return (await namespacesNow()).has(vmNs(lab, vm.name)) && (await tryRun(tap)).code === 0
  }
  const vms = await listVms(lab.paths)
  const states = await Promise.all(vms.map(whole))
  return vms.filter((_, index) => !states[index]).map(({ name }) => name)
}
