/** A port as the topics know it, with its wire objects: made once, shared by all who receive them. */
import { isDeepStrictEqual } from 'node:util'
import { hostOf, hostsOf, memberObject, neighborObject, type PortRow, portObject } from './derive.ts'
import { createItem, type Item } from './item.ts'

export interface PortEntry {
  readonly row: PortRow
  readonly host: string | null
  /** All that are to have it. */
  readonly hosts: readonly string[]
  readonly port: Item<'port'>
  /** For hosts where it is expected; null: there are none. */
  readonly expected: Item<'port'> | null
  readonly neighbor: Item<'neighbor'> | null
  /** By group, made when first asked for; one map as long as the port's addresses stay the same. */
  readonly members: Map<string, Item<'group_member'>>
}

/** Keeps the bytes of what did not change: a port's status changes more often than its addresses. */
export function entryOf(row: PortRow, before: PortEntry | undefined): PortEntry {
  const host = hostOf(row)
  const hosts = hostsOf(row)
  const expected = row.expected_on.length === 0 ? null : portObject(row, false)
  const sameExpected = expected && isDeepStrictEqual(before?.expected?.object, expected) ? before?.expected : null
  const [port, neighbor] = [portObject(row), host === null ? null : neighborObject(row, host)]
  const same = before && isDeepStrictEqual(before.port.object, port) ? before.port : null
  const sameNeighbor = neighbor && isDeepStrictEqual(before?.neighbor?.object, neighbor) ? before?.neighbor : null
  return {
    row,
    host,
    hosts,
    expected: sameExpected ?? (expected && createItem('port', expected)),
    port: same ?? createItem('port', port),
    neighbor: sameNeighbor ?? (neighbor && createItem('neighbor', neighbor)),
    members: before && isDeepStrictEqual(addressesOf(before.row), addressesOf(row)) ? before.members : new Map(),
  }
}

/** The port as `host` is to have it. */
export const portItemFor = ({ host: own, port, expected }: PortEntry, host: string): Item<'port'> | null =>
  own === host ? port : expected

const addressesOf = ({ fixed_ips, allowed_address_pairs }: PortRow): unknown => [fixed_ips, allowed_address_pairs]

export function memberItem(entry: PortEntry, group: string): Item<'group_member'> {
  const known = entry.members.get(group)
  if (known) return known
  const item = createItem('group_member', memberObject(entry.row, group))
  entry.members.set(group, item)
  return item
}
