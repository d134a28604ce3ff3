/** RBAC policies: each shares one object with one project, or with all. The objects' own lists follow them. */
import { ApiError } from '#kernel/errors.ts'
import {
  type Context,
  defineResource,
  type Draft,
  EVERYONE,
  parseText,
  type Row,
  text,
  uuid,
  whole,
  type Write,
} from '#model/define.ts'
import { EXTERNAL, inUse, listOf, losers, type SharedKind, sharedKinds, type SharingAction } from './shared-kinds.ts'

const parseType = (value: unknown): string => {
  const given = parseText(255)(value)
  const type = given.trim().toLowerCase()
  if (!sharedKinds.has(type))
    throw new ApiError('InvalidInput', { error_message: `'${given}' is not a valid RBAC object type` })
  return type
}

const choice = { set: 'create', required: true, filter: true, policy: true } as const

const attributes = {
  id: uuid({ filter: true, sort: true }),
  /** Whose policy it is; shown as `tenant_id` too. */
  project_id: text({ set: 'create', filter: true }),
  object_type: { ...text(choice), parse: parseType },
  object_id: uuid(choice),
  action: text(choice),
  /** A project, or `*` for all. */
  target_tenant: text({ ...choice, set: 'always' }),
  revision_number: whole({ visible: false, max: Number.MAX_SAFE_INTEGER }),
} as const
export type RbacPolicy = Row<typeof attributes>

export const rbacPolicy = defineResource({
  name: 'rbac_policy',
  plural: 'rbac_policies',
  table: 'rbac_policies',
  docs: 'Shares an object with a project, or with all (`*`): to use it, or to use it as a way outside.',
  notFound: { type: 'RbacPolicyNotFound', param: 'id' },
  quota: 'rbac_policy',
  conflicts: { rbac_policies_once: () => new ApiError('DuplicateRbacPolicy') },
  attributes,
  inTx: async (context, write) => {
    // Written with its object, whose list says so already.
    if (write.internal) return undefined
    await share(context, write)
    return undefined
  },
})

async function share(context: Context, { before, after }: Write<RbacPolicy>): Promise<void> {
  const policy = (after ?? before) as RbacPolicy
  const kind = kindOf(policy)
  const action = policy.action as SharingAction
  const attribute = kind.lists[action] as string
  const object = await lockOwn(context, kind, policy, after !== null)
  const was = listOf(object, attribute)
  const added = after && !was.includes(after.target_tenant) ? after.target_tenant : undefined
  if (added !== undefined) await kind.refusal?.(context, object, added)
  const kept = was.filter((one) => one !== before?.target_tenant)
  // A new target counts where the peer counts it.
  const counts = added === EVERYONE || action === EXTERNAL
  const lost = await losers(context, kind, object, action, added && counts ? [...kept, added] : kept)
  if (lost.length > 0) throw inUse(object, lost)
  context.afterWrite(() => moveList(context, kind, policy, attribute, before?.target_tenant, after?.target_tenant))
}

function kindOf({ object_type, action }: RbacPolicy): SharedKind {
  const kind = sharedKinds.get(object_type)
  if (!kind) throw new ApiError('InvalidInput', { error_message: `'${object_type}' is not a valid RBAC object type` })
  if (Object.hasOwn(kind.lists, action)) return kind
  const valid_actions = Object.keys(kind.lists).join(', ')
  throw new ApiError('InvalidActionForType', { action, object_type, valid_actions })
}

/** The object, locked: one policy of it at a time changes. Only who owns it may give it to others. */
async function lockOwn(
  context: Context,
  { resource }: SharedKind,
  { object_id }: RbacPolicy,
  gives: boolean,
): Promise<Readonly<Draft>> {
  const object = await context.load(resource.name, object_id, 'update')
  const { type, param } = resource.notFound
  const [seen] = object ? await context.visible(resource.name, [object_id]) : []
  if (!object || (gives && !seen)) throw new ApiError(type, { [param]: object_id })
  if (gives && !context.isAdmin && object['project_id'] !== context.caller.projectId) {
    const sentence = `Only admins can manipulate policies on ${resource.plural} they do not own`
    throw new ApiError('InvalidInput', { error_message: sentence }, { reason: 'not_the_owner' })
  }
  return object
}

/** Read again: another policy of the same request may have changed it. */
async function moveList(
  context: Context,
  { resource }: SharedKind,
  { object_id }: RbacPolicy,
  attribute: string,
  from: string | undefined,
  to: string | undefined,
): Promise<void> {
  const object = await context.load(resource.name, object_id, 'update')
  if (!object) return
  const others = listOf(object, attribute).filter((one) => one !== from && one !== to)
  await context.update(resource, object_id, { [attribute]: to === undefined ? others : [...others, to] })
}
