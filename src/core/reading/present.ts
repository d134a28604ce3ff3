/** What a caller sees of an object: visible attributes, without those policy hides. */
import type { Caller } from '#kernel/caller.ts'
import { asSeenBy } from '#model/audience.ts'
import type { ComposedResource } from '#model/compose.ts'
import type { Draft } from '#model/define.ts'
import type { Policy } from '#policy/policy.ts'
import type { Image } from '#store/objects.ts'

/** Attributes that anyone who sees the object sees, those that depend on the object, and none of the hidden ones. */
export interface Sight {
  readonly always: readonly string[]
  readonly depends: readonly string[]
}

interface Visible {
  readonly name: string
  /** Null: whoever sees the object sees it. */
  readonly rule: string | null
}
const visible = new WeakMap<ComposedResource, readonly Visible[]>()

function visibleOf(resource: ComposedResource): readonly Visible[] {
  const known = visible.get(resource)
  if (known) return known
  const found = Object.entries(resource.attributes).flatMap(([name, attribute]): Visible[] =>
    attribute.visible ? [{ name, rule: attribute.policy ? `get_${resource.policyName}:${name}` : null }] : [],
  )
  visible.set(resource, found)
  return found
}

export function sightOf(policy: Policy, resource: ComposedResource, caller: Caller): Sight {
  const always: string[] = []
  const depends: string[] = []
  for (const { name, rule } of visibleOf(resource)) {
    const residual = rule !== null && policy.has(rule) ? policy.residual(rule, caller) : true
    if (residual === true) always.push(name)
    else if (residual !== false) depends.push(name)
  }
  return { always, depends }
}

/** Names as answers have them: `project_id` under its old name too. */
export const withTwin = (names: readonly string[]): string[] =>
  names.flatMap((name) => (name === 'project_id' ? [name, 'tenant_id'] : [name]))

/** Makes what the caller sees of each object of a resource. `fields`: only these; undefined: all. */
export function presenter(
  { policy }: { readonly policy: Policy },
  resource: ComposedResource,
  caller: Caller,
  fields?: ReadonlySet<string>,
): (object: Image) => Draft {
  const { always, depends } = sightOf(policy, resource, caller)
  return (object) => {
    const image = asSeenBy(resource, object, caller.projectId)
    const seen = [
      ...always,
      ...depends.filter((name) => policy.allows(`get_${resource.policyName}:${name}`, caller, image)),
    ]
    const shown: Draft = {}
    for (const name of withTwin(seen)) {
      if (!fields || fields.has(name)) shown[name] = image[name === 'tenant_id' ? 'project_id' : name] ?? null
    }
    return shown
  }
}

/** The same for one object. */
export const present = (
  judge: { readonly policy: Policy },
  resource: ComposedResource,
  object: Image,
  caller: Caller,
  fields?: ReadonlySet<string>,
): Draft => presenter(judge, resource, caller, fields)(object)
