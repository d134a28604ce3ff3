/** Security groups that some connected host views, and the members of those that rules name as remote. */
import { keyOf, type WireKey } from '#wire/objects.ts'
import { type GroupRow, groupObject, remotesOf } from './derive.ts'
import { createItem, type Item } from './item.ts'
import type { Marks } from './marks.ts'
import { memberItem, type PortEntry } from './port-entry.ts'

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

export class GroupTopics {
  readonly #groups = new Map<string, GroupTopic>()
  readonly #members = new Map<string, MembersTopic>()
  readonly #marks: Marks

  constructor(marks: Marks) {
    this.#marks = marks
  }

  get empty(): boolean {
    return this.#groups.size === 0
  }

  has(id: string): boolean {
    return this.#groups.has(id)
  }

  hasMembers(id: string): boolean {
    return this.#members.has(id)
  }

  item(id: string): Item<'security_group'> | null {
    return this.#groups.get(id)?.item ?? null
  }

  /** Groups that the group's rules name as remote. */
  remotesOf(id: string): ReadonlySet<string> {
    return this.#groups.get(id)?.remotes ?? NONE
  }

  member(group: string, port: string): Item<'group_member'> | null {
    const entry = this.#members.get(group)?.ports.get(port)
    return entry ? memberItem(entry, group) : null
  }

  memberKeys(id: string): WireKey[] {
    return [...(this.#members.get(id)?.ports.keys() ?? [])].map((port) => keyOf('group_member', `${id}:${port}`))
  }

  /** True when it has to be read: nobody viewed it before. */
  view(host: string, id: string): boolean {
    const known = this.#groups.get(id)
    const topic = known ?? { viewers: new Set(), item: null, remotes: NONE }
    if (!known) this.#groups.set(id, topic)
    topic.viewers.add(host)
    this.#marks.add([host], [keyOf('security_group', id)])
    return !known
  }

  /** True when the members have to be read. */
  viewMembers(host: string, id: string): boolean {
    const known = this.#members.get(id)
    const topic = known ?? { viewers: new Set(), ports: new Map() }
    if (!known) this.#members.set(id, topic)
    topic.viewers.add(host)
    this.#marks.add([host], this.memberKeys(id))
    return !known
  }

  leave(host: string, id: string): void {
    this.#marks.add([host], [keyOf('security_group', id)])
    const topic = this.#groups.get(id)
    topic?.viewers.delete(host)
    if (topic?.viewers.size === 0) this.#groups.delete(id)
  }

  /** Answers the ports that this topic kept and keeps no more. */
  leaveMembers(host: string, id: string): readonly PortEntry[] {
    this.#marks.add([host], this.memberKeys(id))
    const topic = this.#members.get(id)
    topic?.viewers.delete(host)
    if (!topic || topic.viewers.size > 0) return []
    this.#members.delete(id)
    return [...topic.ports.values()]
  }

  /** Answers the hosts whose remote groups may be others now. */
  replace(id: string, row: GroupRow | null): Iterable<string> {
    const topic = this.#groups.get(id)
    if (!topic) return []
    topic.item = row && createItem('security_group', groupObject(row))
    topic.remotes = topic.item ? remotesOf(topic.item.object) : NONE
    this.#marks.add(topic.viewers, [keyOf('security_group', id)])
    return topic.viewers
  }

  movePort(id: string, before: PortEntry | undefined, after: PortEntry | null): void {
    const groups = new Set([...(before?.row.security_group_ids ?? []), ...(after?.row.security_group_ids ?? [])])
    for (const group of groups) {
      const topic = this.#members.get(group)
      if (!topic) continue
      const was = topic.ports.get(id)?.members
      const is = after?.row.security_group_ids.includes(group) ? after : null
      if (is) topic.ports.set(id, is)
      else topic.ports.delete(id)
      if (was !== is?.members) this.#marks.add(topic.viewers, [keyOf('group_member', `${group}:${id}`)])
    }
  }
}
