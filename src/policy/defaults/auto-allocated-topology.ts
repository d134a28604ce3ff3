/** Who may get a topology made for a project, and take it down. */
import {
  ADMIN_OR_MEMBER,
  ADMIN_OR_OWNER,
  ADMIN_OR_READER,
  action,
  confine,
  type RuleDefault,
  read,
  remove,
} from './rule.ts'

const PATH = '/auto-allocated-topology/{project_id}'

export const autoAllocatedTopology: readonly RuleDefault[] = [
  confine(
    action(
      'get_auto_allocated_topology',
      read(PATH),
      "See a project's automatic topology; it is made when there is none.",
      ADMIN_OR_READER,
      ADMIN_OR_OWNER,
    ),
  ),
  action(
    'delete_auto_allocated_topology',
    remove(PATH),
    "Delete a project's automatic topology.",
    ADMIN_OR_MEMBER,
    ADMIN_OR_OWNER,
  ),
]
