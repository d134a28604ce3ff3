/**
 * The pipeline of tables on the integration bridge: its tables, registers and the small builder flows are written with.
 *
 * Read from the top, a frame is admitted, its source is checked, the sender's security groups judge it, its
 * destination is looked up, the receiver's security groups judge it, it is delivered. The drawing is in
 * docs/design/dataplane.md. Numbers leave room for what comes between (service chains, routing).
 */
import type { Flow } from '#protocol/openflow/flow.ts'

/** A flow before it has a cookie; the cookie is made from owner, object and content. */
export type Rule = Omit<Flow, 'cookie'>

export const TABLE = {
  /** By ingress port, VNI or VLAN: which domain and port is this? Anything unknown is dropped. */
  admit: 0,
  /** May this port speak with this MAC, IP or ARP sender? Only ports with port security pass here. */
  sourceGuard: 10,
  /** IPv6 only: may it advertise this neighbour? */
  neighborGuard: 11,
  /** What the sender's security groups say: track, replies, groups, members of remote groups, rules, verdict. */
  egressTrack: 20,
  egressState: 21,
  egressGroups: 22,
  egressMembers: 23,
  egressRules: 24,
  egressVerdict: 25,
  /** ARP requests for known addresses are answered here. */
  arpAnswer: 28,
  /** Destination MAC to a port of this host. */
  localLookup: 30,
  /** Destination MAC to another host. Never reached by what came from outside: no frame leaves twice. */
  remoteLookup: 31,
  /** Broadcast, multicast, unknown: the ports here and every host that has ports of the domain. */
  flood: 32,
  floodLocal: 33,
  floodPorts: 34,
  floodHosts: 35,
  /** Out of this host: tunnel id or VLAN tag. */
  encapsulate: 36,
  /** Is this frame for this port at all (MAC, multicast), and not its own? */
  ingressGuard: 40,
  /** What the receiver's security groups say, as for the sender. */
  ingressTrack: 41,
  ingressState: 42,
  ingressGroups: 43,
  ingressMembers: 44,
  ingressRules: 45,
  ingressVerdict: 46,
  deliver: 60,
} as const

/** Registers. They live for one frame, across conntrack too. */
export const REG = {
  /** Which broadcast domain: a network on one of its segments (compile/domain.ts). */
  domain: 'reg0',
  /** Sender's port key, also its conntrack zone; 0 when the sender is not a VM port of this host. */
  from: 'reg1',
  /** Receiver's port key, also its conntrack zone. */
  to: 'reg2',
  /** Where the frame came from, see ORIGIN. */
  origin: 'reg3',
  /** Part of a long flood list. */
  chunk: 'reg4',
  /** Security group under examination. */
  group: 'reg5',
  /** What the security groups said, see VERDICT. */
  verdict: 'reg6',
  /** Remote group whose member the peer is; 0 while rules without a remote group are examined. */
  remoteGroup: 'reg7',
} as const

export const ORIGIN = { vm: 1, tunnel: 2, provider: 3, dhcp: 4 } as const

/** Bits of the verdict register. */
export const VERDICT = {
  /** A stateful group allows it. */
  stateful: 0x1,
  /** A stateless group allows it. */
  stateless: 0x2,
  /** The port has a stateful group: its connections are tracked in its zone. */
  tracked: 0x4,
} as const

export const rule = (table: number, priority: number, match: readonly string[], actions: readonly string[]): Rule => ({
  table,
  priority,
  match: match.join(','),
  actions: actions.length > 0 ? actions.join(',') : 'drop',
})

export const set = (field: string, value: number | string): string =>
  `set_field:${typeof value === 'number' ? hex(value) : value}->${field}`
export const jump = (table: number): string => `resubmit(,${table})`
export const is = (field: string, value: number): string => `${field}=${hex(value)}`
export const hex = (value: number): string => `0x${value.toString(16)}`

export const MULTICAST = 'dl_dst=01:00:00:00:00:00/01:00:00:00:00:00'
/** No VLAN tag at all. */
export const UNTAGGED = 'vlan_tci=0x0000/0x1fff'
