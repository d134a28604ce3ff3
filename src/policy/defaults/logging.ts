/** Who may have packets of security groups logged: administrators. */
import { ADMIN, action, administered, confine, crud, type RuleDefault, read } from './rule.ts'

export const logging: readonly RuleDefault[] = [
  action('get_loggable_resource', read('/log/loggable-resources'), 'See what can be logged.', ADMIN),
  ...administered('log', 'a log', crud('/log/logs')).map((rule) => (rule.name === 'get_log' ? confine(rule) : rule)),
]
