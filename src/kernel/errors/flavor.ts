/** Errors of flavors and service profiles. */
import { define } from './spec.ts'

export const flavorErrors = define({})
