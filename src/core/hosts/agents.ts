/** What hosts tell the server, as operations of the system: who they are, and which ports really work. */
import type { Caller } from '#kernel/caller.ts'
import type { Resource } from '#model/define.ts'
import { agent } from '#resources/agent.ts'
import { type Core, operateInternally } from '../operation.ts'
import { type AgentReport, type AgentRow, rolesOf } from './agent-roles.ts'
import type { Unit } from '../unit.ts'

/** The system itself, in the change log. */
export const SYSTEM: Caller = {
  userId: 'deuteron',
  userName: 'deuteron',
  projectId: null,
  projectName: null,
  domainId: null,
  systemScope: 'all',
  roles: ['admin'],
  serviceRoles: [],
  expiresAt: new Date(8.64e15),
}

/**
 * One statement for all agents of a host. It leaves out those that were not heard of for too long, and those that say
 * something of themselves that others may depend on: these are changes, not heartbeats.
 */
const HEARTBEAT = `
  update agents a set heartbeat_timestamp = now(), started_at = $2, configurations = r.configurations
    from jsonb_to_recordset($3) as r (agent_type text, availability_zone text, configurations jsonb, news text[])
    where a.host = $1 and a.agent_type = r.agent_type
      and a.refused is null and a.heartbeat_timestamp > now() - current_setting('deuteron.agent_down_time')::interval
      and a.availability_zone is not distinct from r.availability_zone
      and a.configurations - r.news = r.configurations - r.news
    returning a.agent_type`

/** Takes a heartbeat. Answers true when it changed what other hosts, binding or schedulers depend on. */
export async function recordAgent(core: Core, report: AgentReport): Promise<boolean> {
  const { host, started_at } = report
  const roles = rolesOf(report)
  const beating = await core.database.query<{ agent_type: string }>(HEARTBEAT, [
    host,
    started_at,
    JSON.stringify(roles),
  ])
  const same = new Set(beating.map((one) => one.agent_type))
  const changed = roles.filter(({ agent_type }) => !same.has(agent_type))
  if (changed.length === 0) return false
  await operateInternally(core, SYSTEM, `agent ${host}`, async (unit) => {
    await unit.tx.query('update agents set refused = null where host = $1 and refused is not null', [host])
    for (const role of changed) await storeAgent(unit, report, role)
  })
  return true
}

async function storeAgent(unit: Unit, { host, started_at }: AgentReport, role: AgentRow): Promise<void> {
  const { context } = unit
  const { agent_type, availability_zone, configurations } = role
  const facts = { availability_zone, configurations, started_at, heartbeat_timestamp: context.now }
  const [known] = await context.find('agent', { host, agent_type })
  const resource = agent as unknown as Resource
  if (known) await context.update(resource, String(known['id']), facts)
  else {
    const fixed = { host, agent_type, binary: 'deuteron-agent', topic: role.topic }
    await context.create(resource, {
      ...fixed,
      admin_state_up: true,
      description: null,
      resources_synced: null,
      ...facts,
    })
  }
}
