/** Who may do what with trunks and the ports beneath them. */
import {
  ADMIN_OR_MEMBER,
  ADMIN_OR_OWNER,
  ADMIN_OR_READER,
  ANYONE,
  action,
  crud,
  owned,
  put,
  type RuleDefault,
  read,
} from './rule.ts'

export const trunk: readonly RuleDefault[] = [
  ...owned('trunk', 'a trunk', crud('/trunks')),
  action('get_subports', read('/trunks/{id}/get_subports'), 'See the subports of a trunk.', ADMIN_OR_READER, ANYONE),
  action('add_subports', put('/trunks/{id}/add_subports'), 'Add subports to a trunk.', ADMIN_OR_MEMBER, ADMIN_OR_OWNER),
  action(
    'remove_subports',
    put('/trunks/{id}/remove_subports'),
    'Remove subports from a trunk.',
    ADMIN_OR_MEMBER,
    ADMIN_OR_OWNER,
  ),
]
