/**
 * What the system itself moves: bindings away from agents that are down, and to agents that come what has waited for
 * one. Each call is one transaction of bounded size; what it finds it locks and looks at again.
 */
import type { Context } from '#model/define.ts'
import { agent } from '#resources/agent.ts'
import { type DhcpBinding, dhcpBinding, type LostBinding, routerBinding, type UnservedWire } from './bindings.ts'
import { scheduleNetwork } from './dhcp.ts'
import { scheduleRouter } from './l3.ts'

/** Answers how many bindings found another agent. Without one to go to, a binding stays: its agent may come back. */
export async function leaveDownAgents(context: Context, kinds: readonly LostBinding['kind'][]): Promise<number> {
  const lost = (await context.find('lost_binding', { kind: kinds })) as unknown as LostBinding[]
  let moved = 0
  for (const { id, kind, bound_id } of lost) {
    const found = kind === 'l3' ? await leaveRouter(context, id, bound_id) : await leaveNetwork(context, id, bound_id)
    if (found) moved++
  }
  return moved
}

async function leaveNetwork(context: Context, id: string, network_id: string): Promise<boolean> {
  const [candidates, network] = [
    await context.find('dhcp_candidate', { network_id }),
    await context.load('network', network_id, 'share'),
  ]
  if (!network || !(await context.load('dhcp_binding', id, 'update'))) return false
  if (candidates.length === 0) {
    await standBack(context, id, network_id)
    return false
  }
  await context.remove(dhcpBinding, id)
  await scheduleNetwork(context, network_id)
  return true
}

/**
 * The agent that has a network for longest answers what comes in on the wire. One that is down keeps the network and is
 * given it anew, so that it comes after those that live.
 */
async function standBack(context: Context, id: string, network_id: string): Promise<void> {
  const bindings = (await context.find('dhcp_binding', { network_id })) as unknown as DhcpBinding[]
  const [own, others] = [bindings.find((one) => one.id === id), bindings.filter((one) => one.id !== id)]
  const after = others.filter((one) => own && `${own.created_at} ${own.id}` < `${one.created_at} ${one.id}`)
  if (!own || after.length === 0) return
  const agents = await context.find(agent.name, { id: after.map(({ agent_id }) => agent_id) })
  if (!agents.some((one) => one['alive'] === true)) return
  await context.remove(dhcpBinding, id)
  await context.create(dhcpBinding, { network_id, agent_id: own.agent_id, host: own.host })
}

/** Gives networks a host more for segments that none of theirs reaches and that have ports on the wire. Answers how many. */
export async function serveWires(context: Context): Promise<number> {
  const wires = (await context.find('unserved_wire', {})) as unknown as UnservedWire[]
  // One host may reach several segments of a network.
  const wanted = new Map(wires.map((one) => [`${one.network_id} ${one.agent_id}`, one]))
  for (const { network_id, agent_id, host } of wanted.values())
    if (await context.load('network', network_id, 'share'))
      await context.create(dhcpBinding, { network_id, agent_id, host })
  return wanted.size
}

async function leaveRouter(context: Context, id: string, router_id: string): Promise<boolean> {
  const router = await context.load('router', router_id, 'update')
  const candidates = await context.find('router_candidate', { router_id })
  if (candidates.length === 0 || !router || !(await context.load('router_binding', id, 'update'))) return false
  await context.remove(routerBinding, id)
  await scheduleRouter(context, router_id, router['ha'] === true)
  return true
}

/** Gives an agent to what needs one and has none. */
export async function scheduleWaiting(context: Context, kind: LostBinding['kind']): Promise<void> {
  for (const { id } of await context.find('unscheduled', { kind })) {
    if (kind === 'dhcp') await scheduleNetwork(context, String(id))
    else {
      const router = await context.load('router', String(id), 'update')
      if (router) await scheduleRouter(context, String(id), router['ha'] === true)
    }
  }
}
