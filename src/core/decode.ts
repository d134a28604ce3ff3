/** From a request's body to a draft: names, rights to set, values, defaults, in Neutron's words. */
import { ApiError } from '#kernel/errors.ts'
import { type Attribute, Reject } from '#model/attribute.ts'
import type { ComposedResource } from '#model/compose.ts'
import type { Action, Draft } from '#model/define.ts'

export interface Decoded {
  readonly values: Readonly<Draft>
  readonly given: ReadonlySet<string>
}

const bad = (reason: string, detail: Readonly<Record<string, unknown>> = {}): ApiError =>
  new ApiError('HTTPBadRequest', { reason }, detail)

const isObject = (value: unknown): value is Record<string, unknown> =>
  value !== null && typeof value === 'object' && !Array.isArray(value)

/** The objects of a create body: one under the singular, or several under the plural. */
export function bodiesOf(
  resource: ComposedResource,
  body: unknown,
): { readonly bulk: boolean; readonly bodies: readonly Record<string, unknown>[] } {
  if (!isObject(body)) throw bad('Resource body required')
  const many = body[resource.plural]
  if (many !== undefined) {
    if (!Array.isArray(many) || many.length === 0 || !many.every(isObject)) throw bad('Resources required')
    return { bulk: true, bodies: many.map((one) => unwrapped(resource, one)) }
  }
  const one = body[resource.singular]
  if (!isObject(one)) throw bad(`Unable to find '${resource.singular}' in request body`)
  return { bulk: false, bodies: [one] }
}

/** Some clients wrap each object of several under the singular as well. */
function unwrapped({ singular, attributes }: ComposedResource, body: Record<string, unknown>): Record<string, unknown> {
  const inner = body[singular]
  return Object.keys(body).length === 1 && isObject(inner) && !(singular in attributes) ? inner : body
}

export function decode(
  resource: Pick<ComposedResource, 'attributes'>,
  op: 'create' | 'update',
  body: Readonly<Record<string, unknown>>,
): Decoded {
  const given = withOwner(body)
  refuseUnknown(resource, Object.keys(given))
  const values: Draft = {}
  const issues: ApiError[] = []
  const names = new Set<string>()
  for (const [name, attribute] of Object.entries(resource.attributes)) {
    const value = given[name]
    if (value === undefined) {
      if (op === 'create' && attribute.required)
        issues.push(bad(`Failed to parse request. Required attribute '${name}' not specified`))
      if (op === 'create' && attribute.default !== undefined) values[name] = attribute.default
      continue
    }
    const issue = settable(name, attribute, op) ?? parseInto(values, name, attribute, value)
    if (issue) issues.push(issue)
    else names.add(name)
  }
  const [first] = issues
  if (first) throw issues.length === 1 ? first : withAll(first, issues)
  return { values, given: names }
}

/** The first issue speaks; the facts list them all. */
export const withAll = (first: ApiError, issues: readonly ApiError[]): ApiError =>
  new ApiError(first.type, first.params, {
    ...first.facts,
    issues: issues.map((one) => ({ type: one.type, message: one.message })),
  })

/** The body of an action: its attributes, bare or under the action's envelope. */
export function decodeAction({ body: attributes, envelope = null }: Action, body: unknown): Decoded {
  if (!attributes) return { values: {}, given: new Set() }
  if (!isObject(body)) throw bad('Resource body required')
  const inner = envelope === null ? body : body[envelope]
  if (!isObject(inner)) throw bad(`Unable to find '${envelope}' in request body`)
  return decode({ attributes: attributes as ComposedResource['attributes'] }, 'create', inner)
}

function withOwner(body: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { tenant_id, ...rest } = body
  if (tenant_id === undefined) return rest
  if (rest['project_id'] !== undefined && rest['project_id'] !== tenant_id) {
    throw bad("'project_id' and 'tenant_id' do not match")
  }
  return { ...rest, project_id: tenant_id }
}

function refuseUnknown(resource: Pick<ComposedResource, 'attributes'>, names: readonly string[]): void {
  const unknown = names.filter((name) => !resource.attributes[name] || !usable(resource.attributes[name] as Attribute))
  if (unknown.length > 0)
    throw bad(`Unrecognized attribute(s) '${unknown.join(', ')}'`, {
      reason: 'unknown_attributes',
      attributes: unknown,
    })
}

/** Attributes that are neither shown nor accepted do not exist for clients. */
const usable = (attribute: Attribute): boolean => attribute.visible || attribute.set !== 'never'

function settable(name: string, { set }: Attribute, op: 'create' | 'update'): ApiError | null {
  if (set === 'always' || set === op) return null
  return op === 'create'
    ? bad(`Attribute '${name}' not allowed in POST`)
    : bad(`Cannot update read-only attribute ${name}`)
}

function parseInto(values: Draft, name: string, attribute: Attribute, value: unknown): ApiError | null {
  try {
    values[name] = attribute.parse(value)
    return null
  } catch (error) {
    if (error instanceof Reject)
      return bad(`Invalid input for ${name}. Reason: ${error.message}.`, { reason: 'invalid_value', attribute: name })
    if (error instanceof ApiError) return error
    throw error
  }
}
