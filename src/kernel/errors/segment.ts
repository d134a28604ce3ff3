/** Errors of segments and segment ranges. */
import { define } from './spec.ts'

export const segmentErrors = define({})
