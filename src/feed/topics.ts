/**
 * The topics that connected hosts need, in memory: ports of hosts, networks with their bound ports, security groups,
 * members of remote groups, routers, tunnel addresses. What no host needs is not kept.
 *
 * All synchronous. Changes come in as wants (keys to read), rows go in by `install`, and what may have changed for
 * each host comes out as marks. A mark is a hint: `lookup` says what a host is to have now, and the sender compares.
 * So correctness needs marks to be enough, not exact, and `lookup` and `keysOf` to be functions of the rows alone.
 */
import { keyOf, splitKey, type WireKey } from '#wire/objects.ts'
import {
  clientObject,
  type GroupRow,
  hostsOf,
  type NetworkRow,
  type PortRow,
  type RouterRow,
  wiresOf,
} from './derive.ts'
import type { Item } from './item.ts'
import { Marks } from './marks.ts'
import { ClientTopics } from './topic-clients.ts'
import { entryOf, type PortEntry, portItemFor } from './port-entry.ts'
import { GroupTopics } from './topic-groups.ts'
import { Relation } from './relation.ts'
import { NetworkTopics } from './topic-networks.ts'
import { RouterTopics } from './topic-routers.ts'
import { createWants, type Wants } from './wants.ts'

export interface Loaded {
  readonly ports: ReadonlyMap<string, PortRow>
  readonly networks: ReadonlyMap<string, NetworkRow>
  readonly routers: ReadonlyMap<string, RouterRow>
  readonly groups: ReadonlyMap<string, GroupRow>
  readonly chassis: ReadonlyMap<string, string | null>
}

interface HostTopic {
  holders: number
  readonly ports: Map<string, PortEntry>
  networks: ReadonlySet<string>
  groups: ReadonlySet<string>
  /** Groups that rules of `groups` name as remote. */
  remotes: ReadonlySet<string>
}

const NONE: ReadonlySet<string> = new Set()

export class Topics {
  readonly #marks = new Marks()
  readonly #networks = new NetworkTopics(this.#marks, (host) => this.#wants.chassis.add(host))
  readonly #groups = new GroupTopics(this.#marks)
  readonly #routers = new RouterTopics()
  readonly #clients = new ClientTopics(this.#marks)
  /** Networks whose DHCP connected hosts serve, whether they have ports of them or not. */
  readonly #served = new Relation()
  readonly #hosts = new Map<string, HostTopic>()
  readonly #ports = new Map<string, PortEntry>()
  /** Hosts to be reviewed. */
  readonly #touched = new Set<string>()
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
    const ports = [...topic.ports.values(), ...this.#clients.release(host)]
    topic.ports.clear()
    for (const id of this.#served.leftsOf(host))
      this.#served.put(id, without(this.#served.rightsOf(id), new Set([host])))
    this.#review(host, topic)
    this.#hosts.delete(host)
    this.#marks.forget(host)
    this.#forgetUseless(ports)
    this.#forgetRouters(this.#routers.at(host))
    if (this.#hosts.size === 0) this.#networks.forgetChassis()
  }

  /** What a change may concern, as far as anyone needs it. */
  want(dirty: Wants): void {
    for (const id of dirty.ports) this.#wants.ports.add(id)
    for (const id of dirty.networks) if (this.#networks.has(id)) this.#wants.networks.add(id)
    for (const id of dirty.groups) if (this.#groups.has(id)) this.#wants.groups.add(id)
    if (this.#hosts.size > 0) {
      for (const id of dirty.served) this.#wants.networks.add(id)
      for (const id of dirty.routers) this.#wants.routers.add(id)
      for (const host of dirty.remapped) this.#wants.remapped.add(host)
    }
    if (!this.#groups.empty) for (const id of dirty.addressGroups) this.#wants.addressGroups.add(id)
    for (const host of dirty.chassis) if (this.#networks.hasChassis(host)) this.#wants.chassis.add(host)
  }

  /** Whether a port that is, or was, there matters to a connected host. */
  concerns(id: string, network: string, hosts: readonly string[], groups: readonly string[]): boolean {
    return this.#ports.has(id) || this.#matters(network, hosts, groups, hosts.length === 0)
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
    for (const id of new Set([...wants.networks, ...loaded.networks.keys()]))
      this.#replaceNetwork(id, loaded.networks.get(id) ?? null)
    for (const id of new Set([...wants.routers, ...loaded.routers.keys()]))
      this.#replaceRouter(id, loaded.routers.get(id) ?? null)
    for (const id of new Set([...wants.groups, ...loaded.groups.keys()])) {
      for (const host of this.#groups.replace(id, loaded.groups.get(id) ?? null)) this.#touched.add(host)
    }
    for (const host of wants.chassis) this.#networks.replaceChassis(host, loaded.chassis.get(host) ?? null)
    for (const host of this.#touched) {
      const topic = this.#hosts.get(host)
      if (topic) this.#review(host, topic)
    }
    this.#touched.clear()
  }

  takeMarks(): ReadonlyMap<string, ReadonlySet<WireKey>> {
    return this.#marks.take()
  }

  /** What `host` is to have under `key` now, or null. */
  lookup(host: string, key: WireKey): Item | null {
    const topic = this.#hosts.get(host)
    if (!topic) return null
    const { type, id } = splitKey(key)
    switch (type) {
      case 'port':
        return this.#portFor(host, topic.ports.get(id))
      case 'network':
        return topic.networks.has(id) ? this.#networks.item(id) : null
      case 'neighbor': {
        const network = this.#ports.get(id)?.row.network_id ?? ''
        return topic.networks.has(network) ? this.#networks.neighbor(network, id, host) : null
      }
      case 'chassis':
        return id === host ? null : this.#networks.chassis(id, topic.networks)
      case 'security_group':
        return topic.groups.has(id) ? this.#groups.item(id) : null
      case 'group_member': {
        const [group = '', port = ''] = id.split(':')
        return topic.remotes.has(group) ? this.#groups.member(group, port) : null
      }
      case 'router':
        return this.#hasRouter(host, topic, id) ? this.#routers.item(id) : null
      case 'dhcp_client':
        return this.#clients.lookup(host, this.#ports.get(id))
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
    for (const id of this.#routers.at(host)) keys.add(keyOf('router', id))
    for (const id of topic.networks)
      for (const key of [...this.#networks.keysOf(id), ...this.#routers.keysBehind(id), ...this.#clients.keysOf(id)])
        keys.add(key)
    for (const id of topic.groups) keys.add(keyOf('security_group', id))
    for (const id of topic.remotes) for (const key of this.#groups.memberKeys(id)) keys.add(key)
    for (const key of keys) if (!this.lookup(host, key)) keys.delete(key)
    return keys
  }

  portRow(id: string): PortRow | null {
    return this.#ports.get(id)?.row ?? null
  }

  networkRow(id: string): NetworkRow | null {
    return this.#networks.row(id)
  }

  routerRow(id: string): RouterRow | null {
    return this.#routers.row(id)
  }

  #hasRouter(host: string, { networks }: HostTopic, id: string): boolean {
    return this.#routers.at(host).has(id) || [...this.#routers.networksOf(id)].some((network) => networks.has(network))
  }

  #replaceNetwork(id: string, row: NetworkRow | null): void {
    const hosts = (row?.served_on ?? []).filter((host) => this.#hosts.has(host))
    for (const host of this.#served.put(id, hosts)) this.#touched.add(host)
    const wires = wiresOf(row).filter(({ host }) => this.#hosts.has(host))
    const { read, left } = this.#clients.replace(id, wires)
    if (read) this.#wants.clientsOf.add(id)
    this.#forgetUseless(left)
    this.#networks.replace(id, row)
  }

  #replaceRouter(id: string, row: RouterRow | null): void {
    const concerned = (): string[] => [
      ...[...this.#routers.hostsOf(id)].filter((host) => this.#hosts.has(host)),
      ...[...this.#routers.networksOf(id)].flatMap((network) => [...this.#networks.viewers(network)]),
    ]
    const before = concerned()
    this.#routers.replace(id, row)
    this.#marks.add(new Set([...before, ...concerned()]), [keyOf('router', id)])
    this.#forgetRouters([id])
  }

  #forgetRouters(ids: Iterable<string>): void {
    for (const id of ids) {
      const placed = [...this.#routers.hostsOf(id)].some((host) => this.#hosts.has(host))
      const viewed = [...this.#routers.networksOf(id)].some((network) => this.#networks.has(network))
      if (!placed && !viewed) this.#routers.replace(id, null)
    }
  }

  #portFor(host: string, entry: PortEntry | undefined): Item<'port'> | null {
    return entry ? portItemFor(entry, host) : null
  }

  /** `client`: no switch carries it. */
  #matters(network: string, hosts: readonly string[], groups: readonly string[], client: boolean): boolean {
    if (client && this.#clients.has(network)) return true
    if (hosts.length > 0 && this.#networks.has(network)) return true
    if (hosts.some((host) => this.#hosts.has(host))) return true
    return groups.some((group) => this.#groups.hasMembers(group))
  }

  #mattersNow(row: PortRow): boolean {
    return this.#matters(row.network_id, hostsOf(row), row.security_group_ids, clientObject(row, []) !== null)
  }

  #replacePort(id: string, row: PortRow | null): void {
    const before = this.#ports.get(id)
    const after = row && this.#mattersNow(row) ? entryOf(row, before) : null
    if (after) this.#ports.set(id, after)
    else this.#ports.delete(id)
    this.#moveHosts(id, before, after)
    this.#networks.movePort(id, before, after)
    this.#groups.movePort(id, before, after)
    this.#clients.movePort(id, before, after)
  }

  #moveHosts(id: string, before: PortEntry | undefined, after: PortEntry | null): void {
    const [was, is] = [before?.hosts ?? [], after?.hosts ?? []]
    for (const host of was) this.#hosts.get(host)?.ports.delete(id)
    if (after) for (const host of is) this.#hosts.get(host)?.ports.set(id, after)
    for (const host of new Set([...was, ...is])) {
      if (!this.#hosts.has(host)) continue
      this.#marks.add([host], [keyOf('port', id)])
      this.#touched.add(host)
    }
  }

  /** Follows from a host's ports and what it serves to its networks and groups, and from their rules to remote groups. */
  #review(host: string, topic: HostTopic): void {
    const rows = [...topic.ports.values()].map(({ row }) => row)
    const networks = new Set([...this.#served.leftsOf(host), ...rows.map(({ network_id }) => network_id)])
    const groups = new Set(rows.flatMap(({ security_group_ids }) => security_group_ids))
    const was = { networks: topic.networks, groups: topic.groups, remotes: topic.remotes }
    topic.networks = networks
    topic.groups = groups
    for (const id of without(networks, was.networks)) this.#viewNetwork(host, id)
    for (const id of without(groups, was.groups)) if (this.#groups.view(host, id)) this.#wants.groups.add(id)
    const remotes = new Set([...groups].flatMap((id) => [...this.#groups.remotesOf(id)]))
    topic.remotes = remotes
    for (const id of without(remotes, was.remotes))
      if (this.#groups.viewMembers(host, id)) this.#wants.membersOf.add(id)
    for (const id of without(was.remotes, remotes)) this.#forgetUseless(this.#groups.leaveMembers(host, id))
    for (const id of without(was.groups, groups)) this.#groups.leave(host, id)
    for (const id of without(was.networks, networks)) this.#leaveNetwork(host, id)
  }

  #leaveNetwork(host: string, id: string): void {
    this.#marks.add([host], this.#routers.keysBehind(id))
    this.#forgetUseless(this.#networks.leave(host, id))
    if (!this.#networks.has(id)) this.#forgetRouters(this.#routers.behind(id))
  }

  #viewNetwork(host: string, id: string): void {
    this.#marks.add([host], this.#routers.keysBehind(id))
    if (!this.#networks.view(host, id)) return
    this.#wants.networks.add(id)
    this.#wants.boundTo.add(id)
  }

  #forgetUseless(entries: readonly PortEntry[]): void {
    for (const { row } of entries) if (!this.#mattersNow(row)) this.#ports.delete(row.id)
  }
}

/** What is in `a` and not in `b`. */
const without = (a: ReadonlySet<string>, b: ReadonlySet<string>): string[] => [...a].filter((one) => !b.has(one))
