/**
 * L3 agents of routers: the hosts that have a router's outside. A router gets them with its first interface or
 * gateway, one with high availability from the beginning and up to as many as configured; operators move them.
 */
import { ApiError } from '#kernel/errors.ts'
import { isUuid } from '#kernel/ids.ts'
import {
  type Action,
  type Call,
  type Context,
  type Draft,
  type ExtensionPart,
  type Resource,
  uuid,
} from '#model/define.ts'
import { agent } from '#resources/agent.ts'
import { port } from '#resources/port.ts'
import { type Candidate, type RouterBinding, routerBinding } from './bindings.ts'
import { choose } from './choose.ts'

const L3_AGENT = 'L3 agent'
/** Agents that have no outside of routers, only the way between ports of their own host. */
const INNER_MODES: readonly unknown[] = ['dvr', 'dvr_no_external']

export const bindingsOf = async (context: Context, router_id: string): Promise<readonly RouterBinding[]> =>
  (await context.find('router_binding', { router_id })) as unknown as RouterBinding[]

/** The lowest slot that is free. */
const freeSlot = (taken: readonly number[]): number => {
  let slot = 1
  while (taken.includes(slot)) slot++
  return slot
}

/** Gives the router to as many agents as it lacks; to none where there is none, or the router is not there yet. */
export async function scheduleRouter(context: Context, router_id: string, ha: boolean): Promise<void> {
  const bindings = await bindingsOf(context, router_id)
  const lacking = (ha ? context.limits.maxL3AgentsPerRouter : 1) - bindings.length
  if (lacking <= 0) return
  const candidates = (await context.find('router_candidate', { router_id })) as unknown as Candidate[]
  const slots = bindings.map(({ slot }) => slot)
  for (const { agent_id, host } of choose(candidates, lacking)) {
    const slot = freeSlot(slots)
    slots.push(slot)
    await context.create(routerBinding, { router_id, agent_id, host, slot })
  }
}

/** Takes the router from an agent; without any, its ports lead nowhere. */
export async function unbindRouter(context: Context, router_id: string, binding: string): Promise<void> {
  await context.remove(routerBinding, binding)
  if ((await bindingsOf(context, router_id)).length > 0) return
  for (const { id } of await context.find('port', { router_id, status: 'ACTIVE' }))
    await context.update(port as unknown as Resource, String(id), { status: 'DOWN' })
}

const modeOf = ({ configurations }: Readonly<Draft>): unknown =>
  (configurations as Readonly<Draft> | undefined)?.['agent_mode'] ?? 'legacy'

/** Why this agent cannot have this router. */
function objection(of: Readonly<Draft>, router: Readonly<Draft>): ApiError | null {
  const id = String(of['id'])
  if (of['agent_type'] !== L3_AGENT) return new ApiError('InvalidL3Agent', { id })
  const mode = modeOf(of)
  if (INNER_MODES.includes(mode)) return new ApiError('DVRL3CannotAssignToDvrAgent')
  if (mode === 'legacy' && router['distributed'] === true)
    return new ApiError('RouterL3AgentMismatch', { router_id: router['id'], agent_id: id })
  return of['admin_state_up'] === true ? null : new ApiError('InvalidL3Agent', { id })
}

const list: Action = {
  name: 'list_l3_routers',
  method: 'GET',
  path: 'l3-routers',
  rule: 'get_l3-routers',
  docs: 'The routers that the agent was given.',
  run: async (context, { object }) => {
    const bindings = await context.find('router_binding', { agent_id: String(object['id']) })
    const ids = bindings.map((one) => String(one['router_id']))
    const routers = ids.length === 0 ? [] : await context.visible('router', ids)
    return { routers: routers.map((one) => context.shown('router', one)) }
  },
}

const add: Action = {
  name: 'add_l3_router',
  method: 'POST',
  path: 'l3-routers',
  rule: 'create_l3-router',
  status: 201,
  body: { router_id: uuid({ set: 'create', required: true }) },
  lock: 'share',
  docs: 'Gives the agent a router: its outside is on the host of the agent from then on.',
  run: async (context, { object, body }: Call) => {
    const [router_id, agent_id] = [String(body['router_id']), String(object['id'])]
    const [router] =
      (await context.visible('router', [router_id])).length > 0
        ? [await context.load('router', router_id, 'update')]
        : []
    if (!router) throw new ApiError('RouterNotFound', { router_id })
    const refused = objection(object, router)
    if (refused) throw refused
    const bindings = await bindingsOf(context, router_id)
    if (bindings.some((one) => one.agent_id === agent_id)) return {}
    const [other] = bindings
    if (other && router['ha'] !== true)
      throw new ApiError('RouterHostedByL3Agent', { router_id, agent_id: other.agent_id })
    const slot = freeSlot(bindings.map((one) => one.slot))
    await context.create(routerBinding, { router_id, agent_id, host: object['host'], slot })
    return {}
  },
}

const remove: Action = {
  name: 'remove_l3_router',
  method: 'DELETE',
  path: 'l3-routers/:router_id',
  rule: 'delete_l3-router',
  lock: 'share',
  docs: 'Takes a router from the agent. It is given to another only when it changes, or by an operator.',
  run: async (context, { object, params }) => {
    const [router_id, agent_id] = [params['router_id'] ?? '', String(object['id'])]
    if (INNER_MODES.includes(modeOf(object))) throw new ApiError('DVRL3CannotRemoveFromDvrAgent')
    const [router] = isUuid(router_id) ? await context.visible('router', [router_id]) : []
    if (!router) throw new ApiError('RouterNotFound', { router_id })
    const [bound] = await context.find('router_binding', { router_id, agent_id })
    if (bound) await unbindRouter(context, router_id, String(bound['id']))
  },
}

const listAgents: Action = {
  name: 'list_l3_agents',
  method: 'GET',
  path: 'l3-agents',
  rule: 'get_l3-agents',
  docs: 'The agents that have the outside of the router.',
  run: async (context, { object }) => {
    const ids = (await bindingsOf(context, String(object['id']))).map(({ agent_id }) => agent_id)
    const agents = ids.length === 0 ? [] : await context.find(agent.name, { id: ids })
    return { agents: agents.map((one) => context.shown(agent.name, one)) }
  },
}

export const l3AgentActions: readonly Action[] = [list, add, remove]

export const scheduledRouters: ExtensionPart = {
  actions: [listAgents],
  inTx: async (context, { op, before, after }) => {
    const router = (after ?? before) as Readonly<Draft>
    const id = String(router['id'])
    if (op === 'delete') for (const one of await bindingsOf(context, id)) await context.remove(routerBinding, one.id)
    const ha = router['ha'] === true
    const begins = (after: Readonly<Draft> | null): boolean => Boolean(after?.['external_gateway_info']) || ha
    if (op === 'create' && begins(after)) context.afterWrite(() => scheduleRouter(context, id, ha))
    if (op === 'update') await follow(context, before as Readonly<Draft>, router)
    return undefined
  },
}

/** A router that gets a gateway, or changes how available it is, changes its agents. */
async function follow(context: Context, before: Readonly<Draft>, router: Readonly<Draft>): Promise<void> {
  const id = String(router['id'])
  const ha = router['ha'] === true
  const lostHa = before['ha'] === true && !ha
  if (lostHa)
    for (const one of await bindingsOf(context, id)) if (one.slot > 1) await context.remove(routerBinding, one.id)
  const outside = outsideOf(router)
  const gained = outside !== null && outside !== outsideOf(before)
  if (gained || (ha && before['ha'] !== true)) context.afterWrite(() => scheduleRouter(context, id, ha))
}

/** The network a router's gateway is on. */
const outsideOf = (router: Readonly<Draft>): string | null =>
  (router['external_gateway_info'] as { readonly network_id: string } | null)?.network_id ?? null

/** A router's first interface. To a gateway the router itself sees, in whose write it is made. */
export const scheduledInterfaces: ExtensionPart = {
  inTx: async (context, { before, after }) => {
    const router_id = after?.['router_id']
    if (typeof router_id !== 'string' || before?.['router_id'] === router_id) return undefined
    if (after?.['device_owner'] === 'network:router_gateway') return undefined
    context.afterWrite(async () => {
      const router = await context.load('router', router_id)
      if (router) await scheduleRouter(context, router_id, router['ha'] === true)
    })
    return undefined
  },
}
