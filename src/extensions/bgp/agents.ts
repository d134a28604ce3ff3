/** The agents of BGP speakers: a speaker is given to one when it comes, or when one comes; operators move it. */
import { ApiError } from '#kernel/errors.ts'
import { isUuid } from '#kernel/ids.ts'
import { type Action, type Context, type ExtensionPart, uuid } from '#model/define.ts'
import { agent } from '#resources/agent.ts'
import { candidate, speakerAgent, untie } from './bindings.ts'

const BGP_AGENT = 'BGP dynamic routing agent'

/** Gives the speaker to an agent that lives and has none, or such an agent a speaker; where there are both. */
export async function schedule(
  context: Context,
  end: { readonly bgp_speaker_id: string } | { readonly agent_id: string },
): Promise<void> {
  const [found] = await context.find(candidate.name, end)
  if (found)
    await context.create(speakerAgent, { bgp_speaker_id: found['bgp_speaker_id'], agent_id: found['agent_id'] })
}

export const listAgents: Action = {
  name: 'list_bgp_dragents',
  method: 'GET',
  path: 'bgp-dragents',
  rule: 'list_dragent_hosting_bgp_speaker',
  docs: 'The agents that have the speaker.',
  run: async (context, { object }) => {
    const held = await context.find(speakerAgent.name, { bgp_speaker_id: String(object['id']) })
    const agents =
      held.length > 0 ? await context.find(agent.name, { id: held.map((one) => String(one['agent_id'])) }) : []
    return { agents: agents.map((one) => context.shown(agent.name, one)) }
  },
}

const list: Action = {
  name: 'list_bgp_drinstances',
  method: 'GET',
  path: 'bgp-drinstances',
  rule: 'list_bgp_speaker_on_dragent',
  docs: 'The BGP speakers that the agent has.',
  run: async (context, { object }) => {
    const held = await context.find(speakerAgent.name, { agent_id: String(object['id']) })
    const ids = held.map((one) => String(one['bgp_speaker_id']))
    const speakers = ids.length > 0 ? await context.visible('bgp_speaker', ids) : []
    return { bgp_speakers: speakers.map((one) => context.shown('bgp_speaker', one)) }
  },
}

const add: Action = {
  name: 'add_bgp_drinstance',
  method: 'POST',
  path: 'bgp-drinstances',
  rule: 'add_bgp_speaker_to_dragent',
  status: 201,
  lock: 'share',
  body: { bgp_speaker_id: uuid({ set: 'create', required: true }) },
  docs: 'Gives the agent a BGP speaker; it may have one.',
  run: async (context, { object, body }) => {
    const [agent_id, id] = [String(object['id']), String(body['bgp_speaker_id'])]
    if (object['agent_type'] !== BGP_AGENT || object['admin_state_up'] !== true)
      throw new ApiError('DrAgentInvalid', { id: agent_id })
    const [speaker] = await context.visible('bgp_speaker', [id])
    if (!speaker) throw new ApiError('BgpSpeakerNotFound', { id })
    const [held] = await context.find(speakerAgent.name, { agent_id })
    if (held) throw new ApiError('DrAgentAssociationError', { agent_id })
    await context.create(speakerAgent, { bgp_speaker_id: id, agent_id })
    return {}
  },
}

const remove: Action = {
  name: 'remove_bgp_drinstance',
  method: 'DELETE',
  path: 'bgp-drinstances/:bgp_speaker_id',
  rule: 'remove_bgp_speaker_from_dragent',
  lock: 'share',
  docs: 'Takes a BGP speaker from the agent.',
  run: async (context, { object, params }) => {
    const [agent_id, bgp_speaker_id] = [String(object['id']), params['bgp_speaker_id'] ?? '']
    if (object['agent_type'] !== BGP_AGENT) throw new ApiError('DrAgentInvalid', { id: agent_id })
    const [held] = isUuid(bgp_speaker_id) ? await context.find(speakerAgent.name, { agent_id, bgp_speaker_id }) : []
    if (!held) throw new ApiError('DrAgentNotHostingBgpSpeaker', { bgp_speaker_id, agent_id })
    await context.remove(speakerAgent, String(held['id']))
  },
}

/** The agents of a speaker that goes are free for those that wait for one. */
export async function freeAgents(context: Context, bgp_speaker_id: string): Promise<void> {
  const held = await context.find(speakerAgent.name, { bgp_speaker_id })
  for (const { id } of held) await context.remove(speakerAgent, String(id))
  // Not before the speaker itself is gone: it would wait for one as well.
  for (const { agent_id } of held) context.afterWrite(() => schedule(context, { agent_id: String(agent_id) }))
}

/** An agent that comes is given a speaker that waits for one; one that goes leaves its own without. */
export const bgpAgents: ExtensionPart = {
  actions: [list, add, remove],
  async inTx(context, { op, before, after }) {
    if (op === 'delete') await untie(context, speakerAgent, { agent_id: String(before?.['id']) })
    if (op !== 'create' || after?.['agent_type'] !== BGP_AGENT) return undefined
    context.afterWrite(() => schedule(context, { agent_id: String(after['id']) }))
    return undefined
  },
}
