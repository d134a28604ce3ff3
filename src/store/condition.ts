/** Boolean SQL over row `t`, with its parameters collected as it grows. */
import { type Attribute, EVERYONE } from '#model/attribute.ts'
import type { ComposedResource } from '#model/compose.ts'
import { quoteName, readExpression } from './sql.ts'

/** The parameters of one statement, and whom its audience flags are worked out for. */
export class Binder {
  readonly params: unknown[] = []
  readonly #projectId: string | null
  #members: string | undefined

  constructor(projectId: string | null = null) {
    this.#projectId = projectId
  }

  /** What stands for the caller in the lists of audiences. */
  members(): string {
    const members = this.#projectId === null ? [EVERYONE] : [EVERYONE, this.#projectId]
    return (this.#members ??= `${this.bind(members)}::text[]`)
  }

  /** The placeholder of a new parameter. */
  bind(value: unknown): string {
    this.params.push(value)
    return `$${this.params.length}`
  }
}

/** What is left of a policy rule when the caller is known: true, false, or an expression over attributes. */
export type Expression =
  | boolean
  | { readonly op: 'and' | 'or'; readonly of: readonly Expression[] }
  | { readonly op: 'not'; readonly of: Expression }
  | { readonly op: 'equals'; readonly attribute: string; readonly value: string | number | boolean | null }
  | { readonly op: 'matches'; readonly attribute: string; readonly pattern: string; readonly ignoreCase: boolean }

/** How an attribute is read from row `t` for the binder's caller; null for an input-only one. */
export const readFor = (attribute: Attribute, binder: Binder): string | null =>
  attribute.audience ? `(${attribute.audience.sql} && ${binder.members()})` : readExpression(attribute)

/** The attribute a rule means: the old name of `project_id`; `shared` of what has none is its network's. */
const meant = ({ attributes }: ComposedResource, name: string): Attribute | undefined =>
  attributes[name === 'tenant_id' ? 'project_id' : name] ??
  (name === 'shared' ? attributes['network:shared'] : undefined)

const read = (resource: ComposedResource, name: string, binder: Binder): string => {
  const attribute = meant(resource, name)
  return (attribute && readFor(attribute, binder)) ?? 'null'
}

export function expressionSql(resource: ComposedResource, expression: Expression, binder: Binder): string {
  if (typeof expression === 'boolean') return String(expression)
  switch (expression.op) {
    case 'and':
    case 'or':
      if (expression.of.length === 0) return String(expression.op === 'and')
      return `(${expression.of.map((one) => expressionSql(resource, one, binder)).join(` ${expression.op} `)})`
    case 'not':
      return `(not ${expressionSql(resource, expression.of, binder)})`
    case 'equals':
      return equalsSql(resource, expression.attribute, expression.value, binder)
    case 'matches': {
      const operator = expression.ignoreCase ? '~*' : '~'
      return `(coalesce((${read(resource, expression.attribute, binder)})::text ${operator} ${binder.bind(expression.pattern)}, false))`
    }
  }
}

/** Null differs from every value; an attribute the resource does not have equals nothing, not even null. */
function equalsSql(
  resource: ComposedResource,
  name: string,
  value: string | number | boolean | null,
  binder: Binder,
): string {
  const attribute = meant(resource, name)
  const left = attribute && readFor(attribute, binder)
  if (!left) return 'false'
  if (value === null) return `(${left} is null)`
  if (attribute.equals !== null) return `(${attribute.equals.replace('?', binder.bind(String(value)))})`
  if (attribute.pg === 'boolean')
    return `(coalesce((${left})::text = ${binder.bind(String(value).toLowerCase())}, false))`
  // Texts hold what Python would write: True, not true.
  const text = typeof value === 'boolean' ? (value ? 'True' : 'False') : String(value)
  return `(coalesce((${left})::text = ${binder.bind(text)}, false))`
}

export interface SortKey {
  readonly name: string
  readonly descending: boolean
}

export const orderBy = (resource: ComposedResource, keys: readonly SortKey[], binder: Binder): string =>
  keys.map(({ name, descending }) => `${read(resource, name, binder)}${descending ? ' desc' : ''}`).join(', ')

/** Rows after row `m` in this order (nulls last, as PostgreSQL sorts ascending). */
export function afterMarker(resource: ComposedResource, keys: readonly SortKey[], binder: Binder): string {
  const of = (name: string, alias: string): string => read(resource, name, binder).replaceAll(/\bt\./g, `${alias}.`)
  const steps = keys.map(({ name, descending }, index) => {
    const equal = keys.slice(0, index).map((key) => `${of(key.name, 't')} is not distinct from ${of(key.name, 'm')}`)
    const [a, m] = [of(name, 't'), of(name, 'm')]
    const beyond = descending
      ? `(${a} < ${m} or (${a} is not null and ${m} is null))`
      : `(${a} > ${m} or (${a} is null and ${m} is not null))`
    return `(${[...equal, beyond].join(' and ')})`
  })
  return `(${steps.join(' or ')})`
}

/** One filter: any of the values. Values are already canonical for the attribute. */
export function filterSql(
  resource: ComposedResource,
  name: string,
  values: readonly unknown[],
  binder: Binder,
): string {
  const attribute = resource.attributes[name] as Attribute
  const expression = readFor(attribute, binder) as string
  const present = values.filter((value) => value !== null)
  if (attribute.filterAmong !== null && present.length === values.length)
    return `(${binder.bind(present)}::${attribute.pg}[] && array(${attribute.filterAmong})::${attribute.pg}[])`
  const parts = present.length < values.length ? [`${expression} is null`] : []
  if (attribute.pg === 'uuid[]')
    parts.push(`t.${quoteName(attribute.column as string)} && ${binder.bind(present)}::uuid[]`)
  // One value is told apart from many, so that PostgreSQL plans for one, and once.
  else if (present.length === 1 && attribute.pg !== 'jsonb')
    parts.push(`${expression} = ${binder.bind(present[0])}::${attribute.pg}`)
  else if (present.length > 0 || parts.length === 0)
    parts.push(`${expression} = any(${binder.bind(present)}::${attribute.pg}[])`)
  return `(${parts.join(' or ')})`
}

/** Ports by their addresses: each key any of its values, all keys on one address. */
export function fixedIpsSql(wanted: Readonly<Record<string, readonly string[]>>, binder: Binder): string {
  const conditions: string[] = []
  const { ip_address, subnet_id, ip_address_substr } = wanted
  if (ip_address) conditions.push(`a.ip_address = any(${binder.bind(ip_address)}::inet[])`)
  if (subnet_id) conditions.push(`a.subnet_id = any(${binder.bind(subnet_id)}::uuid[])`)
  if (ip_address_substr)
    conditions.push(`host(a.ip_address) like any(${binder.bind(ip_address_substr.map(likeAnywhere))})`)
  return `t.id in (select a.port_id from ip_allocations a where ${conditions.join(' and ')})`
}

/** What is asked of an object's tags: all of these, any of these, not all of these, none of these. */
export interface TagFilter {
  readonly all?: readonly string[]
  readonly any?: readonly string[]
  readonly notAll?: readonly string[]
  readonly notAny?: readonly string[]
}

export function tagsSql({ all, any, notAll, notAny }: TagFilter, binder: Binder): string {
  const list = (tags: readonly string[]): string => `${binder.bind(tags)}::text[]`
  return [
    ...(all ? [`t.tags @> ${list(all)}`] : []),
    ...(any ? [`t.tags && ${list(any)}`] : []),
    ...(notAll ? [`not t.tags @> ${list(notAll)}`] : []),
    ...(notAny ? [`not t.tags && ${list(notAny)}`] : []),
  ].join(' and ')
}

const likeAnywhere = (text: string): string => `%${text.replaceAll(/[\\%_]/g, (one) => `\\${one}`)}%`
