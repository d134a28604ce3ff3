/** Who may see and change agents, and what they are scheduled to do: administrators. */
import { ADMIN, action, crud, type Operation, post, type RuleDefault, read, remove } from './rule.ts'

const agents = crud('/agents')
const only = (name: string, operations: readonly Operation[], description: string): RuleDefault =>
  action(name, operations, description, ADMIN)

export const agent: readonly RuleDefault[] = [
  only('get_agent', agents.get, 'See an agent.'),
  only('update_agent', agents.update, 'Change an agent.'),
  only('delete_agent', agents.remove, 'Delete an agent.'),
  only('create_dhcp-network', post('/agents/{agent_id}/dhcp-networks'), 'Give a network to a DHCP agent.'),
  only('get_dhcp-networks', read('/agents/{agent_id}/dhcp-networks'), 'See the networks of a DHCP agent.'),
  only(
    'delete_dhcp-network',
    remove('/agents/{agent_id}/dhcp-networks/{network_id}'),
    'Take a network from a DHCP agent.',
  ),
  only('create_l3-router', post('/agents/{agent_id}/l3-routers'), 'Give a router to an L3 agent.'),
  only('get_l3-routers', read('/agents/{agent_id}/l3-routers'), 'See the routers of an L3 agent.'),
  only('delete_l3-router', remove('/agents/{agent_id}/l3-routers/{router_id}'), 'Take a router from an L3 agent.'),
  only('get_dhcp-agents', read('/networks/{network_id}/dhcp-agents'), 'See the DHCP agents of a network.'),
  only('get_l3-agents', read('/routers/{router_id}/l3-agents'), 'See the L3 agents of a router.'),
]
