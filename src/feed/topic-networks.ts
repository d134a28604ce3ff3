/**
 * Networks that some connected host views: each with the ports bound anywhere in it, and the hosts these live on,
 * whose tunnel addresses are kept here too.
 */
import { keyOf, type WireKey } from '#wire/objects.ts'
import { type NetworkRow, networkObject } from './derive.ts'
import { createItem, type Item } from './item.ts'
import type { Marks } from './marks.ts'
import type { PortEntry } from './port-entry.ts'

interface NetworkTopic {
  readonly viewers: Set<string>
  readonly bound: Map<string, PortEntry>
  readonly hosts: Map<string, number> // how many of the bound ports each has, or expects
  row: NetworkRow | null
  item: Item<'network'> | null
}

export class NetworkTopics {
  readonly #networks = new Map<string, NetworkTopic>()
  readonly #chassis = new Map<string, Item<'chassis'>>()
  readonly #marks: Marks
  readonly #wantChassis: (host: string) => void

  constructor(marks: Marks, wantChassis: (host: string) => void) {
    this.#marks = marks
    this.#wantChassis = wantChassis
  }

  has(id: string): boolean {
    return this.#networks.has(id)
  }

  hasChassis(host: string): boolean {
    return this.#chassis.has(host)
  }

  viewers(id: string): Iterable<string> {
    return this.#networks.get(id)?.viewers ?? []
  }

  row(id: string): NetworkRow | null {
    return this.#networks.get(id)?.row ?? null
  }

  item(id: string): Item<'network'> | null {
    return this.#networks.get(id)?.item ?? null
  }

  /** As the network's own read says: a port known by its group may have left by then. */
  neighbor(id: string, port: string, viewer: string): Item<'neighbor'> | null {
    const entry = this.#networks.get(id)?.bound.get(port)
    return entry && entry.host !== viewer ? entry.neighbor : null
  }

  chassis(host: string, networks: ReadonlySet<string>): Item<'chassis'> | null {
    const near = [...networks].some((network) => this.#networks.get(network)?.hosts.has(host))
    return near ? (this.#chassis.get(host) ?? null) : null
  }

  keysOf(id: string): WireKey[] {
    const topic = this.#networks.get(id)
    const neighbors = [...(topic?.bound.keys() ?? [])].map((port) => keyOf('neighbor', port))
    const chassis = [...(topic?.hosts.keys() ?? [])].map((host) => keyOf('chassis', host))
    return [keyOf('network', id), ...neighbors, ...chassis]
  }

  /** True when it has to be read: nobody viewed it before. */
  view(host: string, id: string): boolean {
    const known = this.#networks.get(id)
    const topic = known ?? { viewers: new Set(), bound: new Map(), hosts: new Map(), row: null, item: null }
    if (!known) this.#networks.set(id, topic)
    topic.viewers.add(host)
    this.#marks.add([host], this.keysOf(id))
    return !known
  }

  /** Answers the ports that this topic kept and keeps no more. */
  leave(host: string, id: string): readonly PortEntry[] {
    this.#marks.add([host], this.keysOf(id))
    const topic = this.#networks.get(id)
    topic?.viewers.delete(host)
    if (!topic || topic.viewers.size > 0) return []
    this.#networks.delete(id)
    return [...topic.bound.values()]
  }

  replace(id: string, row: NetworkRow | null): void {
    const topic = this.#networks.get(id)
    if (!topic) return
    topic.row = row
    topic.item = row && createItem('network', networkObject(row))
    this.#marks.add(topic.viewers, [keyOf('network', id)])
  }

  replaceChassis(host: string, tunnel_ip: string | null): void {
    this.#chassis.set(host, createItem('chassis', { id: host, tunnel_ip }))
    for (const topic of this.#networks.values())
      if (topic.hosts.has(host)) this.#marks.add(topic.viewers, [keyOf('chassis', host)])
  }

  forgetChassis(): void {
    this.#chassis.clear()
  }

  movePort(id: string, before: PortEntry | undefined, after: PortEntry | null): void {
    // A port never changes its network; a dropped one made again under its id may, and both may come in one read.
    for (const network of new Set([before?.row.network_id, after?.row.network_id])) {
      const topic = network === undefined ? undefined : this.#networks.get(network)
      if (!topic) continue
      const was = topic.bound.get(id)
      const is = after?.row.network_id === network && after?.neighbor ? after : null
      if (is) topic.bound.set(id, is)
      else topic.bound.delete(id)
      if (was?.neighbor !== is?.neighbor) this.#marks.add(topic.viewers, [keyOf('neighbor', id)])
      const [left, now] = [was?.hosts ?? [], is?.hosts ?? []]
      for (const host of left) if (!now.includes(host)) this.#countHost(topic, host, -1)
      for (const host of now) if (!left.includes(host)) this.#countHost(topic, host, 1)
    }
  }

  #countHost(topic: NetworkTopic, host: string, step: 1 | -1): void {
    const count = (topic.hosts.get(host) ?? 0) + step
    if (count === 0) topic.hosts.delete(host)
    else topic.hosts.set(host, count)
    if (count === 0 || count === step) this.#marks.add(topic.viewers, [keyOf('chassis', host)])
    if (this.#chassis.has(host)) return
    this.#chassis.set(host, createItem('chassis', { id: host, tunnel_ip: null }))
    this.#wantChassis(host)
  }
}
