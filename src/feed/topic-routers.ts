/** Routers that some connected host has: those placed on it, and those with an interface in a network it views. */
import { isDeepStrictEqual } from 'node:util'
import { keyOf, type WireKey } from '#wire/objects.ts'
import { type RouterRow, routerObject } from './derive.ts'
import { createItem, type Item } from './item.ts'
import { Relation } from './relation.ts'

interface RouterEntry {
  readonly row: RouterRow
  readonly item: Item<'router'>
}

export class RouterTopics {
  readonly #routers = new Map<string, RouterEntry>()
  readonly #hosts = new Relation()
  readonly #networks = new Relation()

  has(id: string): boolean {
    return this.#routers.has(id)
  }

  item(id: string): Item<'router'> | null {
    return this.#routers.get(id)?.item ?? null
  }

  row(id: string): RouterRow | null {
    return this.#routers.get(id)?.row ?? null
  }

  hostsOf(id: string): ReadonlySet<string> {
    return this.#hosts.rightsOf(id)
  }

  networksOf(id: string): ReadonlySet<string> {
    return this.#networks.rightsOf(id)
  }

  /** Routers placed on the host. */
  at(host: string): ReadonlySet<string> {
    return this.#hosts.leftsOf(host)
  }

  /** Routers with an interface in the network. */
  behind(network: string): ReadonlySet<string> {
    return this.#networks.leftsOf(network)
  }

  keysBehind(network: string): WireKey[] {
    return [...this.behind(network)].map((id) => keyOf('router', id))
  }

  /** Null: it is not there, or nobody has it. */
  replace(id: string, row: RouterRow | null): void {
    const before = this.#routers.get(id)?.item
    const object = row && routerObject(row)
    this.#hosts.put(id, object?.hosts ?? [])
    this.#networks.put(id, object?.interfaces.map(({ network_id }) => network_id) ?? [])
    if (row && object)
      this.#routers.set(id, {
        row,
        item: before && isDeepStrictEqual(before.object, object) ? before : createItem('router', object),
      })
    else this.#routers.delete(id)
  }
}
