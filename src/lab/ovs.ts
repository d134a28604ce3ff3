/**
 * Open vSwitch of one lab host: its own ovsdb-server and ovs-vswitchd inside the host's namespace, and the underlay
 * bridge that carries the tunnel address. Every function may be called again and brings back what is missing.
 *
 * The switch runs in a real-time class where that is allowed: it stands for a machine that has cores of its own.
 * Otherwise, on a busy machine, its sockets (some 270 packets long) overflow while it waits for its turn.
 */
import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { CommandFailed, inNamespace, ipBatch, run, tryRun, urgent, words } from './exec.ts'
import type { Lab } from './state.ts'
import { hostNamespace, tunnelIp, UNDERLAY_MTU, underlayIndex, underlayMac } from './names.ts'
import { isAlive, isAliveIn, type ProcessRef, refFromPidFile, terminate } from './processes.ts'

const SCHEMA = '/usr/share/openvswitch/vswitch.ovsschema'
/** The bridge that owns eth0 and has the tunnel address, as its internal port. */
export const UNDERLAY_BRIDGE = 'br-phy'

/** Environment for Open vSwitch's programs: with it, a plain `ovs-vsctl show` speaks to that host. */
export const ovsEnv = (dir: string): NodeJS.ProcessEnv => ({
  ...process.env,
  OVS_RUNDIR: dir,
  OVS_LOGDIR: dir,
  OVS_DBDIR: dir,
  OVS_SYSCONFDIR: dir,
})

export interface OvsProcesses {
  readonly ovsdb: ProcessRef | null
  readonly vswitchd: ProcessRef | null
}

export const ovsProcesses = (dir: string): OvsProcesses => ({
  ovsdb: refFromPidFile(join(dir, 'ovsdb.pid')),
  vswitchd: refFromPidFile(join(dir, 'vswitchd.pid')),
})

export const vsctl = (lab: Lab, host: string, args: readonly string[]): Promise<string> =>
  run(['ovs-vsctl', '--timeout=15', `--db=unix:${lab.paths.ovsdb(host)}`, ...args])

const daemon = async (
  ns: string,
  dir: string,
  program: string,
  name: string,
  args: readonly string[],
): Promise<void> => {
  const options = [`--unixctl=${join(dir, `${name}.ctl`)}`, `--pidfile=${join(dir, `${name}.pid`)}`]
  const log = [`--log-file=${join(dir, `${name}.log`)}`, '-vconsole:off', '--detach', '--no-chdir']
  const argv = await urgent([program, ...args, ...options, ...log])
  await run(inNamespace(ns, argv), { env: ovsEnv(dir) })
}

/** Starts what does not run of the two daemons, or runs in a namespace that was deleted under it; answers true when ovs-vswitchd was started anew. `more` names further databases of the same server. */
export const startOvs = async (
  lab: Lab,
  host: string,
  more: readonly { readonly file: string; readonly schema: string }[] = [],
): Promise<boolean> => {
  const dir = lab.paths.host(host)
  const ns = hostNamespace(lab.spec.name, host)
  await mkdir(dir, { recursive: true })
  const databases = [{ file: 'conf.db', schema: SCHEMA }, ...more]
  const paths = databases.map(({ file }) => join(dir, file))
  for (const [i, { schema }] of databases.entries()) {
    const path = paths[i] ?? ''
    if (!existsSync(path)) await run(['ovsdb-tool', 'create', path, schema])
  }
  const running = ovsProcesses(dir)
  for (const ref of [running.vswitchd, running.ovsdb]) if (!isAliveIn(ref, ns)) await terminate(ref)
  if (!isAlive(running.ovsdb)) {
    await daemon(ns, dir, 'ovsdb-server', 'ovsdb', [...paths, `--remote=punix:${lab.paths.ovsdb(host)}`])
    await vsctl(lab, host, ['--no-wait', 'init'])
  }
  if (isAlive(running.vswitchd)) return false
  await daemon(ns, dir, 'ovs-vswitchd', 'vswitchd', [`unix:${lab.paths.ovsdb(host)}`])
  return true
}

/** Ends both daemons; the forwarding of that host ends with them. */
export const stopOvs = async (lab: Lab, host: string): Promise<void> => {
  const { ovsdb, vswitchd } = ovsProcesses(lab.paths.host(host))
  await terminate(vswitchd)
  await terminate(ovsdb)
}

/**
 * Gives the host its place in the underlay. Userspace datapath: a bridge owns eth0 and its internal port has the
 * tunnel address (that port dies with ovs-vswitchd, so this follows every start). Kernel datapath: eth0 has it.
 */
export const joinUnderlay = async (lab: Lab, host: string): Promise<void> => {
  const ns = hostNamespace(lab.spec.name, host)
  const index = underlayIndex(host)
  const address = `${tunnelIp(index)}/24`
  if (lab.spec.datapath === 'system') return ipBatch(ns, [`addr replace ${address} dev eth0`])
  const bridge = `--may-exist add-br ${UNDERLAY_BRIDGE} -- set Bridge ${UNDERLAY_BRIDGE} datapath_type=netdev`
  const identity = `fail_mode=standalone other_config:hwaddr="${underlayMac(index)}"`
  const port = `-- --may-exist add-port ${UNDERLAY_BRIDGE} eth0 -- set Open_vSwitch . external_ids:hostname=${host}`
  await vsctl(lab, host, words(`${bridge} ${identity} ${port}`))
  await ipBatch(ns, [
    `addr replace ${address} dev ${UNDERLAY_BRIDGE}`,
    `link set ${UNDERLAY_BRIDGE} mtu ${UNDERLAY_MTU} up`,
  ])
  await Promise.all([
    run(inNamespace(ns, ['ethtool', '-K', UNDERLAY_BRIDGE, 'tx', 'off'])).catch(() => undefined),
    guardDevice(lab, host, 'eth0'),
  ])
}

/**
 * Tells the userspace datapath its peers' MAC addresses. It has no queue for packets whose tunnel peer is still to be
 * resolved, as the kernel has, and would drop the first ones to every host.
 */
export const warmNeighbors = async (lab: Lab, host: string, hosts: readonly string[]): Promise<void> => {
  if (lab.spec.datapath === 'system') return
  const control = join(lab.paths.host(host), 'vswitchd.ctl')
  for (const peer of hosts.filter((one) => one !== host)) {
    const index = underlayIndex(peer)
    const entry = ['tnl/neigh/set', UNDERLAY_BRIDGE, tunnelIp(index), underlayMac(index)]
    await run(['ovs-appctl', '--timeout=5', '-t', control, ...entry])
  }
}

/**
 * Keeps the host's own kernel from answering what the switch receives. The userspace datapath reads a device beside
 * the kernel's stack, which would see every frame too (and send ICMP errors for tunnel packets). A drop at the
 * device's ingress hook stands behind the tap that Open vSwitch reads.
 */
export const guardDevice = async (lab: Lab, host: string, device: string): Promise<void> => {
  if (lab.spec.datapath === 'system') return
  const ns = hostNamespace(lab.spec.name, host)
  const rules = `
add table netdev labguard
add chain netdev labguard ${device} { type filter hook ingress device ${device} priority -500; policy drop; }
`
  await run(inNamespace(ns, ['nft', '-f', '-']), { input: rules })
}

/** Takes the guard of a device away, before the device goes. */
export const unguardDevice = async (lab: Lab, host: string, device: string): Promise<void> => {
  if (lab.spec.datapath === 'system') return
  const ns = hostNamespace(lab.spec.name, host)
  await tryRun(inNamespace(ns, ['nft', 'delete', 'chain', 'netdev', 'labguard', device]))
}

/** One sentence when this kernel cannot run the wished datapath, else null. */
export const datapathIssue = async (datapath: 'netdev' | 'system'): Promise<string | null> => {
  if (datapath === 'netdev' || existsSync('/sys/module/openvswitch')) return null
  const loaded = await run(['modprobe', 'openvswitch']).catch((error: unknown) => error)
  if (!(loaded instanceof Error)) return null
  const why = loaded instanceof CommandFailed ? loaded.stderr.trim() : loaded.message
  return `this kernel has no openvswitch module (${why}): use --datapath netdev`
}
