/** Boolean SQL over row `t`, with its parameters collected as it grows. */
import type { Attribute } from '#model/attribute.ts'
import type { ComposedResource } from '#model/compose.ts'
import { quoteName, readExpression } from './sql.ts'

export class Binder {
  readonly params: unknown[] = []

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

const read = (resource: ComposedResource, name: string): string => {
  const attribute = resource.attributes[name === 'tenant_id' ? 'project_id' : name]
  return (attribute && readExpression(attribute)) ?? 'null'
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
      return `(coalesce((${read(resource, expression.attribute)})::text ${operator} ${binder.bind(expression.pattern)}, false))`
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
  const attribute = resource.attributes[name === 'tenant_id' ? 'project_id' : name]
  const left = attribute && readExpression(attribute)
  if (!left) return 'false'
  if (value === null) return `(${left} is null)`
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

export const orderBy = (resource: ComposedResource, keys: readonly SortKey[]): string =>
  keys.map(({ name, descending }) => `${column(resource, name)}${descending ? ' desc' : ''}`).join(', ')

const column = (resource: ComposedResource, name: string): string =>
  readExpression(resource.attributes[name] as Attribute) as string

/** Rows after row `m` in this order (nulls last, as PostgreSQL sorts ascending). */
export function afterMarker(resource: ComposedResource, keys: readonly SortKey[]): string {
  const of = (name: string, alias: string): string => column(resource, name).replaceAll(/\bt\./g, `${alias}.`)
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
  const expression = readExpression(attribute) as string
  const present = values.filter((value) => value !== null)
  const parts = present.length < values.length ? [`${expression} is null`] : []
  if (attribute.pg === 'uuid[]')
    parts.push(`t.${quoteName(attribute.column as string)} && ${binder.bind(present)}::uuid[]`)
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

const likeAnywhere = (text: string): string => `%${text.replaceAll(/[\\%_]/g, (one) => `\\${one}`)}%`
