/**
 * The kinds of objects that RBAC policies share: where each keeps the list of projects, and which projects would lose
 * something they use.
 */
import { ApiError } from '#kernel/errors.ts'
import { type Context, type Draft, EVERYONE, type Resource } from '#model/define.ts'
import { network } from '#resources/network.ts'
import { securityGroup } from '#resources/security-group.ts'
import { subnetPool } from '#resources/subnet-pool.ts'
import { addressGroup } from '../address-groups/address-group.ts'
import { addressScope } from '../address-scopes.ts'
import { GATEWAY_OWNER } from '../l3/owners.ts'
import { qosPolicy } from '../qos/policy.ts'

export const SHARED = 'access_as_shared'
export const EXTERNAL = 'access_as_external'
export type SharingAction = typeof SHARED | typeof EXTERNAL

export interface SharedKind {
  readonly resource: Resource
  /** By action: the attribute with the list of projects. */
  readonly lists: Readonly<Partial<Record<SharingAction, string>>>
  /** Projects that use the object by way of the action; the owner may be among them. */
  users(context: Context, id: string, action: SharingAction): Promise<ReadonlySet<string>>
  /** The owner uses it without a policy, whoever else does. */
  readonly ownersOwn?: boolean
  /** Throws when the object may not be given to this project. */
  refusal?(context: Context, object: Readonly<Draft>, target: string): Promise<void>
}

/** A pool reaches as far as its address scope, no farther. */
async function requireScope(context: Context, pool: Readonly<Draft>, target: string): Promise<void> {
  const scope = pool['address_scope_id'] ? await context.load('address_scope', String(pool['address_scope_id'])) : null
  const reached = listOf(scope ?? null, 'shared_with')
  if (!scope || reached.includes(EVERYONE) || reached.includes(target)) return
  const sentence = `Failed to create RBAC policy on object ${String(pool['id'])} because target project doesn't have access to associated address scope.`
  throw new ApiError('InvalidInput', { error_message: sentence }, { reason: 'scope_not_shared' })
}

/** Gateway ports belong to nobody, their routers do. */
async function gatewayOwners(context: Context, network_id: string): Promise<ReadonlySet<string>> {
  const gateways = await context.find('router_address', { network_id, device_owner: GATEWAY_OWNER })
  return context.owners('router', { id: gateways.map((one) => String(one['router_id'])) })
}

const union = async (...sets: readonly Promise<ReadonlySet<string>>[]): Promise<ReadonlySet<string>> =>
  new Set((await Promise.all(sets)).flatMap((one) => [...one]))

const shared = { [SHARED]: 'shared_with' } as const

const kinds: readonly SharedKind[] = [
  {
    resource: network as Resource,
    lists: { ...shared, [EXTERNAL]: 'external_with' },
    ownersOwn: true,
    users: (context, network_id, action) =>
      action === EXTERNAL
        ? gatewayOwners(context, network_id)
        : union(context.owners('port', { network_id }), context.owners('subnet', { network_id })),
  },
  {
    resource: securityGroup as Resource,
    lists: shared,
    users: (context, id) =>
      union(
        context.owners('port', { 'security_groups:has': id }),
        context.owners('security_group_rule', { remote_group_id: id }),
      ),
  },
  {
    resource: addressGroup as Resource,
    lists: shared,
    users: (context, id) => context.owners('security_group_rule', { remote_address_group_id: id }),
  },
  {
    resource: qosPolicy as Resource,
    lists: shared,
    users: (context, qos_policy_id) =>
      union(
        ...['network', 'port', 'floatingip'].map((user) => context.owners(user, { qos_policy_id })),
        context.owners('router', { gateway_qos_policy_id: qos_policy_id }),
      ),
  },
  {
    resource: subnetPool as Resource,
    lists: shared,
    users: (context, subnetpool_id) => context.owners('subnet', { subnetpool_id }),
    refusal: requireScope,
  },
  {
    resource: addressScope as Resource,
    lists: shared,
    users: (context, address_scope_id) => context.owners('subnetpool', { address_scope_id }),
  },
]

export const sharedKinds: ReadonlyMap<string, SharedKind> = new Map(kinds.map((kind) => [kind.resource.name, kind]))

/** The projects of an object's list. */
export const listOf = (object: Readonly<Draft> | null, attribute: string): readonly string[] =>
  (object?.[attribute] ?? []) as readonly string[]

/**
 * The projects that would lose what they use when only `left` stays of the list. Whoever the list does not reach uses
 * the object in a right of its own (an administrator, say), and loses nothing. What is nobody's is the service's.
 *
 * As in the peer, a policy for everybody goes only when all users have policies of their own, the owner too; networks
 * alone are their owner's without one.
 */
export async function losers(
  context: Context,
  kind: SharedKind,
  object: Readonly<Draft>,
  action: SharingAction,
  left: readonly string[],
): Promise<readonly string[]> {
  const before = listOf(object, kind.lists[action] ?? '')
  if (left.includes(EVERYONE) || before.every((one) => left.includes(one))) return []
  const everybody = before.includes(EVERYONE)
  const users = await kind.users(context, String(object['id']), action)
  const own = action === SHARED && (kind.ownersOwn || !everybody) ? [object['project_id']] : []
  const safe = new Set([...left, ...own, ''])
  return [...users].filter((project) => (everybody || before.includes(project)) && !safe.has(project))
}

export const inUse = (object: Readonly<Draft>, projects: readonly string[]): ApiError =>
  new ApiError(
    'RbacPolicyInUse',
    { object_id: object['id'], details: `used by ${projects.map((one) => `project_id=${one}`).join(', ')}` },
    { reason: 'in_use', projects },
  )
