/** Who may see and change agents: administrators. */
import { ADMIN, action, crud, type RuleDefault } from './rule.ts'

const { get, update, remove } = crud('/agents')

export const agent: readonly RuleDefault[] = [
  action('get_agent', get, 'See an agent.', ADMIN),
  action('update_agent', update, 'Change an agent.', ADMIN),
  action('delete_agent', remove, 'Delete an agent.', ADMIN),
]
