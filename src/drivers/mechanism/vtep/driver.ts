/**
 * Carries a VXLAN network to hosts below a ToR: level 0 is the tunnel, which the ToR ends, level 1 a VLAN of the
 * physical network between that ToR and its hosts. Another driver binds the port on the VLAN.
 *
 * A host is below a ToR when its agents map the ToR's physical network and the ToR names a port that leads to it.
 */
import type { BindingAnswer, BindingFacts, BoundAgent, MechanismDriver, Wish } from '#core/contracts.ts'

/** Of the rows by which ToRs are known, as agents of their own: `host` is the ToR's name. */
export const TOR_AGENT = 'Hardware VTEP agent'

/** What such a row's configurations say. */
export interface TorConfigurations {
  /** Between the ToR and its hosts; its VLANs mean nothing elsewhere. */
  readonly physical_network: string
  /** Its tunnel address; null while its database was never seen. */
  readonly tunnel_ip: string | null
  /** `Physical_Switch.name` in its database. */
  readonly switch: string
  /** Physical port by the host it leads to. */
  readonly ports: Readonly<Record<string, string>>
  /** False: it was taken out of the settings and keeps what it holds. */
  readonly configured: boolean
  /** VLANs that somebody else uses on one of these ports, as inclusive ranges. */
  readonly foreign_vlans: readonly (readonly [first: number, last: number])[]
}

/** Where agents say which physical networks they are plugged into. */
const MAPPINGS = ['bridge_mappings', 'interface_mappings', 'device_mappings'] as const

export const vtepDriver: MechanismDriver = {
  name: 'vtep',
  connectivity: 'l2',
  bind({ host, level, segment, agents, tors }: BindingFacts): BindingAnswer {
    const { network_type } = segment
    if (level > 0 || network_type !== 'vxlan')
      return { refused: 'segment_type_unsupported', facts: { level, network_type, supported: 'vxlan at level 0' } }
    const mapped = [...new Set(agents.flatMap(physicalNetworksOf))].sort()
    const above = tors.filter((tor) => mapped.includes(torOf(tor).physical_network))
    const leading = above.filter((tor) => Object.hasOwn(torOf(tor).ports, host))
    const [tor = null] = leading.toSorted((a, b) => Number(b.alive) - Number(a.alive))
    if (!tor) return { refused: 'tor_absent', facts: absence(host, mapped, above, tors) }
    if (!torOf(tor).configured) return { refused: 'tor_not_configured', facts: unreachable(tor) }
    if (!tor.alive) return { refused: 'tor_unreachable', facts: unreachable(tor) }
    return { next: [vlanAt(tor)] }
  },
}

/** Any VLAN of the ToR's, but those that are somebody else's there. */
function vlanAt(tor: BoundAgent): Wish {
  const { physical_network, foreign_vlans } = torOf(tor)
  return { network_type: 'vlan', physical_network, ...(foreign_vlans.length > 0 && { without: foreign_vlans }) }
}

/** With a port for everything, so that a row that somebody wrote by hand does no harm. */
function torOf({ configurations }: BoundAgent): TorConfigurations {
  const {
    physical_network,
    tunnel_ip,
    switch: name,
    ports,
    configured,
    foreign_vlans,
  } = configurations as Partial<TorConfigurations>
  return {
    physical_network: physical_network ?? '',
    tunnel_ip: tunnel_ip ?? null,
    switch: name ?? '',
    ports: ports ?? {},
    configured: configured ?? true,
    foreign_vlans: foreign_vlans ?? [],
  }
}

const physicalNetworksOf = ({ configurations }: BoundAgent): string[] =>
  MAPPINGS.flatMap((name) => Object.keys((configurations[name] ?? {}) as Readonly<Record<string, unknown>>))

/** No ToR has a physical network of the host's though one has a port to it; or one has, and knows no port to it; or neither. */
const absence = (
  host: string,
  mapped: readonly string[],
  above: readonly BoundAgent[],
  tors: readonly BoundAgent[],
) => ({
  host,
  mapped,
  tors: Object.fromEntries(tors.map((tor) => [tor.host, torOf(tor).physical_network])),
  without_port_to_host: above.map((tor) => tor.host),
  without_mapping: Object.fromEntries(
    tors
      .filter((tor) => !above.includes(tor) && Object.hasOwn(torOf(tor).ports, host))
      .map((tor) => [tor.host, torOf(tor).physical_network]),
  ),
})

const unreachable = ({ host, heartbeat_timestamp, configurations }: BoundAgent) => ({
  tor: host,
  last_heartbeat: heartbeat_timestamp,
  unreachable: configurations['unreachable'] ?? null,
})
