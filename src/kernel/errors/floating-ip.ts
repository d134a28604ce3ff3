/** Errors of floating IPs, port forwardings and pools. */
import { define } from './spec.ts'

export const floatingIpErrors = define({})
