/**
 * DHCP agents of networks. A network's DHCP is served on every host that has ports of it; a binding keeps it served on
 * one more, so that it is there before the first port and while there is none. Bindings are made with the network's
 * first subnet with DHCP, and by operators.
 */
import { ApiError } from '#kernel/errors.ts'
import { isUuid } from '#kernel/ids.ts'
import { type Action, type Call, type Context, type ExtensionPart, uuid } from '#model/define.ts'
import { agent } from '#resources/agent.ts'
import { type DhcpBinding, dhcpBinding, type DhcpCandidate } from './bindings.ts'
import { choose } from './choose.ts'

const DHCP_AGENT = 'DHCP agent'

const bindingsOf = async (context: Context, network_id: string): Promise<readonly DhcpBinding[]> =>
  (await context.find('dhcp_binding', { network_id })) as unknown as DhcpBinding[]

const bindingsOfAgent = async (context: Context, agent_id: string, network_id: string) =>
  isUuid(network_id) ? context.find('dhcp_binding', { network_id, agent_id }) : []

const candidatesOf = async (context: Context, network_id: string): Promise<readonly DhcpCandidate[]> =>
  (await context.find('dhcp_candidate', { network_id })) as unknown as DhcpCandidate[]

/** Gives the network to as many agents as it lacks; to none where there is none. */
export const scheduleNetwork = async (context: Context, network_id: string): Promise<void> =>
  giveTo(context, network_id, await candidatesOf(context, network_id))

async function giveTo(context: Context, network_id: string, candidates: readonly DhcpCandidate[]): Promise<void> {
  const lacking = context.limits.dhcpAgentsPerNetwork - (candidates[0]?.bound ?? 0)
  for (const { agent_id, host } of choose(candidates, lacking))
    await context.add(dhcpBinding, { network_id, agent_id, host })
}

export async function unbindNetwork(context: Context, network_id: string): Promise<void> {
  for (const { id } of await bindingsOf(context, network_id)) await context.remove(dhcpBinding, id)
}

const visibleNetwork = async (context: Context, id: string): Promise<void> => {
  if ((await context.visible('network', [id])).length === 0) throw new ApiError('NetworkNotFound', { net_id: id })
}

async function served(context: Context, where: { network_id: string } | { agent_id: string }, other: string) {
  const services = await context.find('dhcp_service', where)
  return services.map((one) => String(one[other]))
}

const list: Action = {
  name: 'list_dhcp_networks',
  method: 'GET',
  path: 'dhcp-networks',
  rule: 'get_dhcp-networks',
  docs: 'The networks whose DHCP the agent serves: those it was given, and those with ports on its host.',
  run: async (context, { object }) => {
    const ids = await served(context, { agent_id: String(object['id']) }, 'network_id')
    const networks = ids.length === 0 ? [] : await context.visible('network', ids)
    return { networks: networks.map((one) => context.shown('network', one)) }
  },
}

const add: Action = {
  name: 'add_dhcp_network',
  method: 'POST',
  path: 'dhcp-networks',
  rule: 'create_dhcp-network',
  status: 201,
  body: { network_id: uuid({ set: 'create', required: true }) },
  docs: 'Gives the agent a network, whose DHCP it serves from then on whether its host has ports of it or not.',
  run: async (context, { object, body }: Call) => {
    const [network_id, agent_id] = [String(body['network_id']), String(object['id'])]
    await visibleNetwork(context, network_id)
    if (object['agent_type'] !== DHCP_AGENT || object['admin_state_up'] !== true)
      throw new ApiError('InvalidDHCPAgent', { id: agent_id })
    const bindings = await bindingsOf(context, network_id)
    if (bindings.some((one) => one.agent_id === agent_id))
      throw new ApiError('NetworkHostedByDHCPAgent', { network_id, agent_id })
    await context.create(dhcpBinding, { network_id, agent_id, host: object['host'] })
    return {}
  },
}

const remove: Action = {
  name: 'remove_dhcp_network',
  method: 'DELETE',
  path: 'dhcp-networks/:network_id',
  rule: 'delete_dhcp-network',
  docs: 'Takes a network from the agent. Where ports of the network live, its DHCP is served still.',
  run: async (context, { object, params }) => {
    const [network_id, agent_id] = [params['network_id'] ?? '', String(object['id'])]
    const bound = (await bindingsOfAgent(context, agent_id, network_id))[0]
    if (!bound) throw new ApiError('NetworkNotHostedByDhcpAgent', { network_id, agent_id })
    await context.remove(dhcpBinding, String(bound['id']))
  },
}

const listAgents: Action = {
  name: 'list_dhcp_agents',
  method: 'GET',
  path: 'dhcp-agents',
  rule: 'get_dhcp-agents',
  docs: 'The agents that serve the DHCP of the network.',
  run: async (context, { object }) => {
    const ids = await served(context, { network_id: String(object['id']) }, 'agent_id')
    const agents = ids.length === 0 ? [] : await context.find(agent.name, { id: ids })
    return { agents: agents.map((one) => context.shown(agent.name, one)) }
  },
}

export const dhcpAgentActions: readonly Action[] = [list, add, remove]

export const dhcpNetworks: ExtensionPart = {
  actions: [listAgents],
  inTx: async (context, { op, before }) => {
    if (op === 'delete') await unbindNetwork(context, String(before?.['id']))
    return undefined
  },
}

export const dhcpSubnets: ExtensionPart = {
  foresee: (context, op, subnets) => {
    if (op !== 'create') return
    for (const one of subnets)
      if (one['enable_dhcp'] === true) context.ahead(candidatesOf(context, String(one['network_id'])))
  },
  inTx: async (context, { before, after }) => {
    if (after?.['enable_dhcp'] !== true || before?.['enable_dhcp'] === true) return undefined
    const network_id = String(after['network_id'])
    // The subnet's write has no part in who serves the network.
    const candidates = candidatesOf(context, network_id)
    context.ahead(candidates)
    context.afterWrite(async () => giveTo(context, network_id, await candidates), `agents of ${network_id}`)
    return undefined
  },
}
