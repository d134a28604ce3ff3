/** Errors of packet logging. */
import { define } from './spec.ts'

export const loggingErrors = define({})
