/** Errors of tags. */
import { define } from './spec.ts'

export const tagErrors = define({})
