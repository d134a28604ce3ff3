/** A port as the topics know it, with its wire objects: made once, shared by all who receive them. */
import { isDeepStrictEqual } from 'node:util'
import {
  clientObject,
  type ExpectedRow,
  expectedObject,
  hostOf,
  hostsOf,
  memberObject,
  neighborObject,
  type PortRow,
  portObject,
} from './derive.ts'
import { createItem, type Item } from './item.ts'

export interface PortEntry {
  readonly row: PortRow
  readonly host: string | null
  /** All that are to have it. */
  readonly hosts: readonly string[]
  readonly port: Item<'port'>
  /** By host where it is expected. */
  readonly expected: ReadonlyMap<string, Item<'port'>>
  readonly neighbor: Item<'neighbor'> | null
  /** For hosts that serve wires, by the segments of these, made when first asked for; null: a switch carries it. */
  readonly clients: Map<string, Item<'dhcp_client'>> | null
  /** By group, made when first asked for; one map as long as the port's addresses stay the same. */
  readonly members: Map<string, Item<'group_member'>>
}

/** Keeps the bytes of what did not change: a port's status changes more often than its addresses. */
export function entryOf(row: PortRow, before: PortEntry | undefined): PortEntry {
  const host = hostOf(row)
  const hosts = hostsOf(row)
  const [port, neighbor] = [portObject(row), host === null ? null : neighborObject(row, host)]
  const same = before && isDeepStrictEqual(before.port.object, port) ? before.port : null
  const sameNeighbor = neighbor && isDeepStrictEqual(before?.neighbor?.object, neighbor) ? before?.neighbor : null
  return {
    row,
    host,
    hosts,
    expected: new Map(row.expected_on.map((one) => [one.host, expectedItem(row, one, before)])),
    port: same ?? createItem('port', port),
    neighbor: sameNeighbor ?? (neighbor && createItem('neighbor', neighbor)),
    clients: clientsOf(row, before),
    members: before && isDeepStrictEqual(addressesOf(before.row), addressesOf(row)) ? before.members : new Map(),
  }
}

/** The port as `host` is to have it. */
export const portItemFor = ({ host: own, port, expected }: PortEntry, host: string): Item<'port'> | null =>
  own === host ? port : (expected.get(host) ?? null)

function expectedItem(row: PortRow, at: ExpectedRow, before: PortEntry | undefined): Item<'port'> {
  const object = expectedObject(row, at)
  const known = before?.expected.get(at.host)
  return known && isDeepStrictEqual(known.object, object) ? known : createItem('port', object)
}

const addressesOf = ({ fixed_ips, allowed_address_pairs }: PortRow): unknown => [fixed_ips, allowed_address_pairs]

/** The old ones as long as they say the same. */
function clientsOf(row: PortRow, before: PortEntry | undefined): PortEntry['clients'] {
  const client = clientObject(row, [])
  const same = before?.clients && isDeepStrictEqual(clientObject(before.row, []), client)
  return client && (same ? (before?.clients ?? null) : new Map())
}

/** The port as the host that serves these segments is to have it; null: a switch carries it. */
export function clientItem({ row, clients }: PortEntry, segmentIds: readonly string[]): Item<'dhcp_client'> | null {
  const key = segmentIds.join(' ')
  const known = clients?.get(key)
  const object = known ? null : clientObject(row, segmentIds)
  if (!object) return known ?? null
  const item = createItem('dhcp_client', object)
  clients?.set(key, item)
  return item
}

export function memberItem(entry: PortEntry, group: string): Item<'group_member'> {
  const known = entry.members.get(group)
  if (known) return known
  const item = createItem('group_member', memberObject(entry.row, group))
  entry.members.set(group, item)
  return item
}
