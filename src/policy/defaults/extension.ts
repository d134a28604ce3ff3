/** Which extensions of the API there are: no secret. */
import { action, crud, type RuleDefault } from './rule.ts'

export const extension: readonly RuleDefault[] = [
  action('get_extension', crud('/extensions').get, 'See the extensions of the API.', 'rule:regular_user'),
]
