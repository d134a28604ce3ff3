/** May the caller write this? Rules of the action, of each attribute given, and of the parents named. */
import type { Caller } from '#kernel/caller.ts'
import { ApiError } from '#kernel/errors.ts'
import type { ComposedResource } from '#model/compose.ts'
import type { Draft } from '#model/define.ts'
import type { Image } from '#store/objects.ts'
import type { Unit } from './unit.ts'

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
  for (const [attribute, reference] of Object.entries(resource.references)) {
    const id = draft[attribute]
    if (typeof id !== 'string') continue
    const parentResource = unit.model.resource(reference.resource)
    const parent = await unit.load(parentResource, id, reference.lock ?? 'none')
    if (!parent || !unit.policy.allows(`get_${reference.resource}`, unit.caller, parent)) {
      throw new ApiError(parentResource.notFound.type, { [parentResource.notFound.param]: id })
    }
    for (const name of reference.policyAttributes ?? []) draft[`${reference.resource}:${name}`] = parent[name]
  }
  refuseForeignOwner(unit, draft)
  if (!unit.policy.allows(`create_${resource.name}`, unit.caller, draft))
    throw new ApiError('PolicyNotAuthorized', { action: `create_${resource.name}` })
  authorizeAttributes(unit, resource, 'create', draft, draft, given)
}

function refuseForeignOwner({ caller, policy }: Unit, draft: Readonly<Draft>): void {
  if (draft['project_id'] === undefined || draft['project_id'] === caller.projectId || policy.isAdmin(caller)) return
  const reason =
    "Specifying 'project_id' or 'tenant_id' other than the authenticated project in request requires admin privileges"
  throw new ApiError('HTTPBadRequest', { reason }, { reason: 'foreign_project' })
}

export function authorizeWrite(
  { policy, caller }: Unit,
  resource: ComposedResource,
  op: 'update' | 'delete',
  before: Image,
): void {
  const action = `${op}_${resource.name}`
  if (!policy.allows(action, caller, before)) throw new ApiError('PolicyNotAuthorized', { action })
}

/** Attributes with a rule of their own, where the client chose another value than the default. */
export function authorizeAttributes(
  { policy, caller }: Unit,
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
      `${op}_${resource.name}:${name}`,
      ...partsOf(`${op}_${resource.name}:${name}`, values[name]),
    ]) {
      if (policy.has(action) && !policy.allows(action, caller, target))
        throw new ApiError('PolicyNotAuthorized', { action })
    }
  }
}

/** `create_port:fixed_ips:ip_address` for a list of objects with that key. */
function partsOf(action: string, value: unknown): string[] {
  const items = Array.isArray(value) ? value : []
  const keys = new Set(items.flatMap((item) => (item !== null && typeof item === 'object' ? Object.keys(item) : [])))
  return [...keys].map((key) => `${action}:${key}`)
}
