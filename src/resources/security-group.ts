/** A named set of rules that says which packets may enter and leave the ports in it. */
import { ApiError } from '#kernel/errors.ts'
import { defineResource, type Draft, flag, list, type Row, text, type Write } from '#model/define.ts'
import { securityGroupRule } from './security-group-rule.ts'
import { identity, standard } from './standard.ts'

const RULE_FIELDS = [
  'id',
  'security_group_id',
  'project_id',
  'direction',
  'ethertype',
  'protocol',
  'port_range_min',
  'port_range_max',
  'remote_ip_prefix',
  'remote_group_id',
  'normalized_cidr',
  'description',
  'revision_number',
]

/** A group shows its rules whole. */
const rules = `(select coalesce(json_agg(row_to_json(o) order by o.id), '[]') from (select ${RULE_FIELDS.map((field) => `r.${field}`).join(', ')}, r.project_id as tenant_id,
  to_char(r.created_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as created_at,
  to_char(r.updated_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as updated_at
  from security_group_rules r where r.security_group_id = t.id) o)`

const attributes = {
  ...identity,
  name: text({ set: 'always', default: '', filter: true, sort: true }),
  stateful: flag({ set: 'always', default: true, filter: true }),
  security_group_rules: list(
    { schema: { type: 'object' }, parse: (value) => value as Readonly<Draft> },
    { sql: rules },
  ),
  ...standard,
} as const
export type SecurityGroup = Row<typeof attributes>

export const securityGroup = defineResource({
  name: 'security_group',
  plural: 'security_groups',
  table: 'security_groups',
  docs: 'A named set of rules. What no rule allows is dropped; a new group lets everything out and nothing in.',
  notFound: { type: 'SecurityGroupNotFound', param: 'id' },
  quota: 'security_group',
  inUse: ({ id }) => new ApiError('SecurityGroupInUse', { id, reason: 'in use' }),
  attributes,
  check: (write) => checkGroup(write),
  inTx: async (context, write) => {
    if (write.op === 'create') {
      const group = write.after as SecurityGroup
      if (!write.internal) await context.defaultSecurityGroup(group.project_id)
      context.afterWrite(async () => {
        for (const rule of initialRules(group))
          await context.create(securityGroupRule, { ...rule, project_id: group.project_id })
      })
    }
    if (write.op === 'delete') {
      const { id, security_group_rules } = write.before as SecurityGroup
      const [user] = await context.find('port', { 'security_groups:has': id })
      if (user)
        throw new ApiError(
          'SecurityGroupInUse',
          { id, reason: 'in use' },
          { reason: 'ports_in_group', port_id: user['id'] },
        )
      // With the group go its own rules and those of other groups that name it.
      const naming = await context.find('security_group_rule', { remote_group_id: id })
      const ids = new Set([...security_group_rules, ...naming].map((rule) => String(rule['id'])))
      for (const rule of ids) await context.remove(securityGroupRule, rule)
    }
    return undefined
  },
})

function checkGroup({ op, before, after, given, internal }: Write<SecurityGroup>): ApiError[] {
  if (internal) return []
  if (op === 'delete' && before?.name === 'default') return [new ApiError('SecurityGroupCannotRemoveDefault')]
  if (op === 'update' && before?.name === 'default' && given.has('name'))
    return [new ApiError('SecurityGroupCannotUpdateDefault')]
  if (op === 'create' && after?.name === 'default') return [new ApiError('SecurityGroupDefaultAlreadyExists')]
  return []
}

/** Out: everything. In: for the default group, what comes from its own members. */
function initialRules({ id, name }: SecurityGroup): Draft[] {
  return (['IPv4', 'IPv6'] as const).flatMap((ethertype) => {
    const egress = { security_group_id: id, direction: 'egress', ethertype }
    const ingress = { security_group_id: id, direction: 'ingress', ethertype, remote_group_id: id }
    return name === 'default' ? [egress, ingress] : [egress]
  })
}
