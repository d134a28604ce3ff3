/** What agents tell the server, as operations of the system: who they are, and which ports really work. */
import { canonicalJson } from '#kernel/fingerprint.ts'
import { newId } from '#kernel/ids.ts'
import type { Caller } from '#kernel/caller.ts'
import type { Draft } from '#model/define.ts'
import type { Image } from '#store/objects.ts'
import { type Core, operateInternally } from './operation.ts'
import type { Unit } from './unit.ts'

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

export interface AgentReport {
  readonly host: string
  readonly configurations: Readonly<Record<string, unknown>>
  /** RFC 3339. */
  readonly started_at: string
}

const AGENT_TYPE = 'Open vSwitch agent'

/** What others depend on: a change of it is a change of the agent, everything else is a heartbeat. */
const RELEVANT = ['tunneling_ip', 'tunnel_types', 'bridge_mappings', 'datapath_type']

/** Takes a heartbeat. Answers true when it changed what other hosts or binding depend on. */
export async function recordAgent(core: Core, report: AgentReport): Promise<boolean> {
  const beats = await core.database.query<{ configurations: Record<string, unknown> }>(
    `update agents a set heartbeat_timestamp = now(), started_at = $2, refused = null,
        configurations = case when ${RELEVANT.map((name) => `a.configurations->'${name}' is not distinct from $3::jsonb->'${name}'`).join(' and ')}
          then $3::jsonb else a.configurations end
      where a.host = $1 and a.agent_type = '${AGENT_TYPE}' returning a.configurations`,
    [report.host, report.started_at, JSON.stringify(report.configurations)],
  )
  const [known] = beats
  const same =
    known &&
    RELEVANT.every(
      (name) =>
        canonicalJson(known.configurations[name] ?? null) === canonicalJson(report.configurations[name] ?? null),
    )
  if (same) return false
  await operateInternally(core, SYSTEM, `agent ${report.host}`, (unit) => storeAgent(unit, report))
  return true
}

async function storeAgent(unit: Unit, { host, configurations, started_at }: AgentReport): Promise<void> {
  const resource = unit.model.resource('agent')
  const [known] = await unit.find(resource, { host, agent_type: AGENT_TYPE })
  const facts = { configurations, started_at, heartbeat_timestamp: unit.now }
  const before = known && (await unit.load(resource, String(known['id']), 'update'))
  const after: Draft = before
    ? { ...before, ...facts, revision_number: Number(before['revision_number']) + 1 }
    : {
        id: newId(),
        host,
        agent_type: AGENT_TYPE,
        binary: 'deuteron-agent',
        topic: 'N/A',
        availability_zone: null,
        admin_state_up: true,
        description: null,
        resources_synced: null,
        created_at: unit.now,
        revision_number: 1,
        ...facts,
      }
  await unit.write(
    resource,
    before ? 'update' : 'create',
    [after],
    before ? { [String(before['id'])]: before } : {},
    true,
  )
}

/**
 * Ports whose data plane is proven on `host` turn ACTIVE, those it lost turn DOWN. A report that speaks of an older
 * binding, or of a port bound elsewhere by now, changes nothing. Answers the ids that changed.
 */
export async function recordPortStatus(
  core: Core,
  host: string,
  ids: readonly string[],
  up: boolean,
): Promise<string[]> {
  if (ids.length === 0) return []
  const status = up ? 'ACTIVE' : 'DOWN'
  const pending = await core.database.query<{ id: string }>(
    'select id from ports where id = any($1::uuid[]) and binding_host = $2 and status <> $3',
    [ids, host, status],
  )
  if (pending.length === 0) return []
  return operateInternally(core, SYSTEM, `agent ${host}`, async (unit) => {
    const resource = unit.model.resource('port')
    const rows = await unit.tx.query<{ id: string }>(
      'select id from ports where id = any($1::uuid[]) and binding_host = $2 and status <> $3 order by id for no key update',
      [pending.map((one) => one.id), host, status],
    )
    const before = await unit.find(resource, { id: rows.map((one) => one.id) })
    if (before.length === 0) return []
    const after = before.map((one) => unit.revised(one, { status }))
    await unit.write(
      resource,
      'update',
      after,
      Object.fromEntries(before.map((one): [string, Image] => [String(one['id']), one])),
      true,
    )
    return before.map((one) => String(one['id']))
  })
}
