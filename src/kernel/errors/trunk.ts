/** Errors of trunks and subports. */
import { define } from './spec.ts'

export const trunkErrors = define({})
