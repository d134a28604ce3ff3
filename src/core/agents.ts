/** What agents tell the server, as operations of the system: who they are, and which ports really work. */
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
  // What was reported is stored only where nothing relevant changed: the answer tells the two apart.
  const [known] = await core.database.query<{ same: boolean }>(
    `update agents a set heartbeat_timestamp = now(), started_at = $2, refused = null,
        configurations = case when ${RELEVANT.map((name) => `a.configurations->'${name}' is not distinct from $3::jsonb->'${name}'`).join(' and ')}
          then $3::jsonb else a.configurations end
      where a.host = $1 and a.agent_type = '${AGENT_TYPE}' returning a.configurations = $3::jsonb as same`,
    [report.host, report.started_at, JSON.stringify(report.configurations)],
  )
  if (known?.same) return false
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
 * binding, or of a port bound elsewhere by now, changes nothing. A proven port's lease is served, so the network's DHCP
 * port, which stands on every host that has ports, turns ACTIVE with the first. Answers the ids that changed.
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
    const rows = await unit.tx.query<{ id: string }>(
      `select t.id from ports t where t.status <> $3 and t.id in (
          select p.id from ports p where p.id = any($1::uuid[]) and p.binding_host = $2
          union all
          select d.id from ports p join ports d on d.network_id = p.network_id and d.device_owner = 'network:dhcp'
            where p.id = any($1::uuid[]) and $3 = 'ACTIVE')
        order by t.id for no key update of t`,
      [pending.map((one) => one.id), host, status],
    )
    const before = await unit.find(unit.model.resource('port'), { id: rows.map((one) => one.id) })
    if (before.length > 0) await storeStatus(unit, before, status)
    return before.map((one) => String(one['id']))
  })
}

async function storeStatus(unit: Unit, before: readonly Image[], status: string): Promise<void> {
  const byId = Object.fromEntries(before.map((one): [string, Image] => [String(one['id']), one]))
  const after = before.map((one) => unit.revised(one, { status }))
  await unit.write(unit.model.resource('port'), 'update', after, byId, true)
}
