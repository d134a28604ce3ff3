/** Who may see and change the quotas of any project. A caller sees the quotas of its own project without a rule. */
import { ADMIN, action, crud, type RuleDefault } from './rule.ts'

const { get, update, remove } = crud('/quotas')

export const quota: readonly RuleDefault[] = [
  action('get_quota', get, 'See the quotas of a project.', ADMIN),
  action('update_quota', update, 'Change the quotas of a project.', ADMIN),
  action('delete_quota', remove, 'Return the quotas of a project to the defaults.', ADMIN),
]
