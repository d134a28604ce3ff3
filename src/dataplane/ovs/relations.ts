/**
 * What the world says between the lines: derived facts that flows depend on, kept up to date key by key.
 *
 * A flood list depends on *which hosts* have ports of a network, not on each of ten thousand neighbours; a port
 * depends on a security group's *shape*, not on each of its rules. `update` answers the names of the facts that
 * changed, so that exactly what read them is compiled again.
 */
import { type SecurityGroupObject, type SegmentObject, splitKey, type WireKey, type World } from '#wire/objects.ts'

/** What a port must know of its groups; the rules themselves are the group's own flows. */
export interface GroupShape {
  readonly stateful: boolean
  /** Groups named as remote, sorted. */
  readonly ingressRemotes: readonly string[]
  readonly egressRemotes: readonly string[]
}

/** Another host that has ports of a network, bound on these segments. */
export interface RemoteHost {
  readonly host: string
  readonly segment_ids: readonly string[]
}

export interface Relations {
  /** Reads `key` from `world` and answers the names of changed facts, `key` itself first. */
  update(world: World, key: WireKey): readonly string[]
  /** Ports that are on this host, of a network and with this last segment ('': not said), sorted. */
  portsOf(network: string, bottom: string): readonly string[]
  /** Ports of a network that are on this host or expected there. */
  allIn(network: string): readonly string[]
  /** Other hosts that have ports of a network, sorted. */
  hostsOf(network: string): readonly RemoteHost[]
  /** Undefined when the network is not in the world. */
  segmentsOf(network: string): readonly SegmentObject[] | undefined
  /** The segments that bindings of a network's ports here stand on, and wires served here, each once, sorted: ids with a space between; '' where they do not say. */
  chainsIn(network: string): readonly string[]
  /** Null when the group is not in the world. */
  shapeOf(group: string): GroupShape | null
  /** The network is in the world and administratively up. */
  networkUp(network: string): boolean
}

export const fact = {
  portsOf: (network: string, bottom: string): string => `ports-of/${network} ${bottom}`,
  segmentsOf: (network: string): string => `segments-of/${network}`,
  chainsIn: (network: string): string => `chains-in/${network}`,
  hostsOf: (network: string): string => `hosts-of/${network}`,
  shapeOf: (group: string): string => `shape-of/${group}`,
  networkUp: (network: string): string => `up/${network}`,
} as const

export function createRelations(self: string): Relations {
  const ports = createPlaces()
  const segments = new Map<string, { readonly text: string; readonly list: readonly SegmentObject[] }>()
  const hosts = createBag()
  const shapes = new Map<string, GroupShape>()
  const up = new Set<string>()

  const updateNeighbor = (world: World, id: string): string[] => {
    const neighbor = world.neighbor.get(id)
    const elsewhere = neighbor && neighbor.host !== self ? neighbor : undefined
    const value = `${elsewhere?.segment_ids.join(',') ?? ''} ${elsewhere?.host ?? ''}`
    return hosts.put(id, elsewhere?.network_id, value).map(fact.hostsOf)
  }

  const updateGroup = (world: World, id: string): string[] => {
    const group = world.security_group.get(id)
    const before = JSON.stringify(shapes.get(id))
    if (group) shapes.set(id, shape(group))
    else shapes.delete(id)
    return before === JSON.stringify(shapes.get(id)) ? [] : [fact.shapeOf(id)]
  }

  const updateNetwork = (world: World, id: string): string[] => {
    const network = world.network.get(id)
    const [wasUp, before] = [up.has(id), segments.get(id)?.text]
    if (network?.admin_state_up) up.add(id)
    else up.delete(id)
    if (network) segments.set(id, { text: JSON.stringify(network.segments), list: network.segments })
    else segments.delete(id)
    return [
      ...(wasUp === up.has(id) ? [] : [fact.networkUp(id)]),
      ...(before === segments.get(id)?.text ? [] : [fact.segmentsOf(id)]),
    ]
  }

  const updaters = {
    port: ports.update,
    neighbor: updateNeighbor,
    security_group: updateGroup,
    network: updateNetwork,
    chassis: () => [],
    router: () => [],
    group_member: () => [],
    dhcp_client: ports.updateClient,
  }
  return {
    update: (world, key) => {
      const { type, id } = splitKey(key)
      return [key, ...updaters[type](world, id)]
    },
    portsOf: ports.portsOf,
    allIn: ports.allIn,
    hostsOf: (network) => hosts.list(network).map(remoteHost),
    segmentsOf: (network) => segments.get(network)?.list,
    chainsIn: ports.chainsIn,
    shapeOf: (group) => shapes.get(group) ?? null,
    networkUp: (network) => up.has(network),
  }
}

/** Where the ports of this host are: in which networks, on which segments. */
function createPlaces() {
  const ports = createBag()
  const all = createBag()
  const chains = createBag()
  const update = (world: World, id: string): string[] => {
    const port = world.port.get(id)
    const chain = port?.segment_ids.join(' ') ?? ''
    const bottom = port?.segment_ids.at(-1) ?? ''
    all.put(id, port?.network_id, id)
    // One that has just left and does not say where it was opens no domain.
    const opens = port && (port.active || chain !== '')
    return [
      ...ports
        .put(id, port?.active ? `${port.network_id} ${bottom}` : undefined, id)
        .map((owner) => `ports-of/${owner}`),
      ...chains.put(id, opens ? port.network_id : undefined, chain).map(fact.chainsIn),
    ]
  }
  const served = new Map<string, readonly string[]>()
  /** A segment on whose wire somebody is served is open here as one with ports is. */
  const updateClient = (world: World, id: string): string[] => {
    const client = world.dhcp_client.get(id)
    const [before, now] = [served.get(id) ?? [], client?.segment_ids ?? []]
    if (client) served.set(id, now)
    else served.delete(id)
    const owner = (segment: string) => (now.includes(segment) ? client?.network_id : undefined)
    const changed = [...before, ...now].flatMap((segment) => chains.put(`${id} ${segment}`, owner(segment), segment))
    return [...new Set(changed)].map(fact.chainsIn)
  }
  return {
    update,
    updateClient,
    portsOf: (network: string, bottom: string) => ports.list(`${network} ${bottom}`),
    allIn: all.list,
    chainsIn: chains.list,
  }
}

function remoteHost(value: string): RemoteHost {
  const space = value.indexOf(' ')
  return {
    host: value.slice(space + 1),
    segment_ids: value
      .slice(0, space)
      .split(',')
      .filter((id) => id !== ''),
  }
}

const shape = ({ stateful, rules }: SecurityGroupObject): GroupShape => {
  const remotes = (direction: string): string[] =>
    [
      ...new Set(rules.flatMap((r) => (r.direction === direction && r.remote_group_id ? [r.remote_group_id] : []))),
    ].sort()
  return { stateful, ingressRemotes: remotes('ingress'), egressRemotes: remotes('egress') }
}

/** Values by owner, counted by member: a list changes only when its set of distinct values does. */
function createBag() {
  const members = new Map<string, { readonly owner: string; readonly value: string }>()
  const counts = new Map<string, Map<string, number>>()

  const count = (owner: string, value: string, step: 1 | -1): boolean => {
    const values = counts.get(owner) ?? new Map<string, number>()
    const before = values.get(value) ?? 0
    if (before + step === 0) values.delete(value)
    else values.set(value, before + step)
    if (values.size === 0) counts.delete(owner)
    else counts.set(owner, values)
    return before === 0 || before + step === 0
  }

  return {
    /** Puts or, without an owner, takes away; answers the owners whose list changed. */
    put: (member: string, owner: string | undefined, value: string): string[] => {
      const before = members.get(member)
      if (before?.owner === owner && before?.value === value) return []
      const changed = new Set<string>()
      if (before && count(before.owner, before.value, -1)) changed.add(before.owner)
      if (owner === undefined) members.delete(member)
      else {
        members.set(member, { owner, value })
        if (count(owner, value, 1)) changed.add(owner)
      }
      return [...changed]
    },
    list: (owner: string): readonly string[] => [...(counts.get(owner)?.keys() ?? [])].sort(),
  }
}
