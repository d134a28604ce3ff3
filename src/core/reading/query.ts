/** A list request's query string, checked against the model: filters, fields, order, page. */
import { ApiError } from '#kernel/errors.ts'
import { isUuid } from '#kernel/ids.ts'
import { parseIp } from '#kernel/ip.ts'
import { type Attribute, isStorable, Reject } from '#model/attribute.ts'
import type { ComposedResource } from '#model/compose.ts'
import type { SortKey, TagFilter } from '#store/condition.ts'
import type { ListQuery } from '#store/list.ts'

/** Query parameters as they came: every value of every key. */
export type Params = Readonly<Record<string, readonly string[]>>

export interface ListRequest extends Omit<ListQuery, 'visible'> {
  /** Undefined: all. */
  readonly fields: ReadonlySet<string> | undefined
  readonly asOf: string | undefined
}

const RESERVED = new Set(['fields', 'limit', 'marker', 'page_reverse', 'sort_key', 'sort_dir', 'as_of'])
const FIXED_IP_KEYS = ['ip_address', 'subnet_id', 'ip_address_substr']

const bad = (reason: string, detail: Readonly<Record<string, unknown>> = {}): ApiError =>
  new ApiError('HTTPBadRequest', { reason }, detail)

export function parseListRequest(resource: ComposedResource, params: Params, maxLimit: number): ListRequest {
  const limit = parseLimit(params['limit']?.at(-1), maxLimit)
  const marker = params['marker']?.at(-1)
  const fixedIps =
    params['fixed_ips'] && resource.attributes['fixed_ips'] ? parseFixedIps(params['fixed_ips']) : undefined
  const changedSince = params['changed_since']?.at(-1)
  return {
    filters: parseFilters(resource, params),
    ...(fixedIps && { fixedIps }),
    ...(resource.attributes['tags'] && parseTags(params)),
    ...(changedSince !== undefined && { changedSince: parseInstant('changed_since', changedSince) }),
    sort: parseSort(resource, params['sort_key'] ?? [], params['sort_dir'] ?? []),
    ...(limit !== undefined && { limit }),
    ...(marker !== undefined && { marker }),
    reverse: params['page_reverse']?.at(-1)?.toLowerCase() === 'true',
    fields: parseFields(params['fields']),
    asOf: parseAsOf(params['as_of']?.at(-1)),
  }
}

export const parseFields = (given: readonly string[] | undefined): ReadonlySet<string> | undefined => {
  const names = (given ?? []).filter((name) => name !== '')
  return names.length === 0 ? undefined : new Set(names)
}

export function parseAsOf(value: string | undefined): string | undefined {
  return value === undefined ? undefined : parseInstant('as_of', value)
}

function parseInstant(name: string, value: string): string {
  // A "+" of a zone offset arrives as a blank when it was not escaped.
  const text = value.trim().replace(' ', value.includes('T') ? '+' : 'T')
  const zoned = /(Z|[+-]\d{2}:?\d{2})$/.test(text) ? text : `${text}Z`
  const time = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(zoned) : Number.NaN
  // An offset may lead into a year without four digits, which PostgreSQL does not read so.
  if (!Number.isNaN(time) && /^(?!0000)\d{4}-/.test(new Date(time).toISOString())) return new Date(time).toISOString()
  if (name === 'as_of')
    throw new ApiError('BadAsOf', { value, reason: 'it must be RFC 3339, as in 2026-01-31T12:00:00Z' })
  throw bad(`The input ${name} must be in the following format: YYYY-MM-DDTHH:MM:SS[Z]`)
}

function parseLimit(value: string | undefined, maxLimit: number): number | undefined {
  const most = maxLimit > 0 ? maxLimit : undefined
  if (value === undefined || value === '') return most
  if (!/^\d{1,9}$/.test(value)) throw bad(`Limit must be an integer 0 or greater and not '${value}'`)
  const limit = Number(value) || undefined
  return limit === undefined ? most : Math.min(limit, most ?? limit)
}

function parseSort(resource: ComposedResource, keys: readonly string[], directions: readonly string[]): SortKey[] {
  if (directions.length > 0 && directions.length !== keys.length)
    throw bad('The number of sort_keys and sort_dirs must be same')
  const unknown = keys.filter((name) => !resource.attributes[canonical(name)]?.sort)
  if (unknown.length > 0)
    throw bad(`${quoted(unknown)} is invalid attribute for sort keys`, { reason: 'unknown_sort_keys', keys: unknown })
  const wrong = directions.find((one) => one !== 'asc' && one !== 'desc')
  if (wrong !== undefined) throw bad(`${wrong} is invalid value for sort_dirs, valid value is 'asc' and 'desc'`)
  return keys.map((name, index) => ({ name: canonical(name), descending: directions[index] === 'desc' }))
}

const canonical = (name: string): string => (name === 'tenant_id' ? 'project_id' : name)
const quoted = (names: readonly string[]): string => `[${names.map((name) => `'${name}'`).join(', ')}]`

function parseFilters(resource: ComposedResource, params: Params): Record<string, unknown[]> {
  // Filters that are more than an attribute's values.
  const structured = [
    ...(resource.attributes['tags'] ? Object.values(TAG_FILTERS) : []),
    resource.attributes['fixed_ips'] && 'fixed_ips',
    resource.attributes['updated_at'] && 'changed_since',
  ]
  const names = Object.keys(params).filter((name) => !RESERVED.has(name) && !structured.includes(name))
  if (
    names.includes('tenant_id') &&
    names.includes('project_id') &&
    String(params['tenant_id']) !== String(params['project_id'])
  ) {
    throw new ApiError('TenantIdProjectIdFilterConflict')
  }
  const unknown = names.filter((name) => !resource.attributes[canonical(name)]?.filter)
  if (unknown.length > 0)
    throw bad(`${quoted(unknown)} is invalid attribute for filtering`, { reason: 'unknown_filters', filters: unknown })
  return Object.fromEntries(
    names.map((name) => [
      canonical(name),
      parseValues(name, resource.attributes[canonical(name)] as Attribute, params[name] ?? []),
    ]),
  )
}

/** Values that cannot be in the column match nothing where that is what Neutron does (ids, words), and are refused elsewhere. */
function parseValues(name: string, attribute: Attribute, values: readonly string[]): unknown[] {
  if (attribute.pg === 'text') return values.filter(isStorable)
  if (attribute.pg === 'uuid' || attribute.pg === 'uuid[]') return values.filter(isUuid)
  return values.flatMap((value) => {
    if (value === '' && attribute.nullable) return [null]
    try {
      return [attribute.parse(value)]
    } catch (error) {
      if (error instanceof Reject)
        throw bad(`Invalid input for ${name}. Reason: ${error.message}.`, { reason: 'invalid_value', attribute: name })
      throw error
    }
  })
}

const TAG_FILTERS = { all: 'tags', any: 'tags-any', notAll: 'not-tags', notAny: 'not-tags-any' } as const

/** `tags`, `tags-any`, `not-tags`, `not-tags-any`: tags separated by commas. */
function parseTags(params: Params): { readonly tags?: TagFilter } {
  const asked = Object.entries(TAG_FILTERS).flatMap(([key, name]) => {
    const tags = params[name]?.flatMap((value) => value.split(',')).filter((tag) => tag !== '' && isStorable(tag))
    return tags && tags.length > 0 ? [[key, tags] as const] : []
  })
  return asked.length > 0 ? { tags: Object.fromEntries(asked) } : {}
}

/** `ip_address=…`, `subnet_id=…`, `ip_address_substr=…`, several of each. */
function parseFixedIps(values: readonly string[]): Record<string, string[]> {
  const wanted: Record<string, string[]> = {}
  for (const value of values.flatMap((one) => one.split(','))) {
    const [key = '', text] = value.split(/=(.*)/s)
    if (!FIXED_IP_KEYS.includes(key) || text === undefined)
      throw bad(`Invalid input for fixed_ips. Reason: '${value}' is not one of ${FIXED_IP_KEYS.join(', ')}=…`)
    if (key === 'subnet_id' && !isUuid(text))
      throw bad(`Invalid input for fixed_ips. Reason: '${text}' is not a valid UUID.`)
    if (key === 'ip_address' && !parseIp(text))
      throw bad(`Invalid input for fixed_ips. Reason: '${text}' is not a valid IP address.`)
    wanted[key] = [...(wanted[key] ?? []), text]
  }
  return wanted
}
