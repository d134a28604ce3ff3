/** Errors of routers, their interfaces and gateways. */
import { define } from './spec.ts'

export const routerErrors = define({})
