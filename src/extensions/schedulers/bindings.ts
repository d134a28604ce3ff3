/**
 * Who serves what: networks given to DHCP agents, routers given to L3 agents, and who else could. The bindings are
 * tables; the candidates, what is served and what lost its agent are views.
 */
import {
  type Attributes,
  defineResource,
  oneOf,
  optional,
  type Resource,
  type Row,
  text,
  timestamp,
  uuid,
  whole,
} from '#model/define.ts'

const written = {
  revision_number: whole({ max: Number.MAX_SAFE_INTEGER }),
  created_at: timestamp({ column: 'created_at' }),
  updated_at: timestamp({ column: 'updated_at' }),
} as const

/** Both may lose a race against the end of what they bind: the operation looks again. */
const races = (table: string, ...constraints: readonly string[]): Readonly<Record<string, 'again'>> =>
  Object.fromEntries(constraints.map((name) => [`${table}_${name}`, 'again']))

const inner = <A extends Attributes>(name: string, plural: string, docs: string, attributes: A, conflicts = {}) =>
  defineResource({
    name,
    plural,
    table: plural,
    docs,
    notFound: { type: 'AgentNotFound', param: 'id' },
    operations: [],
    conflicts,
    attributes,
  }) as unknown as Resource

const dhcpAttributes = { id: uuid(), network_id: uuid(), agent_id: uuid(), host: text(), ...written } as const
export type DhcpBinding = Row<typeof dhcpAttributes>
export const dhcpBinding = inner(
  'dhcp_binding',
  'dhcp_bindings',
  'A network that a DHCP agent keeps served.',
  dhcpAttributes,
  races('dhcp_bindings', 'network_id_fkey', 'agent_id_fkey', 'network_id_agent_id_key'),
)

const routerAttributes = {
  id: uuid(),
  router_id: uuid(),
  agent_id: uuid(),
  host: text(),
  slot: whole(),
  ...written,
} as const
export type RouterBinding = Row<typeof routerAttributes>
export const routerBinding = inner(
  'router_binding',
  'router_bindings',
  'A router whose outside is on the host of an L3 agent.',
  routerAttributes,
  races('router_bindings', 'router_id_fkey', 'agent_id_fkey', 'router_id_agent_id_key', 'router_id_slot_key'),
)

const candidate = {
  id: uuid(),
  agent_id: uuid(),
  host: text(),
  availability_zone: optional(text()),
  /** Bindings the agent has. */
  load: whole(),
} as const
export type Candidate = Row<typeof candidate>
const dhcpCandidateAttributes = {
  ...candidate,
  network_id: uuid(),
  /** Bindings the network has. */
  bound: whole(),
} as const
export type DhcpCandidate = Row<typeof dhcpCandidateAttributes>
export const dhcpCandidate = inner(
  'dhcp_candidate',
  'dhcp_candidates',
  'A DHCP agent that may be given a network.',
  dhcpCandidateAttributes,
)
export const routerCandidate = inner(
  'router_candidate',
  'router_candidates',
  'An L3 agent that may be given a router.',
  {
    ...candidate,
    router_id: uuid(),
  },
)

export const dhcpService = inner('dhcp_service', 'dhcp_services', 'A network and an agent that serves its DHCP.', {
  id: uuid(),
  network_id: uuid(),
  agent_id: uuid(),
})

const KINDS = ['dhcp', 'l3'] as const
const lostAttributes = { id: uuid(), kind: oneOf(KINDS), bound_id: uuid(), agent_id: uuid() } as const
export type LostBinding = Row<typeof lostAttributes>
export const lostBinding = inner('lost_binding', 'lost_bindings', 'A binding to an agent that is down.', lostAttributes)

const wireAttributes = {
  id: uuid(),
  network_id: uuid(),
  segment_id: uuid(),
  agent_id: uuid(),
  host: text(),
} as const
export type UnservedWire = Row<typeof wireAttributes>
export const unservedWire = inner(
  'unserved_wire',
  'unserved_wires',
  'A segment with ports that no switch carries and nobody to serve them DHCP, and an agent that could.',
  wireAttributes,
)

export const unscheduled = inner('unscheduled', 'unscheduled', 'What needs an agent and has none.', {
  id: uuid(),
  kind: oneOf(KINDS),
})
