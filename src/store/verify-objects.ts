/**
 * Objects that clients see and that cannot be as they are: bindings beside others or for nobody, segments nothing stands
 * on, lists of projects that policies do not give. They are put right by writes that the change log has.
 */
import type { BindingAttempt, BindingFailure } from '#model/context.ts'
import { removeObject, type Resources, rewriteObject, type Rewriting } from './rewrite.ts'
import type { Transaction } from './transaction.ts'

export interface Problem {
  /** One sentence. */
  readonly says: string
  /** Puts it right, in the same transaction. */
  repair(): Promise<unknown>
}

/** What the model says of the tables. */
export interface Kept {
  readonly resources: Resources
  /** Tables whose rows count against a quota, project by project. */
  readonly counted: readonly { readonly table: string; readonly quota: string }[]
  /** Tables with lists that RBAC policies of a type and action fill. */
  readonly shared: readonly {
    readonly table: string
    readonly column: string
    /** The name of the resource, and what policies call it. */
    readonly type: string
    readonly action: string
  }[]
}

export type Check = (tx: Transaction, kept: Kept) => Promise<Problem[]>

const writing = (tx: Transaction, { resources }: Kept): Rewriting => ({
  tx,
  resources,
  author: { actor: 'deuteron', actorName: 'deuteron', requestId: 'db verify' },
})

/** A port is bound to a host once: where it is, it does not wait as well. And what waits, waits for a port. */
export async function portBindings(tx: Transaction, kept: Kept): Promise<Problem[]> {
  const wrong = await tx.query<{ id: string; port_id: string; host: string; lone: boolean }>(
    `/* once */ select b.id, b.port_id, b.host, p.id is null as lone from port_bindings b left join ports p on p.id = b.port_id
      where p.id is null or p.binding_host = b.host order by b.id`,
  )
  return wrong.map(({ id, port_id, host, lone }) => ({
    says: lone
      ? `a binding to ${host} waits for port ${port_id}, which is not there`
      : `port ${port_id} is bound to ${host}, and a binding to that host waits as well`,
    repair: () => removeObject(writing(tx, kept), 'port_binding', id),
  }))
}

interface LostLevel extends Record<string, unknown> {
  /** Null: of the port itself. */
  readonly waiting: string | null
  readonly port_id: string
  readonly network_id: string
  readonly host: string
  readonly level: number
  readonly driver: string
  readonly segment_id: string
}

/** Of each binding the outermost level whose segment is not there. */
const LOST_LEVELS = `/* once */ select distinct on (b.port_id, b.waiting) b.waiting, b.port_id, b.network_id, b.host,
    (l ->> 'level')::int as level, l ->> 'driver' as driver, l ->> 'segment_id' as segment_id
  from (
    select null::uuid as waiting, id as port_id, network_id, binding_host as host, binding_levels as levels from ports
    union all
    select w.id, w.port_id, p.network_id, w.host, w.levels from port_bindings w join ports p on p.id = w.port_id
  ) b cross join jsonb_array_elements(b.levels) l
  where not exists (select from network_segments s where s.id = (l ->> 'segment_id')::uuid)
  order by b.port_id, b.waiting, level`

/**
 * A binding stands on segments. One that lost any carries nothing: a port's has failed, and servers are asked to bind it
 * anew; one that waits is made when it is activated.
 */
export async function lostLevels(tx: Transaction, kept: Kept): Promise<Problem[]> {
  const wrong = await tx.query<LostLevel>(LOST_LEVELS)
  return wrong.map((one) => ({
    says: one.waiting
      ? `a binding of port ${one.port_id} to ${one.host} waits on segment ${one.segment_id}, which is not there`
      : `port ${one.port_id} is bound to ${one.host} on segment ${one.segment_id}, which is not there`,
    repair: () => (one.waiting ? unbind(writing(tx, kept), one.waiting, one) : failBinding(writing(tx, kept), one)),
  }))
}

const NOWHERE = { vif_details: {}, levels: [] }

async function unbind(by: Rewriting, waiting: string, { port_id }: LostLevel): Promise<void> {
  await rewriteObject(by, 'port_binding', waiting, { ...NOWHERE, vif_type: 'unbound', proven: false })
  await rewriteObject(by, 'port', port_id, {})
}

async function failBinding(by: Rewriting, { port_id, network_id, host, level, driver, segment_id }: LostLevel) {
  const attempt: BindingAttempt = {
    level,
    driver,
    segment: { id: segment_id, network_type: 'unknown', physical_network: null, segmentation_id: null },
    result: 'refused',
    reason: 'segment_gone',
    facts: { segment_id },
    remedy: 'Nothing: a server binds the port anew on what there is.',
  }
  const failure: BindingFailure = { at: new Date().toISOString(), host, attempts: [attempt] }
  await rewriteObject(by, 'port', port_id, {
    'binding:vif_type': 'binding_failed',
    'binding:vif_details': NOWHERE.vif_details,
    'binding:levels': NOWHERE.levels,
    'binding:failure': failure,
    status: 'DOWN',
  })
  await by.tx.query('insert into rebind_requests (host, network_id) values ($1, $2)', [host, network_id])
}

/** What was made for bindings goes with the last of them. */
export async function boundSegments(tx: Transaction, kept: Kept): Promise<Problem[]> {
  const wrong = await tx.query<{ id: string; network_id: string }>(
    '/* once */ select id, network_id from network_segments where is_dynamic and not segment_is_bound(id) order by id',
  )
  return wrong.map(({ id, network_id }) => ({
    says: `segment ${id} of network ${network_id} was made for bindings, and none stands on it`,
    repair: () => removeObject(writing(tx, kept), 'segment', id),
  }))
}

export async function sharedLists(tx: Transaction, kept: Kept): Promise<Problem[]> {
  const problems: Problem[] = []
  for (const kind of kept.shared) problems.push(...(await wrongLists(tx, kept, kind)))
  return [...problems, ...(await lonePolicies(tx, kept))]
}

async function wrongLists(
  tx: Transaction,
  kept: Kept,
  { table, column, type, action }: Kept['shared'][number],
): Promise<Problem[]> {
  const wrong = await tx.query<{ id: string; list: readonly string[]; targets: readonly string[] }>(
    `/* once */ select t.id, t.${column} as list, coalesce(p.targets, '{}') as targets from ${table} t left join (
        select object_id, array_agg(target_tenant order by target_tenant) as targets
        from rbac_policies where object_type = $1 and action = $2 group by object_id) p on p.object_id = t.id
      where array(select unnest(t.${column}) order by 1) <> coalesce(p.targets, '{}') order by t.id`,
    [type, action],
  )
  return wrong.map(({ id, list, targets }) => ({
    says: `${type} ${id}: ${column} is [${list.join(', ')}], its policies say [${targets.join(', ')}]`,
    repair: () => rewriteObject(writing(tx, kept), type, id, { [column]: targets }),
  }))
}

async function lonePolicies(tx: Transaction, kept: Kept): Promise<Problem[]> {
  const { shared } = kept
  const objects = shared.map(({ table, type }) => `select id, '${type}' as type from ${table}`)
  if (objects.length === 0) return []
  const lone = await tx.query<{ id: string; object_type: string; object_id: string }>(
    `/* once */ select p.id, p.object_type, p.object_id from rbac_policies p
      where not exists (select 1 from (${objects.join(' union all ')}) o where o.id = p.object_id and o.type = p.object_type)`,
  )
  return lone.map(({ id, object_type, object_id }) => ({
    says: `rbac_policy ${id} shares ${object_type} ${object_id}, which is not there`,
    repair: () => removeObject(writing(tx, kept), 'rbac_policy', id),
  }))
}

/** Subnets are seen by whoever sees their network. */
export async function subnetLists(tx: Transaction, kept: Kept): Promise<Problem[]> {
  const wrong = await tx.query<{ id: string; shared_with: readonly string[] }>(
    `/* once */ select s.id, n.shared_with from subnets s join networks n on n.id = s.network_id
      where array(select unnest(s.shared_with) order by 1) <> array(select unnest(n.shared_with) order by 1) order by s.id`,
  )
  return wrong.map(({ id, shared_with }) => ({
    says: `subnet ${id} is shared with others than its network`,
    repair: () => rewriteObject(writing(tx, kept), 'subnet', id, { shared_with }),
  }))
}
