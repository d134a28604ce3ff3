/** Errors of metering labels and rules. */
import { define } from './spec.ts'

export const meteringErrors = define({})
