/**
 * Networks whose DHCP a connected host serves on the wire of a segment, each with the ports that no switch carries: those
 * send their requests there. Which host it is for a segment, the network's row says.
 */
import { keyOf, type WireKey } from '#wire/objects.ts'
import { servedOn, type Wire } from './derive.ts'
import type { Item } from './item.ts'
import type { Marks } from './marks.ts'
import { clientItem, type PortEntry } from './port-entry.ts'

interface ClientTopic {
  readonly ports: Map<string, PortEntry>
  wires: readonly Wire[]
}

export class ClientTopics {
  readonly #networks = new Map<string, ClientTopic>()
  readonly #marks: Marks

  constructor(marks: Marks) {
    this.#marks = marks
  }

  has(network: string): boolean {
    return this.#networks.has(network)
  }

  lookup(host: string, entry: PortEntry | undefined): Item<'dhcp_client'> | null {
    if (!entry?.clients) return null
    const wires = this.#networks.get(entry.row.network_id)?.wires ?? []
    const segments = servedOn(entry.row, wires, host)
    return segments.length > 0 ? clientItem(entry, segments) : null
  }

  /** Of `network`, for whichever host. */
  keysOf(network: string): WireKey[] {
    return [...(this.#networks.get(network)?.ports.keys() ?? [])].map((id) => keyOf('dhcp_client', id))
  }

  /**
   * These connected hosts serve the network's segments now. `read`: nobody did before, its ports have to be read;
   * `left`: the ports that were kept and are kept no more, because nobody does now.
   */
  replace(network: string, wires: readonly Wire[]): { readonly read: boolean; readonly left: readonly PortEntry[] } {
    const known = this.#networks.get(network)
    const hosts = [...(known?.wires ?? []), ...wires].map(({ host }) => host)
    this.#marks.add(new Set(hosts), this.keysOf(network))
    if (wires.length === 0) {
      this.#networks.delete(network)
      return { read: false, left: [...(known?.ports.values() ?? [])] }
    }
    if (known) known.wires = wires
    else this.#networks.set(network, { ports: new Map(), wires })
    return { read: !known, left: [] }
  }

  /** The host is connected no more. Answers the ports that are kept no more. */
  release(host: string): readonly PortEntry[] {
    const rest = (wires: readonly Wire[]): readonly Wire[] => wires.filter((wire) => wire.host !== host)
    const served = [...this.#networks].filter(([, { wires }]) => rest(wires).length < wires.length)
    return served.flatMap(([id, { wires }]) => this.replace(id, rest(wires)).left)
  }

  movePort(id: string, before: PortEntry | undefined, after: PortEntry | null): void {
    for (const network of new Set([before?.row.network_id, after?.row.network_id])) {
      const topic = network === undefined ? undefined : this.#networks.get(network)
      if (!topic) continue
      const was = topic.ports.get(id)
      const is = after?.row.network_id === network && after?.clients ? after : null
      if (is) topic.ports.set(id, is)
      else topic.ports.delete(id)
      if (was || is) this.#marks.add(new Set(topic.wires.map(({ host }) => host)), [keyOf('dhcp_client', id)])
    }
  }
}
