/**
 * ToRs of a lab: Debian's hardware VTEP emulator (ovs-vtep over Open vSwitch) in a namespace of its own, a trunk to
 * each host below it and a tunnel address on the underlay. Who configures one speaks to its `hardware_vtep` database.
 *
 * Every function may be called again and brings back what is missing.
 */
import { chmod } from 'node:fs/promises'
import { join } from 'node:path'
import { inNamespace, run } from './exec.ts'
import { hostNamespace, torName, tunnelIp, UNDERLAY_MTU, underlayIndex } from './names.ts'
import { guardDevice, joinUnderlay, ovsEnv, ovsProcesses, startOvs, vsctl } from './ovs.ts'
import { isAlive, isAliveIn, type ProcessRef, refFromPidFile, terminate } from './processes.ts'
import type { Lab, LabSpec } from './state.ts'
import { devicesIn } from './substrate.ts'

const SCRIPT = '/usr/share/openvswitch/scripts/ovs-vtep'
const VTEP_DATABASE = { file: 'vtep.db', schema: '/usr/share/openvswitch/vtep.ovsschema' }
/** The host's end of its trunk, and the provider bridge that owns it. */
const TRUNK_DEVICE = 'eth1'
export const TRUNK_BRIDGE = 'br-trunk'

export interface LabTor {
  /** Also the name of the physical switch and of its bridge. */
  readonly name: string
  /** Hosts below it. */
  readonly hosts: readonly string[]
}

/** Pure. Topology `hpb`: a ToR above h1, another above h2; the other hosts end tunnels themselves. */
export const torsOf = ({ topology }: Pick<LabSpec, 'topology'>): readonly LabTor[] =>
  topology === 'hpb' ? [1, 2].map((index) => ({ name: torName(index), hosts: [`h${index}`] })) : []

export const torOf = (spec: Pick<LabSpec, 'topology'>, host: string): LabTor | null =>
  torsOf(spec).find(({ hosts }) => hosts.includes(host)) ?? null

/** The physical network between a ToR and its hosts: VLANs of one mean nothing at another. */
export const physicalNetwork = (tor: string): string => `physnet-${tor}`
/** The physical port of a ToR that leads to a host. */
export const trunkPort = (host: string): string => `to-${host}`

export const torProcess = (lab: Lab, tor: string): ProcessRef | null =>
  refFromPidFile(join(lab.paths.host(tor), 'vtep.pid'))

/** Pure. What the lab's server is told: the ToRs, and VLANs for each that no other has. */
export const torArguments = ({ spec, paths }: Lab): string[] => {
  const tors = torsOf(spec)
  if (tors.length === 0) return []
  const words = tors.map(({ name, hosts }) => {
    const ports = hosts.map((host) => `${host}:${trunkPort(host)}`).join(';')
    return `name=${name},target=unix:${paths.ovsdb(name)},physical-network=${physicalNetwork(name)},ports=${ports}`
  })
  const vlans = tors.map(({ name }, i) => `${physicalNetwork(name)}:${(i + 1) * 100 + 1}:${(i + 1) * 100 + 99}`)
  return [`--tor=${words.join(' ')}`, `--network-vlan-ranges=${vlans.join(',')}`]
}

/** Pure. Lines of `ip` for a trunk whose two ends should be there, and are or are not. */
export const planTrunk = (
  { tor, host }: { tor: string; host: string },
  ends: { readonly tor: string; readonly host: string },
  seen: { readonly tor: boolean; readonly host: boolean },
): string[] => {
  if (seen.tor && seen.host) return []
  // One end without the other: its namespace was deleted, but is still held by a process.
  const clear = [
    ...(seen.tor ? [`-n ${ends.tor} link del ${trunkPort(host)}`] : []),
    ...(seen.host ? [`-n ${ends.host} link del ${TRUNK_DEVICE}`] : []),
  ]
  const far = `peer name ${trunkPort(host)} netns ${ends.tor} mtu ${UNDERLAY_MTU}`
  return [
    ...clear,
    `link add ${TRUNK_DEVICE} netns ${ends.host} mtu ${UNDERLAY_MTU} type veth ${far}`,
    `-n ${ends.host} link set ${TRUNK_DEVICE} addrgenmode none up alias ${tor}`,
    `-n ${ends.tor} link set ${trunkPort(host)} addrgenmode none up`,
  ]
}

/** The trunk from a ToR, or another switch, to a host: a veth, and on the host the provider bridge with its end. */
export const bringUpTrunk = async (lab: Lab, tor: string, host: string): Promise<void> => {
  const ends = { tor: hostNamespace(lab.spec.name, tor), host: hostNamespace(lab.spec.name, host) }
  const [atTor, atHost] = await Promise.all([devicesIn(ends.tor), devicesIn(ends.host)])
  const seen = { tor: atTor.includes(trunkPort(host)), host: atHost.includes(TRUNK_DEVICE) }
  for (const line of planTrunk({ tor, host }, ends, seen)) await run(['ip', ...line.split(' ')])
  const bridge = ['--may-exist', 'add-br', TRUNK_BRIDGE, '--', 'set', 'Bridge', TRUNK_BRIDGE]
  const datapath = [`datapath_type=${lab.spec.datapath}`, 'fail_mode=standalone']
  await vsctl(lab, host, [...bridge, ...datapath, '--', '--may-exist', 'add-port', TRUNK_BRIDGE, TRUNK_DEVICE])
  await guardDevice(lab, host, TRUNK_DEVICE)
}

/**
 * Gives a ToR what it lacks: switch and databases, its place in the underlay, its trunks, and the emulator. The
 * emulator starts anew whenever the switch or the database did: it keeps what it made in memory.
 */
export const bringUpTor = async (lab: Lab, { name, hosts }: LabTor): Promise<void> => {
  const dir = lab.paths.host(name)
  const before = ovsProcesses(dir)
  await startOvs(lab, name, [VTEP_DATABASE])
  // The server that configures it is not root; a real ToR listens on the network.
  await chmod(lab.paths.ovsdb(name), 0o666)
  await joinUnderlay(lab, name)
  for (const host of hosts) await bringUpTrunk(lab, name, host)
  await describeSwitch(lab, name, hosts)
  const after = ovsProcesses(dir)
  const same = before.ovsdb?.pid === after.ovsdb?.pid && before.vswitchd?.pid === after.vswitchd?.pid
  const emulator = torProcess(lab, name)
  if (same && isAliveIn(emulator, hostNamespace(lab.spec.name, name))) return
  await terminate(emulator)
  await startEmulator(lab, name)
}

/** The bridge that is the physical switch, secure so that nothing passes but what is bound, and its row. */
const describeSwitch = async (lab: Lab, tor: string, hosts: readonly string[]): Promise<void> => {
  const bridge = ['--may-exist', 'add-br', tor, '--', 'set', 'Bridge', tor]
  const ports = hosts.flatMap((host) => ['--', '--may-exist', 'add-port', tor, trunkPort(host)])
  await vsctl(lab, tor, [...bridge, `datapath_type=${lab.spec.datapath}`, 'fail_mode=secure', ...ports])
  await Promise.all(hosts.map((host) => guardDevice(lab, tor, trunkPort(host))))
  const address = `tunnel_ips=${tunnelIp(underlayIndex(tor))}`
  await vtepctl(lab, tor, ['--may-exist', 'add-ps', tor, '--', 'set', 'Physical_Switch', tor, address])
}

export const vtepctl = (lab: Lab, tor: string, args: readonly string[]): Promise<string> =>
  run(['vtep-ctl', '--timeout=15', `--db=unix:${lab.paths.ovsdb(tor)}`, ...args])

/** Starts the emulator; it begins by taking away what its predecessor left in the switch. */
export const startEmulator = async (lab: Lab, tor: string): Promise<void> => {
  if (isAlive(torProcess(lab, tor))) return
  const dir = lab.paths.host(tor)
  const files = [`--pidfile=${join(dir, 'vtep.pid')}`, `--log-file=${join(dir, 'vtep.log')}`, '-vconsole:off']
  const argv = [SCRIPT, tor, ...files, '--detach', '--no-chdir']
  await run(inNamespace(hostNamespace(lab.spec.name, tor), argv), { env: ovsEnv(dir) })
}
