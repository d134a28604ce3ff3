/** Errors of RBAC policies. */
import { define } from './spec.ts'

export const rbacErrors = define({})
