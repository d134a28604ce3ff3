/** What resources that can be shared with projects have in common. RBAC policies keep the list. */
import { audienceList, flag } from '#model/define.ts'

export const shareable = {
  /** For clients that set it: with every project. For those who read it: with theirs. */
  shared: flag({
    set: 'always',
    default: false,
    filter: true,
    sort: true,
    policy: true,
    audience: { list: 'shared_with', sql: 't.shared_with' },
  }),
  shared_with: audienceList({ column: 'shared_with' }),
} as const
