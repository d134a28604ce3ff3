/**
 * What a lab's things are called and which addresses they have, derived from the lab's name and a host's number alone.
 *
 * Names are deterministic, so that a command which was killed half-way leaves nothing that the next one cannot find.
 */
import { join } from 'node:path'

export const DEFAULT_LAB = 'default'

const NAME = /^[a-z][a-z0-9]{0,11}$/
const VM_NAME = /^[a-z0-9][a-z0-9-]{0,19}$/

/** The sentence that says what is wrong with a lab's name, or null. */
export const labNameIssue = (name: string): string | null =>
  NAME.test(name) ? null : `a lab's name is 1 to 12 lower-case letters and digits, not '${name}'`

/** The sentence that says what is wrong with a VM's name, or null. */
export const vmNameIssue = (name: string): string | null =>
  VM_NAME.test(name) ? null : `a VM's name is 1 to 20 lower-case letters, digits and dashes, not '${name}'`

/** Where labs keep their state: $DEUTERON_LAB_DIR or /var/lib/deuteron/lab. */
export const labRoot = (env: NodeJS.ProcessEnv): string => env['DEUTERON_LAB_DIR'] ?? '/var/lib/deuteron/lab'

/** `dl-` for the default lab, `dl.NAME-` for another: no lab's prefix is the beginning of another's. */
export const namespacePrefix = (lab: string): string => (lab === DEFAULT_LAB ? 'dl-' : `dl.${lab}-`)

export const underlayNamespace = (lab: string): string => `${namespacePrefix(lab)}underlay`
export const hostNamespace = (lab: string, host: string): string => `${namespacePrefix(lab)}${host}`
export const vmNamespace = (lab: string, vm: string): string => `${namespacePrefix(lab)}vm-${vm}`

/** Whether a namespace is the lab's: of the lab itself, or a DHCP server's, which an agent names after its host tag. */
export const belongsTo = (lab: string, namespace: string): boolean =>
  namespace.replace(/^dhcp-/, '').startsWith(namespacePrefix(lab))

/** `h1`, `h2`, …: hosts are numbered from 1. */
export const hostName = (index: number): string => `h${index}`
export const hostIndex = (host: string): number | null => {
  const match = /^h([1-9]\d{0,2})$/.exec(host)
  return match ? Number(match[1]) : null
}

/** `tor1`, `tor2`, …: switches above hosts. */
export const torName = (index: number): string => `tor${index}`

export const MAX_HOSTS = 200
/** The number that gives a host or ToR its underlay addresses; ToRs come after all hosts. 0: neither. */
export const underlayIndex = (place: string): number => {
  const tor = /^tor([1-9])$/.exec(place)
  return tor ? MAX_HOSTS + Number(tor[1]) : (hostIndex(place) ?? 0)
}
/** Room for VXLAN over IPv4 or IPv6 around a 1500-byte frame. */
export const UNDERLAY_MTU = 1600
export const tunnelIp = (index: number): string => `172.31.0.${index}`
export const underlayMac = (index: number): string => `02:64:00:00:00:${index.toString(16).padStart(2, '0')}`

/** The tap device of a port as Nova names it: `tap` and the id's first eleven characters. */
export const tapName = (portId: string): string => `tap${portId.slice(0, 11)}`

/** Paths of a lab below its state folder. Sockets of Open vSwitch lie in the host's folder: keep the root short. */
export const labPaths = (root: string, lab: string) => {
  const dir = join(root, lab)
  return {
    dir,
    spec: join(dir, 'lab.json'),
    server: join(dir, 'server'),
    /** In the server's folder: the server, which is not root, makes it. */
    feedSocket: join(dir, 'server', 'feed.sock'),
    vms: join(dir, 'vms'),
    hosts: join(dir, 'hosts'),
    host: (name: string) => join(dir, 'hosts', name),
    ovsdb: (name: string) => join(dir, 'hosts', name, 'db.sock'),
    vm: (name: string) => join(dir, 'vms', `${name}.json`),
  }
}
export type LabPaths = ReturnType<typeof labPaths>
