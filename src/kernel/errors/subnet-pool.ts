/** Errors of subnet pools and address scopes. */
import { define } from './spec.ts'

export const subnetPoolErrors = define({})
