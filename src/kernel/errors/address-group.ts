/** Errors of address groups. */
import { define } from './spec.ts'

export const addressGroupErrors = define({})
