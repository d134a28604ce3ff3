/** Errors of conntrack helpers, NDP proxies and local IPs. */
import { define } from './spec.ts'

export const natErrors = define({})
