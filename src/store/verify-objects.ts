/**
 * Objects that clients see and that cannot be as they are: bindings beside others or for nobody, segments nothing stands
 * on, lists of projects that policies do not give. They are put right by writes that the change log has.
 */
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
