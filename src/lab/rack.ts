/**
 * Racks of a lab: hosts in turn behind two switches, each a physical network of its own, and a router that has a leg in
 * both. It forwards what reaches it and has no addresses: who makes a network over the racks gives it the gateways.
 *
 * Switches and router are one namespace: a bridge is a rack, and its own device the router's leg in it.
 */
import { inNamespace, ipBatch, run } from './exec.ts'
import { hostName, hostNamespace, UNDERLAY_MTU } from './names.ts'
import type { Lab, LabSpec } from './state.ts'
import { devicesIn, namespacesNow } from './substrate.ts'
import { bringUpTrunk, trunkPort } from './tor.ts'

/** The place of the racks' switches and of the router. */
export const ROUTER = 'router'

export interface LabRack {
  /** Also the device of the router in it. */
  readonly name: string
  readonly hosts: readonly string[]
}

const RACKS = 2

/** Pure. Topology `racks`: h1, h3, … in the first, h2, h4, … in the second. */
export const racksOf = ({ topology, hosts }: Pick<LabSpec, 'topology' | 'hosts'>): readonly LabRack[] =>
  topology === 'racks'
    ? Array.from({ length: RACKS }, (_, rack) => ({
        name: `rack${rack + 1}`,
        hosts: Array.from({ length: hosts }, (_, i) => hostName(i + 1)).filter((_, i) => i % RACKS === rack),
      }))
    : []

/** The physical network that a host is plugged into; null in other topologies. */
export const rackNetwork = (spec: Pick<LabSpec, 'topology' | 'hosts'>, host: string): string | null => {
  const rack = racksOf(spec).find(({ hosts }) => hosts.includes(host))
  return rack ? `physnet-${rack.name}` : null
}

/** Adds what is missing of the racks and of the cables to their hosts. */
export const bringUpRacks = async (lab: Lab): Promise<void> => {
  const racks = racksOf(lab.spec)
  if (racks.length === 0) return
  const ns = hostNamespace(lab.spec.name, ROUTER)
  if (!(await namespacesNow()).has(ns)) await ipBatch(null, [`netns add ${ns}`])
  await run(inNamespace(ns, ['sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1']))
  const devices = new Set(await devicesIn(ns))
  for (const { name, hosts } of racks) {
    if (!devices.has(name))
      await ipBatch(ns, ['link set lo up', `link add ${name} type bridge`, `link set ${name} mtu ${UNDERLAY_MTU} up`])
    for (const host of hosts) {
      await bringUpTrunk(lab, ROUTER, host)
      await ipBatch(ns, [`link set ${trunkPort(host)} master ${name}`])
    }
  }
}
