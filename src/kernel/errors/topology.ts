/** Errors of auto-allocated topologies. */
import { define } from './spec.ts'

export const topologyErrors = define({
  AutoAllocationFailure: {
    status: 409,
    message: 'Deployment error: %(reason)s.',
    when: 'There is no default external network or no default subnet pool, or they have nothing left.',
  },
  DefaultExternalNetworkExists: {
    status: 409,
    message: 'A default external network already exists: %(net_id)s.',
    when: 'Another external network is the default already.',
  },
})
