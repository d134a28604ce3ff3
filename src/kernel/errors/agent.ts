/** Errors of agents. */
import { define } from './spec.ts'

export const agentErrors = define({
  AgentNotFound: {
    status: 404,
    message: 'Agent %(id)s could not be found.',
    when: 'The agent is not there, or not for this caller.',
  },
  AgentInUse: {
    status: 409,
    message: 'Agent %(id)s of host %(host)s is alive: stop it, or set its admin_state_up to false, before deleting it.',
    when: 'An agent that is alive and administratively up is deleted.',
  },
})
