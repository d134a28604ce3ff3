/**
 * What a hardware VTEP (a ToR) should hold, as plain data, and how it follows from where the ports of networks are.
 * Nothing here knows OVSDB.
 */

import { formatIp, parseIp } from '#kernel/ip.ts'

/** What one ToR should hold of ours; it is all of ours: what it does not name is taken away. */
export interface TorWant {
  readonly version: 1
  /** `Physical_Switch.name` in the ToR's database. */
  readonly switch: string
  readonly networks: readonly TorNetwork[]
}

export interface TorNetwork {
  /** The network's id; its logical switch is called `deuteron-<id>`. */
  readonly id: string
  /** VXLAN network identifier towards the other tunnel endpoints. */
  readonly vni: number
  /** Where its frames enter: the VLAN (0: untagged) on a physical port. */
  readonly bindings: readonly VlanBinding[]
  /** MAC addresses behind other endpoints. */
  readonly macs: readonly RemoteMac[]
  /** Tunnel addresses that get a copy of broadcast, multicast and unknown unicast frames. */
  readonly flood: readonly string[]
}

export interface VlanBinding {
  readonly port: string
  readonly vlan: number
}

export interface RemoteMac {
  readonly mac: string
  /** Tunnel address of the host or ToR it is behind. */
  readonly tunnelIp: string
}

/** Where a port of a network is: on a physical port of a ToR, or on a host that ends tunnels itself. */
export type Attachment =
  | { readonly tor: string; readonly port: string }
  | { readonly tor?: never; readonly tunnelIp: string }

/** A network, or one of its segments where it has several, of which at least one port is behind a ToR. */
export interface SpannedNetwork {
  readonly id: string
  readonly vni: number
  /** The VLAN that stands for it at each ToR: every ToR may have another. */
  readonly vlans: Readonly<Record<string, number>>
  readonly ports: readonly {
    /** Null: it is expected there (a live migration), and for now somewhere else. */
    readonly mac: string | null
    readonly at: Attachment
  }[]
}

/**
 * Pure. What the ToR called `tor` should hold. A network is there while a port of it is behind this ToR; its VLAN is
 * on the physical ports that lead to such ports and on no other; where a port is expected, all is made ready but its
 * MAC. `tunnelIps` holds the tunnel address of each ToR; a
 * port behind a ToR whose address is not known yet is left out, and reached when it is.
 */
export function wantOf(
  tor: string,
  tunnelIps: Readonly<Record<string, string>>,
  networks: readonly SpannedNetwork[],
): TorWant {
  return { version: 1, switch: tor, networks: networks.flatMap((network) => networkAt(tor, tunnelIps, network) ?? []) }
}

function networkAt(
  tor: string,
  tunnelIps: Readonly<Record<string, string>>,
  { id, vni, vlans, ports }: SpannedNetwork,
): TorNetwork | null {
  const vlan = vlans[tor]
  const here = new Set(ports.flatMap(({ at }) => (at.tor === tor ? [at.port] : [])))
  if (vlan === undefined || here.size === 0) return null
  const remote = ports.flatMap(({ mac, at }) => {
    const tunnelIp = at.tor === undefined ? at.tunnelIp : tunnelIps[at.tor]
    return at.tor === tor || tunnelIp === undefined ? [] : [{ mac, tunnelIp: canonical(tunnelIp) }]
  })
  const macs = remote.flatMap(({ mac, tunnelIp }): RemoteMac[] => (mac === null ? [] : [{ mac, tunnelIp }]))
  const bindings = [...here].toSorted().map((port) => ({ port, vlan }))
  return { id, vni, bindings, macs, flood: [...new Set(remote.map(({ tunnelIp }) => tunnelIp))].toSorted() }
}

/** An address in the one way of writing it (RFC 5952), so that texts can be compared; what is none stays. */
export function canonical(address: string): string {
  const ip = parseIp(address)
  return ip ? formatIp(ip) : address
}
