/**
 * The planner of a ToR: what is wanted against what its database holds, to the operations of one transaction. Pure.
 *
 * Ours is a logical switch called `deuteron-…` with all that refers to it. Everything else is somebody else's: never
 * removed, never changed, and in our way reported as a problem. A plan that took effect plans to nothing.
 */
import { parseIp } from '#kernel/ip.ts'
import { byUuid, insert, mutate, named, type Op, remove, update } from '#protocol/ovsdb/ops.ts'
import type { Named } from '#protocol/ovsdb/schema.ts'
import { PREFIX, type SeenLogical, type TorSeen, UNKNOWN_DST } from './seen.ts'
import type { TorNetwork, TorWant } from './want.ts'

export const logicalName = (network: string): string => `${PREFIX}${network}`

/** Why a network, or a part of it, cannot be in the ToR. */
export interface TorProblem {
  readonly network: string
  readonly reason:
    | 'switch_missing'
    | 'port_missing'
    | 'vlan_taken'
    | 'vni_taken'
    /** A tunnel endpoint of the other IP version. */
    | 'endpoint_unreachable'
    | 'refused'
  readonly facts: Readonly<Record<string, string | number>>
}

export interface TorPlan {
  /** One transaction; empty: what can be is as wanted, unless `cut`. */
  readonly ops: readonly Op[]
  /** Ids of the networks that `ops` changes, in order. */
  readonly networks: readonly string[]
  readonly problems: readonly TorProblem[]
  /** True: the transaction would have been too long; plan again after it. */
  readonly cut: boolean
}

export interface PlanOptions {
  /** After this many operations no further network is begun. */
  readonly most?: number
  /** Networks to leave as they are. */
  readonly skip?: ReadonlySet<string>
}

type Ref = string | Named

/** What goes into one transaction: its operations, and the locators it makes, each once. */
interface Draft {
  readonly seen: TorSeen
  readonly ops: Op[]
  readonly made: Map<string, Ref>
}

export function planTor(want: TorWant, seen: TorSeen, { most = 2_000, skip }: PlanOptions = {}): TorPlan {
  const { wanted, problems } = seen.switches.has(want.switch) ? withoutClashes(want, seen) : withoutSwitch(want, seen)
  const known = new Set(want.networks.map(({ id }) => logicalName(id)))
  const orphans = [...seen.logical.values()].filter(({ name }) => name.startsWith(PREFIX) && !known.has(name))
  const draft: Draft = { seen, ops: [], made: new Map() }
  const networks: string[] = []
  const begin = (id: string, write: () => void): boolean => {
    if (skip?.has(id)) return true
    if (draft.ops.length >= most) return false
    const before = draft.ops.length
    write()
    if (draft.ops.length > before) networks.push(id)
    return true
  }
  const done =
    orphans.every((one) => begin(one.name.slice(PREFIX.length), () => draft.ops.push(...removal(one, seen)))) &&
    wanted.every((network) => begin(network.id, () => writeNetwork(draft, want.switch, network)))
  return { ops: draft.ops, networks, problems, cut: !done }
}

function withoutSwitch({ switch: name, networks }: TorWant, { switches }: TorSeen): Possible {
  const facts = { wanted: name, there: [...switches.keys()].join(', ') }
  return { wanted: [], problems: networks.map(({ id }) => ({ network: id, reason: 'switch_missing', facts })) }
}

/** What of a want can be there, and why not the rest. */
interface Possible {
  readonly wanted: readonly TorNetwork[]
  readonly problems: readonly TorProblem[]
}

/** Networks without what clashes with foreign objects or with a network before them; one whose VNI is taken not at all. */
function withoutClashes(want: TorWant, seen: TorSeen): Possible {
  const problems: TorProblem[] = []
  const foreign = [...seen.logical.values()].filter(({ name }) => !name.startsWith(PREFIX))
  const foreignNames = new Map(foreign.map(({ uuid, name }) => [uuid, name]))
  const vnis = new Map(foreign.map(({ vni, name }) => [vni, name]))
  const vlans = new Map<string, string>()
  const ports = seen.switches.get(want.switch)?.ports
  const wanted = want.networks.flatMap((network): TorNetwork[] => {
    const { id, vni } = network
    const holder = vnis.get(vni)
    if (holder !== undefined) {
      problems.push({ network: id, reason: 'vni_taken', facts: { vni, holder } })
      return []
    }
    vnis.set(vni, logicalName(id))
    const bindings = network.bindings.filter(({ port, vlan }) => {
      const bound = ports?.get(port)?.bindings.get(vlan)
      const taken = foreignNames.get(bound ?? '') ?? vlans.get(`${vlan} ${port}`)
      if (taken !== undefined)
        problems.push({ network: id, reason: 'vlan_taken', facts: { port, vlan, holder: taken } })
      else if (!ports?.has(port)) problems.push({ network: id, reason: 'port_missing', facts: { port } })
      else vlans.set(`${vlan} ${port}`, logicalName(id))
      return vlans.get(`${vlan} ${port}`) === logicalName(id)
    })
    return [{ ...reachable(network, seen.switches.get(want.switch)?.tunnelIps ?? [], problems), bindings }]
  })
  return { wanted, problems }
}

/** Without endpoints to which none of the ToR's own addresses leads: those of an IP version that it has none of. */
function reachable(network: TorNetwork, own: readonly string[], problems: TorProblem[]): TorNetwork {
  const versions = new Set(own.map((address) => parseIp(address)?.version))
  const isNear = (address: string): boolean => versions.size === 0 || versions.has(parseIp(address)?.version)
  const far = new Set([...network.macs.map(({ tunnelIp }) => tunnelIp), ...network.flood].filter((ip) => !isNear(ip)))
  if (far.size === 0) return network
  const facts = { endpoints: [...far].toSorted().join(', '), tunnel_ips: own.join(', ') }
  problems.push({ network: network.id, reason: 'endpoint_unreachable', facts })
  return {
    ...network,
    macs: network.macs.filter(({ tunnelIp }) => isNear(tunnelIp)),
    flood: network.flood.filter(isNear),
  }
}

function writeNetwork(draft: Draft, switchName: string, network: TorNetwork): void {
  const had = draft.seen.logical.get(logicalName(network.id))
  const logical = writeLogical(draft, network, had)
  writeBindings(draft, switchName, network, logical)
  writeUnicast(draft, network, logical)
  writeFlood(draft, network, logical)
}

/** The logical switch. Each endpoint copies floods itself: our hosts do, and there is no node that would for it. */
function writeLogical({ ops }: Draft, { id, vni }: TorNetwork, had: SeenLogical | undefined): Ref {
  const wanted = { tunnel_key: vni, replication_mode: 'source_node' }
  if (!had) {
    const ref = named(`ls_${symbol(id)}`)
    ops.push(insert('Logical_Switch', { name: logicalName(id), description: `network ${id}`, ...wanted }, ref.named))
    return ref
  }
  if (had.vni !== vni || had.replication !== wanted.replication_mode)
    ops.push(update('Logical_Switch', byUuid(had.uuid), wanted))
  return had.uuid
}

/** Deletions name VLAN and logical switch, so that what another network put there in this transaction stays. */
function writeBindings({ ops, seen }: Draft, switchName: string, { bindings }: TorNetwork, logical: Ref): void {
  const ports = seen.switches.get(switchName)?.ports
  const wanted = new Set<string>()
  for (const { port, vlan } of bindings) {
    const there = ports?.get(port)
    if (!there) continue
    wanted.add(`${vlan} ${there.uuid}`)
    const bound = there.bindings.get(vlan)
    if (bound === logical) continue
    const out = bound === undefined ? [] : [['vlan_bindings', 'delete', new Map([[vlan, bound]])] as const]
    ops.push(
      mutate('Physical_Port', byUuid(there.uuid), ...out, ['vlan_bindings', 'insert', new Map([[vlan, logical]])]),
    )
  }
  if (typeof logical === 'string') ops.push(...unbind(seen, logical, wanted))
}

/** Takes a logical switch off every port and VLAN but the kept. */
const unbind = (seen: TorSeen, logical: string, kept: ReadonlySet<string>): Op[] =>
  seen.ports.flatMap(({ uuid, bindings }) => {
    const gone = [...bindings].filter(([vlan, to]) => to === logical && !kept.has(`${vlan} ${uuid}`))
    return gone.length > 0 ? [mutate('Physical_Port', byUuid(uuid), ['vlan_bindings', 'delete', new Map(gone)])] : []
  })

function writeUnicast(draft: Draft, { macs }: TorNetwork, logical: Ref): void {
  const missing = new Map(macs.map(({ mac, tunnelIp }) => [mac.toLowerCase(), tunnelIp]))
  for (const { uuid, mac, tunnelIp } of rowsOf(draft.seen.unicast, logical)) {
    const wanted = missing.get(mac)
    missing.delete(mac)
    if (wanted === undefined) draft.ops.push(remove('Ucast_Macs_Remote', byUuid(uuid)))
    else if (wanted !== tunnelIp)
      draft.ops.push(update('Ucast_Macs_Remote', byUuid(uuid), { locator: locator(draft, wanted) }))
  }
  for (const [mac, tunnelIp] of missing)
    draft.ops.push(
      insert('Ucast_Macs_Remote', { MAC: mac, logical_switch: logical, locator: locator(draft, tunnelIp), ipaddr: '' }),
    )
}

/** One row for unknown destinations. A set of locators cannot be changed (vtep(5)), so a new one takes its place. */
function writeFlood(draft: Draft, { id, flood }: TorNetwork, logical: Ref): void {
  const rows = rowsOf(draft.seen.multicast, logical)
  const wanted = [...new Set(flood)]
  const keep = wanted.length > 0 ? rows.find(({ mac }) => mac === UNKNOWN_DST) : undefined
  for (const row of rows) if (row !== keep) draft.ops.push(remove('Mcast_Macs_Remote', byUuid(row.uuid)))
  if (wanted.length === 0 || (keep && sameSet(keep.tunnelIps, wanted))) return
  const locators = wanted.map((ip) => locator(draft, ip))
  const set = named(`set_${symbol(id)}`)
  draft.ops.push(insert('Physical_Locator_Set', { locators }, set.named))
  if (keep) draft.ops.push(update('Mcast_Macs_Remote', byUuid(keep.uuid), { locator_set: set }))
  else
    draft.ops.push(
      insert('Mcast_Macs_Remote', { MAC: UNKNOWN_DST, logical_switch: logical, locator_set: set, ipaddr: '' }),
    )
}

/**
 * The row for a tunnel endpoint: the one that is there, since addresses are unique, or one this transaction makes. The
 * schema (1.7) has one encapsulation, named after IPv4; whether it takes IPv6 addresses is the ToR's matter.
 */
function locator({ seen, ops, made }: Draft, tunnelIp: string): Ref {
  const had = seen.locators.get(tunnelIp) ?? made.get(tunnelIp)
  if (had !== undefined) return had
  const ref = named(`at_${symbol(tunnelIp)}`)
  ops.push(insert('Physical_Locator', { encapsulation_type: 'vxlan_over_ipv4', dst_ip: tunnelIp }, ref.named))
  made.set(tunnelIp, ref)
  return ref
}

/** All of a logical switch, with what the ToR has learned for it: rows that refer to it would keep it. */
const removal = ({ uuid }: SeenLogical, seen: TorSeen): Op[] => [
  ...unbind(seen, uuid, new Set()),
  ...['Ucast_Macs_Remote', 'Mcast_Macs_Remote', 'Ucast_Macs_Local', 'Mcast_Macs_Local'].map((table) =>
    remove(table, [['logical_switch', '==', uuid]]),
  ),
  remove('Logical_Switch', byUuid(uuid)),
]

const rowsOf = <T>(rows: ReadonlyMap<string, readonly T[]>, logical: Ref): readonly T[] =>
  typeof logical === 'string' ? (rows.get(logical) ?? []) : []

const sameSet = (some: readonly (string | null)[], others: readonly string[]): boolean =>
  some.length === others.length && others.every((one) => some.includes(one))

/** A name that a transaction may give to a row (RFC 7047 §3.1, `<id>`). */
const symbol = (text: string): string => text.replaceAll(/[^A-Za-z0-9]/g, '_')
