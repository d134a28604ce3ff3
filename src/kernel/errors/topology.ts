/** Errors of auto-allocated topologies. */
import { define } from './spec.ts'

export const topologyErrors = define({})
