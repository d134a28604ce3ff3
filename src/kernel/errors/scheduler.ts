/** Errors of agent schedulers and availability zones. */
import { define } from './spec.ts'

export const schedulerErrors = define({})
