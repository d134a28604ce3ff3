/** Who may see availability zones. */
import { ANYONE, action, type RuleDefault, read } from './rule.ts'

export const availabilityZone: readonly RuleDefault[] = [
  action('get_availability_zone', read('/availability_zones'), 'See the availability zones.', 'role:reader', ANYONE),
]
