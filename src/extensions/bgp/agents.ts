/** BGP speakers on agents: an agent has one speaker, a speaker any number of agents. */
import { ApiError } from '#kernel/errors.ts'
import { isUuid } from '#kernel/ids.ts'
import { type Action, type Call, uuid } from '#model/define.ts'
import { speakerAgent } from './parts.ts'

const BGP_AGENT = 'BGP dynamic routing agent'

export const drInstanceActions: readonly Action[] = [
  {
    name: 'list_bgp_drinstances',
    method: 'GET',
    path: 'bgp-drinstances',
    rule: 'list_bgp_speaker_on_dragent',
    docs: 'The BGP speakers that the agent has.',
    run: async (context, { object }) => {
      const bound = await context.find('bgp_speaker_agent', { agent_id: String(object['id']) })
      const ids = bound.map((one) => String(one['bgp_speaker_id']))
      const speakers = ids.length === 0 ? [] : await context.visible('bgp_speaker', ids)
      return { bgp_speakers: speakers.map((one) => context.shown('bgp_speaker', one)) }
    },
  },
  {
    name: 'add_bgp_drinstance',
    method: 'POST',
    path: 'bgp-drinstances',
    rule: 'add_bgp_speaker_to_dragent',
    status: 201,
    body: { bgp_speaker_id: uuid({ set: 'create', required: true }) },
    docs: 'Gives the agent a BGP speaker.',
    run: async (context, { object, body }: Call) => {
      const [agent_id, bgp_speaker_id] = [String(object['id']), String(body['bgp_speaker_id'])]
      if (object['agent_type'] !== BGP_AGENT || object['admin_state_up'] !== true)
        throw new ApiError('DrAgentInvalid', { id: agent_id })
      if (!(await context.load('bgp_speaker', bgp_speaker_id, 'share')))
        throw new ApiError('BgpSpeakerNotFound', { id: bgp_speaker_id })
      const [taken] = await context.find('bgp_speaker_agent', { agent_id })
      if (taken) throw new ApiError('DrAgentAssociationError', { agent_id })
      await context.create(speakerAgent, { agent_id, bgp_speaker_id })
      return {}
    },
  },
  {
    name: 'remove_bgp_drinstance',
    method: 'DELETE',
    path: 'bgp-drinstances/:bgp_speaker_id',
    rule: 'remove_bgp_speaker_from_dragent',
    docs: 'Takes a BGP speaker from the agent.',
    run: async (context, { object, params }) => {
      const [agent_id, bgp_speaker_id] = [String(object['id']), params['bgp_speaker_id'] ?? '']
      if (object['agent_type'] !== BGP_AGENT) throw new ApiError('DrAgentInvalid', { id: agent_id })
      const [bound] = isUuid(bgp_speaker_id)
        ? await context.find('bgp_speaker_agent', { agent_id, bgp_speaker_id })
        : []
      if (!bound) throw new ApiError('DrAgentNotHostingBgpSpeaker', { bgp_speaker_id, agent_id })
      await context.remove(speakerAgent, String(bound['id']))
    },
  },
]

export const agentActions: readonly Action[] = [
  {
    name: 'list_bgp_dragents',
    method: 'GET',
    path: 'bgp-dragents',
    rule: 'list_dragent_hosting_bgp_speaker',
    docs: 'The agents that have the speaker.',
    run: async (context, { object }) => {
      const bound = await context.find('bgp_speaker_agent', { bgp_speaker_id: String(object['id']) })
      const ids = bound.map((one) => String(one['agent_id']))
      const agents = ids.length === 0 ? [] : await context.find('agent', { id: ids })
      return { agents: agents.map((one) => context.shown('agent', one)) }
    },
  },
]
