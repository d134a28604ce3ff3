/** What a host can say of an object: realized, waiting (for what), failing (why), or not supported here. Pure. */
import { splitKey, type WireKey } from '#wire/objects.ts'
import type { Realization, RealizationState } from '#wire/realization.ts'
import { type Domain, domainsOf, nameOf } from './compile/domain.ts'
import { gateOf } from './compile/port.ts'
import { problemsOf } from './compile/security-group.ts'
import type { View } from './view.ts'
import { dhcpDevice } from '../linux/dhcp-want.ts'

/** What the executors found, beside the world and the host. */
export interface Findings {
  /** Why flows of this object do not stand; null when they do. */
  flowProblem(key: WireKey): string | null
  /** Why the network's DHCP server does not answer; null when it does or none is wanted. */
  dhcpProblem(network: string): string | null
  /** What the server does not tell a port that asked for it; null when it tells all. */
  dhcpRemark(network: string, port: string): string | null
}

interface Status {
  readonly generation: number
  readonly state: RealizationState
  readonly message: string | null
}

/** Null for objects that are not reported (neighbours, members, chassis) or are gone. */
export function realizationOf(key: WireKey, view: View, findings: Findings, at: Date): Realization | null {
  const { type, id } = splitKey(key)
  if (type === 'neighbor' || type === 'chassis' || type === 'group_member' || type === 'dhcp_client') return null
  const status = statusOf[type](id, view, findings)
  return status && { kind: type, id, ...status, repaired: false, at: at.toISOString() }
}

/** No host routes yet with this data plane: what it knows of routers it only says so. */
function routerStatus(id: string, view: View): Status | null {
  const router = view.object('router', id)
  if (!router) return null
  return { generation: router.generation, state: 'unsupported', message: 'this data plane does not route' }
}

/** The same, for something that had to be put right and is. */
export const repaired = (realization: Realization, message: string): Realization =>
  realization.state === 'done' ? { ...realization, repaired: true, message } : realization

function portStatus(id: string, view: View, findings: Findings): Status | null {
  const port = view.object('port', id)
  if (!port) return null
  const { generation } = port
  const gate = gateOf(port, view)
  if (!gate.open) return { generation, state: gate.blocked ? 'done' : 'pending', message: gate.why }
  const problem =
    findings.flowProblem(`port/${id}`) ??
    unreached(gate.domain, port.network_id, view) ??
    findings.flowProblem(`network/${port.network_id}`) ??
    gate.groups.map(([group]) => findings.flowProblem(`security_group/${group}`)).find((it) => it !== null) ??
    null
  if (problem !== null) return { generation, state: 'error', message: problem }
  const waiting = findings.dhcpProblem(port.network_id)
  if (waiting !== null) return { generation, state: 'pending', message: waiting }
  return { generation, state: 'done', message: findings.dhcpRemark(port.network_id, id) }
}

function networkStatus(id: string, view: View, findings: Findings): Status | null {
  const network = view.object('network', id)
  if (!network) return null
  const lost = network.admin_state_up ? domainsOf(id, view).map((domain) => unreached(domain, id, view)) : []
  const problem = lost.find((it) => it !== null) ?? findings.flowProblem(`network/${id}`) ?? findings.dhcpProblem(id)
  return { generation: network.generation, state: problem === null ? 'done' : 'error', message: problem }
}

const statusOf = { port: portStatus, network: networkStatus, security_group: groupStatus, router: routerStatus }

/** Why nothing of the domain leaves this host or comes in; null: it does. */
function unreached({ carrier, segment, joined }: Domain, network: string, view: View): string | null {
  if (carrier) return null
  if (segment && joined)
    return `this host does not reach segment ${segment.id} of network ${network} (${nameOf(segment)}), which ports here are bound on`
  const kinds = view.segmentsOf(network)?.map(nameOf).join(', ')
  return `this host reaches no segment of network ${network} (${kinds || 'it has none'})`
}

function groupStatus(id: string, view: View, findings: Findings): Status | null {
  const group = view.object('security_group', id)
  if (!group) return null
  const problem = findings.flowProblem(`security_group/${id}`) ?? problemsOf(group)[0] ?? null
  return { generation: group.generation, state: problem === null ? 'done' : 'error', message: problem }
}

/** The reported objects that a change of the host's port numbers (names as in view.ts) concerns. */
export function concernedBy(localFacts: readonly string[], view: View): ReadonlySet<WireKey> {
  const keys = new Set<WireKey>()
  for (const name of localFacts) {
    const [, kind, ...rest] = name.split('/')
    const id = rest.join('/')
    if (kind === 'ports') keys.add(`port/${id}`)
    else for (const key of withPorts(kind === 'dhcp' ? [id] : view.networks(), view)) keys.add(key)
  }
  return keys
}

/** The reported objects that ports of ours with these names serve: one network, or (tunnel, patch, bridge) all. */
export function servedBy(names: readonly string[], view: View): readonly WireKey[] {
  const networks = view.networks()
  const dhcp = new Map(networks.map((id) => [dhcpDevice(id), id]))
  const served = names.map((name) => dhcp.get(name))
  return withPorts(served.includes(undefined) ? networks : served.filter((id) => id !== undefined), view)
}

/** The networks with their ports here. */
export const withPorts = (networks: readonly string[], view: View): WireKey[] =>
  networks.flatMap((id) => [`network/${id}` as const, ...view.allIn(id).map((port) => `port/${port}` as const)])
