/** Errors of agents. */
import { define } from './spec.ts'

export const agentErrors = define({
  AgentNotFound: {
    status: 404,
    message: 'Agent %(id)s could not be found.',
    when: 'The agent is not there, or not for this caller.',
  },
})
