/** Bringing a lab's hosts up and taking everything of a lab away; both may be repeated, and begin from any half state. */
import { rm, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { dhcpServers } from './agents.ts'
import { run } from './exec.ts'
import { belongsTo, hostName, labPaths, namespacePrefix } from './names.ts'
import { joinUnderlay, ovsProcesses, startOvs, warmNeighbors } from './ovs.ts'
import { processesIn, type ProcessRef, terminate } from './processes.ts'
import { bringUpRacks } from './rack.ts'
import { hostsOnDisk, type Lab, listVms, readHost } from './state.ts'
import { bringUpTor, torsOf } from './tor.ts'
import { applySubstrate, namespacesNow, planSubstrate, readSubstrate } from './substrate.ts'

export const hostNames = (lab: Lab): string[] => Array.from({ length: lab.spec.hosts }, (_, i) => hostName(i + 1))

/** Hosts and ToRs: all that have a place in the underlay. */
export const placeNames = (lab: Lab): string[] => [...hostNames(lab), ...torsOf(lab.spec).map(({ name }) => name)]

/** Namespaces, links and Open vSwitch of every host and ToR; adds what is missing. `agents`: hosts will have one. */
export const bringUpHosts = async (lab: Lab, agents: boolean): Promise<void> => {
  const hosts = hostNames(lab)
  const seen = await readSubstrate(lab.spec.name)
  await applySubstrate(lab.spec.name, planSubstrate(lab.spec.name, placeNames(lab), seen))
  await Promise.all(
    hosts.map(async (host) => {
      await startOvs(lab, host)
      await joinUnderlay(lab, host)
    }),
  )
  await Promise.all(torsOf(lab.spec).map((tor) => bringUpTor(lab, tor)))
  await bringUpRacks(lab)
  await warm(lab, agents ? torsOf(lab.spec).map(({ name }) => name) : placeNames(lab))
}

/** Hosts with an agent need none of it: agents greet each other through the tunnels. */
const warm = async (lab: Lab, places: readonly string[]): Promise<void> => {
  await Promise.all(places.map((place) => warmNeighbors(lab, place, placeNames(lab))))
}

/** Starts ovs-vswitchd again after it died or was stopped, and gives the host its underlay back. */
export const restoreOvs = async (lab: Lab, host: string): Promise<void> => {
  await startOvs(lab, host)
  await joinUnderlay(lab, host)
  if (!lab.spec.server) await warm(lab, [host])
}

/** Brings back what a ToR lost: a daemon, the emulator, its trunks. */
export const restoreTor = async (lab: Lab, name: string): Promise<void> => {
  for (const tor of torsOf(lab.spec).filter((one) => one.name === name)) await bringUpTor(lab, tor)
  await warm(lab, [name])
}

/**
 * Removes a lab: the recorded processes, every process inside its namespaces, the namespaces, the files, those of DHCP
 * servers among them. Answers false when there was nothing.
 */
export const takeDown = async (root: string, name: string): Promise<boolean> => {
  const paths = labPaths(root, name)
  const hosts = await hostsOnDisk(paths)
  const agents = await Promise.all(hosts.map(async (host) => (await readHost(paths, host)).agent))
  const vms = await listVms(paths).catch(() => [])
  const switches = hosts.flatMap((host) => Object.values(ovsProcesses(paths.host(host))) as (ProcessRef | null)[])
  await Promise.all(agents.map((agent) => terminate(agent)))
  // By their folders: one whose namespace lost its name is not found by it.
  const servers = (await Promise.all(hosts.map((host) => dhcpServers(paths, host)))).flat()
  await Promise.all(servers.map(({ process }) => terminate(process, 2_000)))
  const ours = [...(await namespacesNow())].filter((ns) => belongsTo(name, ns))
  const found = ours.length > 0 || hosts.length > 0 || vms.length > 0
  await Promise.all([...switches, ...processesIn(ours)].map((ref) => terminate(ref, 2_000)))
  await Promise.all(ours.map((ns) => run(['ip', 'netns', 'del', ns])))
  for (const ns of await readdir('/etc/netns').catch(() => [] as string[]))
    if (ns.startsWith(namespacePrefix(name))) await rm(join('/etc/netns', ns), { recursive: true, force: true })
  await rm(paths.hosts, { recursive: true, force: true })
  await rm(paths.vms, { recursive: true, force: true })
  return found
}
