/**
 * Which networks have ports behind ToRs, as read from the database, and what each ToR should hold because of them. Pure.
 */
import { isDeepStrictEqual } from 'node:util'
import type { SpannedNetwork } from '#drivers/mechanism/vtep/want.ts'

/** A ToR as the configuration says it. */
export interface TorSetting {
  /** What operators call it; also the host of its agent. */
  readonly name: string
  /** `tcp:host:port`, `ssl:host:port` or `unix:/path` of its database. */
  readonly target: string
  /** Between it and its hosts. */
  readonly physicalNetwork: string
  /** `Physical_Switch.name` in its database. */
  readonly switch: string
  /** Physical port by the host it leads to. */
  readonly ports: Readonly<Record<string, string>>
}

/** Between the id of a network and the VNI of a segment that is not its first. */
export const NAME_AND_VNI = '.'
/** The network of a segment, by the segment's name. */
export const networkOf = (name: string): string => name.split(NAME_AND_VNI, 1)[0] ?? name

/** A VXLAN segment with at least one port behind a ToR, and all ports on it. */
export interface Span {
  /** Of its network. */
  readonly id: string
  /** What it is called at ToRs. */
  readonly name: string
  readonly vni: number
  readonly ports: readonly SpanPort[]
}

export interface SpanPort {
  /** Null: it is expected there, by a binding that is not active. */
  readonly mac: string | null
  readonly host: string
  /** Of the VLAN that carries it below a ToR; null: its host ends the tunnel itself. */
  readonly physical_network: string | null
  readonly vlan: number | null
  /** Of its host; null where that has none. */
  readonly tunnel_ip: string | null
}

/** The segments as the ToRs' planner wants them, in order of names. A port behind a ToR that nobody configured is left out. */
export function spannedNetworks(tors: readonly TorSetting[], spans: Iterable<Span>): SpannedNetwork[] {
  const byPhysicalNetwork = new Map(tors.map((tor) => [tor.physicalNetwork, tor]))
  return [...spans]
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, vni, ports }) => {
      const behind = ports.flatMap(({ physical_network, vlan }): [string, number][] => {
        const tor = byPhysicalNetwork.get(physical_network ?? '')
        return tor && vlan !== null ? [[tor.name, vlan]] : []
      })
      return {
        id: name,
        vni,
        vlans: Object.fromEntries(behind),
        ports: ports.flatMap((port) => placed(byPhysicalNetwork, port)),
      }
    })
}

function placed(tors: ReadonlyMap<string, TorSetting>, port: SpanPort): SpannedNetwork['ports'] {
  const { mac, host, physical_network, tunnel_ip } = port
  if (physical_network === null) return tunnel_ip === null ? [] : [{ mac, at: { tunnelIp: tunnel_ip } }]
  const tor = tors.get(physical_network)
  const leads = tor && Object.hasOwn(tor.ports, host) ? tor.ports[host] : undefined
  return tor && leads !== undefined ? [{ mac, at: { tor: tor.name, port: leads } }] : []
}

/** What of a change row is looked at. */
export interface Change {
  readonly kind: string
  readonly before: Readonly<Record<string, unknown>> | null
  readonly after: Readonly<Record<string, unknown>> | null
}

const OF_PORTS = ['mac_address', 'binding:host_id', 'binding:vif_type', 'binding:levels']

/**
 * The networks that changes make dirty, of all there are; `spans` are those known by now. May be too many, never too
 * few: what an image does not say is taken to concern us.
 */
export function dirtyNetworks(
  changes: readonly Change[],
  spans: ReadonlyMap<string, readonly Span[]>,
): ReadonlySet<string> {
  const dirty = new Set<string>()
  for (const { kind, before, after } of changes) {
    const images = [before, after].filter((image) => image !== null)
    if (kind === 'port') {
      const changed = !before || !after || OF_PORTS.some((name) => !isDeepStrictEqual(before[name], after[name]))
      for (const image of images) {
        const network = String(image['network_id'])
        // A write of a binding that waits is a change of its port, and may say nothing else.
        const expected = ((image['binding:inactive_hosts'] ?? []) as readonly unknown[]).length > 0
        if (expected || (changed && (spans.has(network) || isDeep(image['binding:levels'])))) dirty.add(network)
      }
    } else if (kind === 'segment') {
      // Bindings keep the segment they stand on when its VLAN is another; without one others may be called otherwise.
      const other = before && before['segmentation_id'] !== after?.['segmentation_id']
      const network = String(before?.['network_id'])
      if (other && spans.has(network)) dirty.add(network)
    } else if (kind === 'agent' && tunnelOf(before) !== tunnelOf(after)) {
      const hosts = new Set(images.map((image) => image['host']))
      for (const { id, ports } of [...spans.values()].flat())
        if (ports.some(({ host }) => hosts.has(host))) dirty.add(id)
    }
  }
  return dirty
}

const isDeep = (levels: unknown): boolean => !Array.isArray(levels) || levels.length > 1

const tunnelOf = (agent: Change['before']): unknown =>
  (agent?.['configurations'] as Readonly<Record<string, unknown>> | undefined)?.['tunneling_ip']
