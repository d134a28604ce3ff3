/** May the caller write this? Rules of the action, of each attribute given, and of the parents named. */
import type { Caller } from '#kernel/caller.ts'
import { ApiError } from '#kernel/errors.ts'
import { asSeenBy } from '#model/audience.ts'
import type { ComposedResource } from '#model/compose.ts'
import type { Draft } from '#model/define.ts'
import type { Image } from '#store/objects.ts'
import { notFound } from './reading/read.ts'
import type { Unit } from './unit.ts'
import { permits, sees } from './visible.ts'

/** Whose the new object is: the caller's project, or the one named. */
export function ownerFor(resource: ComposedResource, values: Readonly<Draft>, caller: Caller): Draft {
  if (!('project_id' in resource.attributes)) return {}
  const project_id = values['project_id'] ?? caller.projectId
  if (project_id === null || project_id === undefined) {
    throw new ApiError('HTTPBadRequest', {
      reason: 'Running without a project-scoped token requires that project_id is specified',
    })
  }
  return { project_id }
}

/** Parents must be there for the caller; their attributes then count in the rules. Extends `draft` with them. */
export async function authorizeCreate(
  unit: Unit,
  resource: ComposedResource,
  draft: Draft,
  given: ReadonlySet<string>,
): Promise<void> {
  await requireReferences(unit, resource, draft, Object.keys(resource.references))
  refuseForeignOwner(unit, draft)
  const action = `create_${resource.policyName}`
  if (!permits(unit, action, resource, unit.caller, draft)) throw new ApiError('PolicyNotAuthorized', { action })
  authorizeAttributes(unit, resource, 'create', draft, draft, given)
}

/** What these attributes refer to must be there for the caller. Extends `draft` with what rules ask of it. */
export async function requireReferences(
  unit: Unit,
  resource: ComposedResource,
  draft: Draft,
  attributes: Iterable<string>,
): Promise<void> {
  for (const attribute of attributes) {
    const reference = resource.references[attribute]
    const id = draft[attribute]
    if (!reference || typeof id !== 'string') continue
    const above = unit.model.resource(reference.resource)
    const parent = await unit.load(above, id, reference.lock ?? 'none')
    if (!parent || !sees(unit, above, unit.caller, parent)) throw notFound(above, id)
    const seen = asSeenBy(above, parent, unit.caller.projectId)
    const prefix = resource.parent?.attribute === attribute ? 'ext_parent' : reference.resource
    for (const name of reference.policyAttributes ?? []) draft[`${prefix}:${name}`] = seen[name]
  }
}

function refuseForeignOwner({ caller, policy }: Unit, draft: Readonly<Draft>): void {
  if (draft['project_id'] === undefined || draft['project_id'] === caller.projectId || policy.isAdmin(caller)) return
  const reason =
    "Specifying 'project_id' or 'tenant_id' other than the authenticated project in request requires admin privileges"
  throw new ApiError('HTTPBadRequest', { reason }, { reason: 'foreign_project' })
}

export function authorizeWrite(unit: Unit, resource: ComposedResource, op: 'update' | 'delete', before: Image): void {
  const action = `${op}_${resource.policyName}`
  if (!permits(unit, action, resource, unit.caller, before)) throw refusedBy(resource, action, before)
}

/** What a caller hears whom the rule refuses to touch an object it sees. */
export const refusedBy = (resource: ComposedResource, action: string, object: Readonly<Draft>): ApiError =>
  resource.discreet ? notFound(resource, String(object['id'])) : new ApiError('PolicyNotAuthorized', { action })

/** Attributes with a rule of their own, where the client chose another value than the default. */
export function authorizeAttributes(
  unit: Unit,
  resource: ComposedResource,
  op: 'create' | 'update',
  target: Readonly<Draft>,
  values: Readonly<Draft>,
  given: ReadonlySet<string>,
): void {
  for (const name of given) {
    const attribute = resource.attributes[name]
    const chosen = op === 'update' || JSON.stringify(values[name]) !== JSON.stringify(attribute?.default)
    if (!attribute?.policy || !chosen) continue
    for (const action of [
      `${op}_${resource.policyName}:${name}`,
      ...partsOf(`${op}_${resource.policyName}:${name}`, values[name]),
    ]) {
      if (unit.policy.has(action) && !permits(unit, action, resource, unit.caller, target))
        throw new ApiError('PolicyNotAuthorized', { action })
    }
  }
}

/** `create_port:fixed_ips:ip_address` for an object with that key, or a list of such. */
function partsOf(action: string, value: unknown): string[] {
  const items = Array.isArray(value) ? value : [value]
  const keys = new Set(items.flatMap((item) => (item !== null && typeof item === 'object' ? Object.keys(item) : [])))
  return [...keys].map((key) => `${action}:${key}`)
}
