/** What a ToR's `hardware_vtep` database holds (vtep(5)), indexed for the planner. Pure. */
import type { MonitorSpec } from '#protocol/ovsdb/client.ts'
import type { Row } from '#protocol/ovsdb/schema.ts'
import { canonical } from './want.ts'

export const DATABASE = 'hardware_vtep'

/** Tables and columns that the planner and the status read; counters and learned addresses are not among them. */
export const MONITORED = {
  Physical_Switch: ['name', 'ports', 'tunnel_ips', 'switch_fault_status'],
  Physical_Port: ['name', 'vlan_bindings', 'port_fault_status'],
  Logical_Switch: ['name', 'tunnel_key', 'replication_mode'],
  Ucast_Macs_Remote: ['MAC', 'logical_switch', 'locator'],
  Mcast_Macs_Remote: ['MAC', 'logical_switch', 'locator_set'],
  Physical_Locator: ['encapsulation_type', 'dst_ip', 'tunnel_key'],
  Physical_Locator_Set: ['locators'],
} as const satisfies MonitorSpec

/** MAC column of the row that says where unknown destinations go. */
export const UNKNOWN_DST = 'unknown-dst'

export interface SeenPort {
  readonly uuid: string
  readonly name: string
  /** VLAN → UUID of the logical switch. */
  readonly bindings: ReadonlyMap<number, string>
  readonly faults: readonly string[]
}

export interface SeenSwitch {
  readonly uuid: string
  readonly tunnelIps: readonly string[]
  readonly ports: ReadonlyMap<string, SeenPort>
  readonly faults: readonly string[]
}

export interface SeenLogical {
  readonly uuid: string
  readonly name: string
  readonly vni: number | null
  readonly replication: string | null
}

export interface SeenUnicast {
  readonly uuid: string
  readonly mac: string
  /** Null: by a locator that is not a plain VXLAN endpoint. */
  readonly tunnelIp: string | null
}

export interface SeenMulticast {
  readonly uuid: string
  readonly mac: string
  readonly tunnelIps: readonly (string | null)[]
}

export interface TorSeen {
  readonly switches: ReadonlyMap<string, SeenSwitch>
  /** The ports of all switches. */
  readonly ports: readonly SeenPort[]
  /** By name, which the database keeps unique. */
  readonly logical: ReadonlyMap<string, SeenLogical>
  /** Tunnel address → UUID of the locator without a key of its own. */
  readonly locators: ReadonlyMap<string, string>
  /** By UUID of the logical switch, each list in order of UUIDs. */
  readonly unicast: ReadonlyMap<string, readonly SeenUnicast[]>
  readonly multicast: ReadonlyMap<string, readonly SeenMulticast[]>
}

const text = (row: Row, column: string): string => String(row[column])
const list = (row: Row, column: string): readonly string[] => (row[column] ?? []) as readonly string[]

/** Groups rows by logical switch, in order of UUIDs, so that whoever sees the same rows decides the same. */
function bySwitch<T>(rows: Iterable<Row>, make: (row: Row) => T): Map<string, T[]> {
  const groups = new Map<string, T[]>()
  for (const row of [...rows].toSorted((a, b) => (a._uuid < b._uuid ? -1 : 1))) {
    const key = text(row, 'logical_switch')
    const group = groups.get(key)
    if (group) group.push(make(row))
    else groups.set(key, [make(row)])
  }
  return groups
}

const portOf = (row: Row): SeenPort => ({
  uuid: row._uuid,
  name: text(row, 'name'),
  bindings: row['vlan_bindings'] as ReadonlyMap<number, string>,
  faults: list(row, 'port_fault_status'),
})

/** Answers the rows of a monitored table by UUID. */
export type TableReader = (name: keyof typeof MONITORED) => ReadonlyMap<string, Row>

/** The switches by name, without what is behind their ports: quick, however many networks there are. */
export const readSwitches = (table: TableReader): ReadonlyMap<string, SeenSwitch> =>
  new Map(
    [...table('Physical_Switch').values()].map((row) => {
      const ports = list(row, 'ports').flatMap((uuid) => {
        const port = table('Physical_Port').get(uuid)
        return port ? [portOf(port)] : []
      })
      const seen = { uuid: row._uuid, tunnelIps: list(row, 'tunnel_ips'), faults: list(row, 'switch_fault_status') }
      return [text(row, 'name'), { ...seen, ports: new Map(ports.map((port) => [port.name, port])) }]
    }),
  )

/** What our logical switches are called: `deuteron-<network>`. All else is somebody else's. */
export const PREFIX = 'deuteron-'

/** Port → its VLANs that are bound to somebody else's logical switch, in order. */
export const foreignVlans = (
  table: TableReader,
  { ports }: SeenSwitch,
): Readonly<Record<string, readonly number[]>> => {
  const isOurs = (uuid: string): boolean => String(table('Logical_Switch').get(uuid)?.['name'] ?? '').startsWith(PREFIX)
  return Object.fromEntries(
    [...ports.values()].map(({ name, bindings }) => {
      const theirs = [...bindings].flatMap(([vlan, to]) => (isOurs(to) ? [] : [vlan]))
      return [name, theirs.toSorted((a, b) => a - b)]
    }),
  )
}

/** How much of ours a ToR holds. */
export interface TorHoldings {
  readonly networks: number
  readonly vlanBindings: number
  readonly remoteMacs: number
}

export function holdingsOf({ logical, ports, unicast }: TorSeen): TorHoldings {
  const ours = new Set([...logical.values()].flatMap(({ name, uuid }) => (name.startsWith(PREFIX) ? [uuid] : [])))
  const count = (all: Iterable<number>): number => [...all].reduce((sum, one) => sum + one, 0)
  return {
    networks: ours.size,
    vlanBindings: count(ports.map(({ bindings }) => [...bindings.values()].filter((to) => ours.has(to)).length)),
    remoteMacs: count([...ours].map((uuid) => unicast.get(uuid)?.length ?? 0)),
  }
}

/** Reads all monitored tables. */
export function readTor(table: TableReader): TorSeen {
  const logical = [...table('Logical_Switch').values()].map((row): [string, SeenLogical] => {
    const vni = row['tunnel_key'] as number | null
    const name = text(row, 'name')
    return [name, { uuid: row._uuid, name, vni, replication: row['replication_mode'] as string | null }]
  })
  const plain = [...table('Physical_Locator').values()].filter(
    (row) => row['encapsulation_type'] === 'vxlan_over_ipv4' && row['tunnel_key'] === null,
  )
  const addressOf = new Map(plain.map((row) => [row._uuid, canonical(text(row, 'dst_ip'))]))
  const addressesOf = (set: string): readonly (string | null)[] => {
    const row = table('Physical_Locator_Set').get(set)
    return row ? list(row, 'locators').map((uuid) => addressOf.get(uuid) ?? null) : []
  }
  return {
    switches: readSwitches(table),
    ports: [...table('Physical_Port').values()].map(portOf),
    logical: new Map(logical),
    locators: new Map([...addressOf].map(([uuid, address]) => [address, uuid])),
    unicast: bySwitch(table('Ucast_Macs_Remote').values(), (row) => ({
      uuid: row._uuid,
      mac: text(row, 'MAC').toLowerCase(),
      tunnelIp: addressOf.get(text(row, 'locator')) ?? null,
    })),
    multicast: bySwitch(table('Mcast_Macs_Remote').values(), (row) => ({
      uuid: row._uuid,
      mac: text(row, 'MAC'),
      tunnelIps: addressesOf(text(row, 'locator_set')),
    })),
  }
}
