/** Who may see which providers of services there are. */
import { ANYONE, action, type RuleDefault, read } from './rule.ts'

export const serviceType: readonly RuleDefault[] = [
  action('get_service_provider', read('/service-providers'), 'See the providers of services.', 'role:reader', ANYONE),
]
