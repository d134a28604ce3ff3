/** What hosts say of ports, networks and routers, as the status of ports: operations of the system. */
import type { Image } from '#store/objects.ts'
import { SYSTEM } from './agents.ts'
import { type Core, operateInternally } from '../operation.ts'

/** A port, and the host that speaks of it. */
export interface PortAt {
  readonly id: string
  readonly host: string
}

/**
 * Ports whose data plane is proven on their host turn ACTIVE, those it lost turn DOWN. A report that speaks of an older
 * binding, or of a port bound elsewhere by now, changes nothing. Answers the ids that changed.
 */
export async function recordPortStatus(core: Core, ports: readonly PortAt[], up: boolean): Promise<string[]> {
  if (ports.length === 0) return []
  return storeStatuses(
    core,
    'port realizations',
    `select t.id, $3::text as status from unnest($1::uuid[], $2::text[]) as s (id, host)
      join ports t on t.id = s.id and t.binding_host = s.host where t.status <> $3`,
    [ports.map(({ id }) => id), ports.map(({ host }) => host), up ? 'ACTIVE' : 'DOWN'],
  )
}

/**
 * A network's DHCP port is ACTIVE once every living agent it was given to serves it as it is now, or, where it was
 * given to none, one host with ports of it; DOWN when one of those agents fails to. Answers the ids that changed.
 */
export const recordDhcpStatus = (core: Core, networks: readonly string[]): Promise<string[]> =>
  storeStatuses(
    core,
    'network realizations',
    `select t.id, v.status from ports t join networks n on n.id = t.network_id
      cross join lateral (
        select count(*) as agents,
          count(*) filter (where r.state = 'done' and r.generation >= n.revision_number) as serving,
          count(*) filter (where r.state = 'error' and r.generation >= n.revision_number) as failing
        from dhcp_bindings b join live_agents a on a.id = b.agent_id
          left join realizations r on r.host = a.host and r.kind = 'network' and r.id = n.id
        where b.network_id = n.id) s
      cross join lateral (
        select case when s.failing > 0 then 'DOWN'
          when s.serving = s.agents and exists (select from realizations r
            where r.kind = 'network' and r.id = n.id and r.state = 'done' and r.generation >= n.revision_number) then 'ACTIVE'
          else t.status end as status) v
      where t.device_owner = 'network:dhcp' and t.network_id = any($1::uuid[]) and t.status <> v.status`,
    [networks],
  )

/**
 * A router's ports are ACTIVE once the router stands, as it is now, on every living host it is placed on; DOWN when it
 * does not on one of them, or is administratively down. Answers the ids that changed.
 */
export const recordRouterStatus = (core: Core, routers: readonly string[]): Promise<string[]> =>
  storeStatuses(
    core,
    'router realizations',
    `select t.id, v.status from ports t join routers o on o.id = t.router_id
      cross join lateral (
        select count(*) as hosts,
          count(*) filter (where r.state = 'done' and r.generation >= o.revision_number) as standing,
          count(*) filter (where r.state <> 'done' and r.generation >= o.revision_number) as failing
        from router_bindings b join live_agents a on a.id = b.agent_id
          left join realizations r on r.host = a.host and r.kind = 'router' and r.id = o.id
        where b.router_id = o.id) s
      cross join lateral (
        select case when s.failing > 0 or not o.admin_state_up or not t.admin_state_up then 'DOWN'
          when s.hosts > 0 and s.standing = s.hosts then 'ACTIVE'
          else t.status end as status) v
      where t.router_id = any($1::uuid[]) and t.status <> v.status`,
    [routers],
  )

/** Gives ports the status that the statement finds for them; looks before it begins a transaction. */
async function storeStatuses(
  core: Core,
  requestId: string,
  sql: string,
  params: readonly unknown[],
): Promise<string[]> {
  const pending = await core.database.query(sql, params)
  if (pending.length === 0) return []
  return operateInternally(core, SYSTEM, requestId, async (unit) => {
    const locked = `${sql} order by t.id for no key update of t`
    const wanted = new Map((await unit.tx.query<Found>(locked, params)).map(({ id, status }) => [id, status]))
    if (wanted.size === 0) return []
    const resource = unit.model.resource('port')
    const before = await unit.find(resource, { id: [...wanted.keys()] })
    const byId = Object.fromEntries(before.map((one): [string, Image] => [String(one['id']), one]))
    const after = before.map((one) => unit.revised(one, { status: wanted.get(String(one['id'])) }))
    await unit.send(resource, 'update', after, byId, true)
    return Object.keys(byId)
  })
}
interface Found {
  readonly id: string
  readonly status: string
}
