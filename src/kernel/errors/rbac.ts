/** Errors of RBAC policies. */
import { define } from './spec.ts'

export const rbacErrors = define({
  RbacPolicyNotFound: {
    status: 404,
    message: 'RBAC policy of type %(object_type)s with ID %(id)s not found',
    when: 'The policy is not there, or not for this caller.',
  },
  RbacPolicyInUse: {
    status: 409,
    message:
      'RBAC policy on object %(object_id)s cannot be removed because other objects depend on it. Details: %(details)s',
    when: 'A project uses the object and would lose it; `facts.projects` has who.',
  },
  DuplicateRbacPolicy: {
    status: 409,
    message: 'An RBAC policy already exists with those values.',
    when: 'The object is shared with this project in this way already.',
  },
  InvalidActionForType: {
    status: 400,
    message: "Invalid action '%(action)s' for object type '%(object_type)s'. Valid actions: %(valid_actions)s",
    when: 'Objects of this type are not shared in this way.',
  },
})
