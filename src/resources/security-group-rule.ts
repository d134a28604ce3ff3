/** One allowance of a security group. */
import { ApiError } from '#kernel/errors.ts'
import { isUuid } from '#kernel/ids.ts'
import { formatPrefix, networkOf, parsePrefix } from '#kernel/ip.ts'
import {
  cidr,
  type Context,
  defineResource,
  flag,
  oneOf,
  optional,
  parseText,
  type Row,
  text,
  uuid,
} from '#model/define.ts'
import type { Attribute } from '#model/attribute.ts'
import { canonical, checkRule, protocolNumber, PROTOCOLS, ruleKey } from './security-group-protocols.ts'
import { identity, standard } from './standard.ts'

const portNumber = { schema: { type: 'integer', minimum: 0, maximum: 65535 } }

/** Port numbers and ICMP types: integers or decimal strings, null for any. */
const portValue = (): Attribute<number | null> => {
  const parse = (value: unknown): number | null => {
    if (value === null) return null
    const number = typeof value === 'string' && /^\d{1,6}$/.test(value) ? Number(value) : value
    if (typeof number === 'number' && Number.isInteger(number) && number >= 0 && number <= 65535) return number
    const port = typeof value === 'string' ? value : JSON.stringify(value)
    throw new ApiError('SecurityGroupInvalidPortValue', { port })
  }
  const base = optional(text({ set: 'create', filter: true, sort: true })) as unknown as Attribute<number | null>
  return { ...base, schema: { anyOf: [portNumber.schema, { type: 'null' }] }, pg: 'integer', parse }
}

/** A protocol's name or number as text; null, `any` and `-1`… mean any. */
const protocol = (): Attribute<string | null> => {
  const base = optional(text({ set: 'create', filter: true, sort: true }))
  return {
    ...base,
    parse: (value) => {
      if (value === null || value === '' || value === 'any' || value === -1 || value === '-1') return null
      const given = typeof value === 'number' ? String(value) : parseText(40)(value).toLowerCase()
      if (protocolNumber(given) === null) {
        throw new ApiError('SecurityGroupRuleInvalidProtocol', {
          protocol: given,
          values: [...PROTOCOLS.keys()].join(', '),
        })
      }
      return given
    },
  }
}

/** What cannot be the id of an object is no object's. */
const idOf =
  (missing: (id: string) => ApiError) =>
  (value: unknown): string => {
    const given = parseText(255)(value)
    if (!isUuid(given)) throw missing(given)
    return given.toLowerCase()
  }
const groupId = idOf((id) => new ApiError('SecurityGroupNotFound', { id }))
const addressGroupId = idOf((address_group_id) => new ApiError('AddressGroupNotFound', { address_group_id }))

/** What a rule lets through, as a client says it. */
export const ruleTerms = {
  direction: oneOf(['ingress', 'egress'], { set: 'create', required: true, filter: true, sort: true }),
  ethertype: oneOf(['IPv4', 'IPv6'], { set: 'create', default: 'IPv4', filter: true, sort: true, ignoreCase: true }),
  protocol: protocol(),
  port_range_min: portValue(),
  port_range_max: portValue(),
  remote_ip_prefix: optional({
    ...text({ set: 'create', filter: true, sort: true, max: 64 }),
    parse: (value) => parsePrefixText(value),
  }),
  remote_address_group_id: optional({
    ...uuid({ set: 'create', filter: true, sort: true }),
    parse: addressGroupId,
  }),
} as const

const group = { table: 'security_groups', as: 'g', on: 'g.id = t.security_group_id' }

const attributes = {
  ...identity,
  security_group_id: { ...uuid({ set: 'create', required: true, filter: true, sort: true }), parse: groupId },
  ...ruleTerms,
  remote_group_id: optional({ ...uuid({ set: 'create', filter: true, sort: true }), parse: groupId }),
  normalized_cidr: optional(cidr({ filter: true, sort: true, bareAddress: true })),
  belongs_to_default_sg: flag({ filter: true, sql: "(g.name = 'default')", beside: group }),
  'security_group:project_id': text({ visible: false, sql: 'g.project_id', beside: group }),
  ...standard,
} as const
export type SecurityGroupRule = Row<typeof attributes>

export const securityGroupRule = defineResource({
  name: 'security_group_rule',
  plural: 'security_group_rules',
  table: 'security_group_rules',
  docs: 'Lets packets of one direction, family and protocol through, from anywhere, a prefix or the members of a group.',
  notFound: { type: 'SecurityGroupRuleNotFound', param: 'id' },
  quota: 'security_group_rule',
  operations: ['list', 'show', 'create', 'delete'],
  references: {
    security_group_id: { resource: 'security_group', policyAttributes: ['project_id'], lock: 'update' },
    remote_group_id: { resource: 'security_group' },
  },
  bumps: ['security_group_id'],
  attributes,
  check: (write) => (write.op === 'create' ? checkRule(write.after as SecurityGroupRule) : []),
  checkTogether: (rules) => checkTogether(rules),
  inTx: async (context, write) => {
    if (write.op !== 'create') return undefined
    const wanted = canonical(write.after as SecurityGroupRule)
    if (!write.internal) {
      refuseForeignGroup(context, wanted)
      await refuseTwin(context, wanted)
    }
    const prefix = wanted.remote_ip_prefix ? parsePrefix(wanted.remote_ip_prefix) : null
    const { protocol, port_range_min, port_range_max } = wanted
    return { protocol, port_range_min, port_range_max, normalized_cidr: prefix && formatPrefix(networkOf(prefix)) }
  },
})

/** Rules of one request are of one group and one project, and no two are the same. */
function checkTogether(rules: readonly SecurityGroupRule[]): ApiError[] {
  const distinct = (values: readonly unknown[]): number => new Set(values).size
  if (distinct(rules.map((one) => one.security_group_id)) > 1) return [new ApiError('SecurityGroupNotSingleGroupRules')]
  if (distinct(rules.map((one) => one.project_id)) > 1) return [new ApiError('SecurityGroupRulesNotSingleTenant')]
  if (distinct(rules.map(ruleKey)) < rules.length) return [new ApiError('DuplicateSecurityGroupRuleInPost')]
  return []
}

/** Whom a group is shared with uses it as it is. */
function refuseForeignGroup({ isAdmin, caller }: Context, wanted: SecurityGroupRule): void {
  if (isAdmin || wanted['security_group:project_id'] === caller.projectId) return
  throw new ApiError('PolicyNotAuthorized', { action: 'create_security_group_rule' })
}

/** A prefix as given, made canonical; a bare address gets its full length. */
function parsePrefixText(value: unknown): string {
  const prefix = parsePrefix(parseText(64)(value))
  if (!prefix) throw new ApiError('InvalidCIDR', { input: value })
  return formatPrefix(prefix)
}

async function refuseTwin(context: Context, wanted: SecurityGroupRule): Promise<void> {
  const { security_group_id, direction } = wanted
  const rules = await context.find('security_group_rule', { security_group_id, direction })
  const key = ruleKey(wanted)
  const twin = rules.find((rule) => ruleKey(rule as unknown as SecurityGroupRule) === key)
  if (twin) throw new ApiError('SecurityGroupRuleExists', { rule_id: twin['id'] })
}
