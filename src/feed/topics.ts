/**
 * The topics that connected hosts need, in memory: ports of hosts, networks with their bound ports, security groups,
 * members of remote groups, tunnel addresses. What no host needs is not kept.
 *
 * All synchronous. Changes come in as wants (keys to read), rows go in by `install`, and what may have changed for
 * each host comes out as marks. A mark is a hint: `lookup` says what a host is to have now, and the sender compares.
 * So correctness needs marks to be enough, not exact, and `lookup` and `keysOf` to be functions of the rows alone.
 */
import { isDeepStrictEqual } from 'node:util'
import { keyOf, splitKey, type WireKey } from '#wire/objects.ts'
import {
  type GroupRow,
  groupObject,
  hostOf,
  memberObject,
  type NetworkRow,
  neighborObject,
  networkObject,
  type PortRow,
  portObject,
  remotesOf,
} from './derive.ts'
import { createItem, type Item } from './item.ts'
import { createWants, type Wants } from './wants.ts'

export interface Loaded {
  readonly ports: ReadonlyMap<string, PortRow>
  readonly networks: ReadonlyMap<string, NetworkRow>
  readonly groups: ReadonlyMap<string, GroupRow>
  readonly chassis: ReadonlyMap<string, string | null>
}

interface PortEntry {
  readonly row: PortRow
  readonly host: string | null
  readonly port: Item<'port'>
  readonly neighbor: Item<'neighbor'> | null
  /** By group, made when first asked for; one map as long as the port's addresses stay the same. */
  readonly members: Map<string, Item<'group_member'>>
}
interface HostTopic {
  holders: number
  readonly ports: Map<string, PortEntry>
  networks: ReadonlySet<string>
  groups: ReadonlySet<string>
  /** Groups that rules of `groups` name as remote. */
  remotes: ReadonlySet<string>
}
interface NetworkTopic {
  readonly viewers: Set<string>
  readonly bound: Map<string, PortEntry>
  readonly hosts: Map<string, number> // how many of the bound ports each has
  item: Item<'network'> | null
}
interface GroupTopic {
  readonly viewers: Set<string>
  item: Item<'security_group'> | null
  remotes: ReadonlySet<string>
}
interface MembersTopic {
  readonly viewers: Set<string>
  readonly ports: Map<string, PortEntry>
}

const NONE: ReadonlySet<string> = new Set()

export class Topics {
  readonly #hosts = new Map<string, HostTopic>()
  readonly #networks = new Map<string, NetworkTopic>()
  readonly #groups = new Map<string, GroupTopic>()
  readonly #members = new Map<string, MembersTopic>()
  readonly #chassis = new Map<string, Item<'chassis'>>()
  readonly #ports = new Map<string, PortEntry>()
  readonly #touched = new Set<string>()
  #marks = new Map<string, Set<WireKey>>()
  #wants = createWants()

  hold(host: string): void {
    const topic = this.#hosts.get(host)
    if (topic) topic.holders++
    else {
      this.#hosts.set(host, { holders: 1, ports: new Map(), networks: NONE, groups: NONE, remotes: NONE })
      this.#wants.hosts.add(host)
    }
  }

  release(host: string): void {
    const topic = this.#hosts.get(host)
    if (!topic || --topic.holders > 0) return
    const ports = [...topic.ports.values()]
    topic.ports.clear()
    this.#review(host, topic)
    this.#hosts.delete(host)
    this.#marks.delete(host)
    ports.forEach((entry) => this.#forgetIfUseless(entry))
    if (this.#hosts.size === 0) this.#chassis.clear()
  }

  /** What a change may concern, as far as anyone needs it. */
  want(dirty: Wants): void {
    for (const id of dirty.ports) this.#wants.ports.add(id)
    for (const id of dirty.networks) if (this.#networks.has(id)) this.#wants.networks.add(id)
    for (const id of dirty.groups) if (this.#groups.has(id)) this.#wants.groups.add(id)
    for (const host of dirty.chassis) if (this.#chassis.has(host)) this.#wants.chassis.add(host)
  }

  /** Whether a port that is, or was, there matters to a connected host. */
  concerns(id: string, network: string, host: string, groups: readonly string[]): boolean {
    return this.#ports.has(id) || this.#matters(network, host === '' ? null : host, groups)
  }

  takeWants(): Wants | null {
    const wants = this.#wants
    if (Object.values(wants).every((set) => set.size === 0)) return null
    this.#wants = createWants()
    return wants
  }

  /** `wants` names what was asked for: what is asked for and not loaded does not exist. */
  install(wants: Wants, loaded: Loaded): void {
    for (const id of wants.ports) if (!loaded.ports.has(id)) this.#replacePort(id, null)
    for (const [id, row] of loaded.ports) this.#replacePort(id, row)
    for (const id of wants.networks) this.#replaceNetwork(id, loaded.networks.get(id) ?? null)
    for (const id of wants.groups) this.#replaceGroup(id, loaded.groups.get(id) ?? null)
    for (const host of wants.chassis) this.#replaceChassis(host, loaded.chassis.get(host) ?? null)
    for (const host of this.#touched) {
      const topic = this.#hosts.get(host)
      if (topic) this.#review(host, topic)
    }
    this.#touched.clear()
  }

  takeMarks(): ReadonlyMap<string, ReadonlySet<WireKey>> {
    const marks = this.#marks
    this.#marks = new Map()
    return marks
  }

  /** What `host` is to have under `key` now, or null. */
  lookup(host: string, key: WireKey): Item | null {
    const topic = this.#hosts.get(host)
    if (!topic) return null
    const { type, id } = splitKey(key)
    switch (type) {
      case 'port':
        return topic.ports.get(id)?.port ?? null
      case 'network':
        return topic.networks.has(id) ? (this.#networks.get(id)?.item ?? null) : null
      case 'neighbor': {
        // As the network's own read says: a port known by its group may have left by then.
        const network = this.#ports.get(id)?.row.network_id ?? ''
        const entry = topic.networks.has(network) && this.#networks.get(network)?.bound.get(id)
        return entry && entry.host !== host ? entry.neighbor : null
      }
      case 'chassis': {
        const near = id !== host && [...topic.networks].some((network) => this.#networks.get(network)?.hosts.has(id))
        return near ? (this.#chassis.get(id) ?? null) : null
      }
      case 'security_group':
        return topic.groups.has(id) ? (this.#groups.get(id)?.item ?? null) : null
      case 'group_member': {
        const [group = '', port = ''] = id.split(':')
        const entry = topic.remotes.has(group) ? this.#members.get(group)?.ports.get(port) : undefined
        return entry ? memberItem(entry, group) : null
      }
      default:
        return null
    }
  }

  /** Every key that `lookup` answers for `host`. */
  keysOf(host: string): ReadonlySet<WireKey> {
    const keys = new Set<WireKey>()
    const topic = this.#hosts.get(host)
    if (!topic) return keys
    for (const id of topic.ports.keys()) keys.add(keyOf('port', id))
    for (const id of topic.networks) for (const key of this.#networkKeys(id)) keys.add(key)
    for (const id of topic.groups) keys.add(keyOf('security_group', id))
    for (const id of topic.remotes) for (const key of this.#memberKeys(id)) keys.add(key)
    for (const key of keys) if (!this.lookup(host, key)) keys.delete(key)
    return keys
  }

  portRow(id: string): PortRow | null {
    return this.#ports.get(id)?.row ?? null
  }

  #mark(hosts: Iterable<string>, keys: Iterable<WireKey>): void {
    const all = [...keys]
    for (const host of hosts) {
      const marks = this.#marks.get(host) ?? new Set()
      this.#marks.set(host, marks)
      for (const key of all) marks.add(key)
    }
  }

  #matters(network: string, host: string | null, groups: readonly string[]): boolean {
    if (host !== null && (this.#hosts.has(host) || this.#networks.has(network))) return true
    return groups.some((group) => this.#members.has(group))
  }

  #replacePort(id: string, row: PortRow | null): void {
    const before = this.#ports.get(id)
    const after =
      row && this.#matters(row.network_id, hostOf(row), row.security_group_ids) ? entryOf(row, before) : null
    if (after) this.#ports.set(id, after)
    else this.#ports.delete(id)
    this.#moveHost(id, before, after)
    this.#moveNetwork(id, before, after)
    this.#moveMembership(id, before, after)
  }

  #moveHost(id: string, before: PortEntry | undefined, after: PortEntry | null): void {
    if (before?.host) this.#hosts.get(before.host)?.ports.delete(id)
    if (after?.host) this.#hosts.get(after.host)?.ports.set(id, after)
    for (const host of new Set([before?.host, after?.host])) {
      if (!host || !this.#hosts.has(host)) continue
      this.#mark([host], [keyOf('port', id)])
      this.#touched.add(host)
    }
  }

  #moveNetwork(id: string, before: PortEntry | undefined, after: PortEntry | null): void {
    // A port never changes its network; a dropped one made again under its id may, and both may come in one read.
    for (const network of new Set([before?.row.network_id, after?.row.network_id])) {
      const topic = network === undefined ? undefined : this.#networks.get(network)
      if (!topic) continue
      const was = topic.bound.get(id)
      const is = after?.row.network_id === network && after?.neighbor ? after : null
      if (is) topic.bound.set(id, is)
      else topic.bound.delete(id)
      if (was?.neighbor !== is?.neighbor) this.#mark(topic.viewers, [keyOf('neighbor', id)])
      if (was?.host === is?.host) continue
      if (was?.host) this.#countHost(topic, was.host, -1)
      if (is?.host) this.#countHost(topic, is.host, 1)
    }
  }

  #countHost(topic: NetworkTopic, host: string, step: 1 | -1): void {
    const count = (topic.hosts.get(host) ?? 0) + step
    if (count === 0) topic.hosts.delete(host)
    else topic.hosts.set(host, count)
    if (count === 0 || count === step) this.#mark(topic.viewers, [keyOf('chassis', host)])
    if (this.#chassis.has(host)) return
    this.#chassis.set(host, createItem('chassis', { id: host, tunnel_ip: null }))
    this.#wants.chassis.add(host)
  }

  #moveMembership(id: string, before: PortEntry | undefined, after: PortEntry | null): void {
    const groups = new Set([...(before?.row.security_group_ids ?? []), ...(after?.row.security_group_ids ?? [])])
    for (const group of groups) {
      const topic = this.#members.get(group)
      if (!topic) continue
      const was = topic.ports.get(id)?.members
      const is = after?.row.security_group_ids.includes(group) ? after : null
      if (is) topic.ports.set(id, is)
      else topic.ports.delete(id)
      if (was !== is?.members) this.#mark(topic.viewers, [keyOf('group_member', `${group}:${id}`)])
    }
  }

  #replaceNetwork(id: string, row: NetworkRow | null): void {
    const topic = this.#networks.get(id)
    if (!topic) return
    topic.item = row && createItem('network', networkObject(row))
    this.#mark(topic.viewers, [keyOf('network', id)])
  }

  #replaceGroup(id: string, row: GroupRow | null): void {
    const topic = this.#groups.get(id)
    if (!topic) return
    topic.item = row && createItem('security_group', groupObject(row))
    topic.remotes = topic.item ? remotesOf(topic.item.object) : NONE
    this.#mark(topic.viewers, [keyOf('security_group', id)])
    for (const host of topic.viewers) this.#touched.add(host)
  }

  #replaceChassis(host: string, tunnel_ip: string | null): void {
    this.#chassis.set(host, createItem('chassis', { id: host, tunnel_ip }))
    for (const topic of this.#networks.values())
      if (topic.hosts.has(host)) this.#mark(topic.viewers, [keyOf('chassis', host)])
  }

  /** Follows from a host's ports to its networks and groups, and from their rules to remote groups. */
  #review(host: string, topic: HostTopic): void {
    const rows = [...topic.ports.values()].map(({ row }) => row)
    const networks = new Set(rows.map(({ network_id }) => network_id))
    const groups = new Set(rows.flatMap(({ security_group_ids }) => security_group_ids))
    const was = { networks: topic.networks, groups: topic.groups, remotes: topic.remotes }
    topic.networks = networks
    topic.groups = groups
    for (const id of without(networks, was.networks)) this.#viewNetwork(host, id)
    for (const id of without(groups, was.groups)) this.#viewGroup(host, id)
    const remotes = new Set([...groups].flatMap((id) => [...(this.#groups.get(id)?.remotes ?? NONE)]))
    topic.remotes = remotes
    for (const id of without(remotes, was.remotes)) this.#viewMembers(host, id)
    for (const id of without(was.remotes, remotes)) this.#leaveMembers(host, id)
    for (const id of without(was.groups, groups)) this.#leaveGroup(host, id)
    for (const id of without(was.networks, networks)) this.#leaveNetwork(host, id)
  }

  #viewNetwork(host: string, id: string): void {
    const topic = this.#networks.get(id) ?? { viewers: new Set(), bound: new Map(), hosts: new Map(), item: null }
    if (!this.#networks.has(id)) {
      this.#networks.set(id, topic)
      this.#wants.networks.add(id)
      this.#wants.boundTo.add(id)
    }
    topic.viewers.add(host)
    this.#mark([host], this.#networkKeys(id))
  }

  #viewGroup(host: string, id: string): void {
    const topic = this.#groups.get(id) ?? { viewers: new Set(), item: null, remotes: NONE }
    if (!this.#groups.has(id)) {
      this.#groups.set(id, topic)
      this.#wants.groups.add(id)
    }
    topic.viewers.add(host)
    this.#mark([host], [keyOf('security_group', id)])
  }

  #viewMembers(host: string, id: string): void {
    const topic = this.#members.get(id) ?? { viewers: new Set(), ports: new Map() }
    if (!this.#members.has(id)) {
      this.#members.set(id, topic)
      this.#wants.membersOf.add(id)
    }
    topic.viewers.add(host)
    this.#mark([host], this.#memberKeys(id))
  }

  #leaveNetwork(host: string, id: string): void {
    this.#mark([host], this.#networkKeys(id))
    const topic = this.#networks.get(id)
    topic?.viewers.delete(host)
    if (!topic || topic.viewers.size > 0) return
    this.#networks.delete(id)
    for (const entry of topic.bound.values()) this.#forgetIfUseless(entry)
  }

  #leaveGroup(host: string, id: string): void {
    this.#mark([host], [keyOf('security_group', id)])
    const topic = this.#groups.get(id)
    topic?.viewers.delete(host)
    if (topic?.viewers.size === 0) this.#groups.delete(id)
  }

  #leaveMembers(host: string, id: string): void {
    this.#mark([host], this.#memberKeys(id))
    const topic = this.#members.get(id)
    topic?.viewers.delete(host)
    if (!topic || topic.viewers.size > 0) return
    this.#members.delete(id)
    for (const entry of topic.ports.values()) this.#forgetIfUseless(entry)
  }

  #forgetIfUseless({ row, host }: PortEntry): void {
    if (!this.#matters(row.network_id, host, row.security_group_ids)) this.#ports.delete(row.id)
  }

  #networkKeys(id: string): WireKey[] {
    const topic = this.#networks.get(id)
    const neighbors = [...(topic?.bound.keys() ?? [])].map((port) => keyOf('neighbor', port))
    const chassis = [...(topic?.hosts.keys() ?? [])].map((host) => keyOf('chassis', host))
    return [keyOf('network', id), ...neighbors, ...chassis]
  }

  #memberKeys(id: string): WireKey[] {
    return [...(this.#members.get(id)?.ports.keys() ?? [])].map((port) => keyOf('group_member', `${id}:${port}`))
  }
}

/** Keeps the bytes of what did not change: a port's status changes more often than its addresses. */
function entryOf(row: PortRow, before: PortEntry | undefined): PortEntry {
  const host = hostOf(row)
  const [port, neighbor] = [portObject(row), host === null ? null : neighborObject(row, host)]
  const same = before && isDeepStrictEqual(before.port.object, port) ? before.port : null
  const sameNeighbor = neighbor && isDeepStrictEqual(before?.neighbor?.object, neighbor) ? before?.neighbor : null
  return {
    row,
    host,
    port: same ?? createItem('port', port),
    neighbor: sameNeighbor ?? (neighbor && createItem('neighbor', neighbor)),
    members: before && isDeepStrictEqual(addressesOf(before.row), addressesOf(row)) ? before.members : new Map(),
  }
}

const addressesOf = ({ fixed_ips, allowed_address_pairs }: PortRow): unknown => [fixed_ips, allowed_address_pairs]

/** What is in `a` and not in `b`. */
const without = (a: ReadonlySet<string>, b: ReadonlySet<string>): string[] => [...a].filter((one) => !b.has(one))

function memberItem(entry: PortEntry, group: string): Item<'group_member'> {
  const known = entry.members.get(group)
  if (known) return known
  const item = createItem('group_member', memberObject(entry.row, group))
  entry.members.set(group, item)
  return item
}
