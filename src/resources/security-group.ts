/** A named set of rules that says which packets may enter and leave the ports in it. */
import { ApiError } from '#kernel/errors.ts'
import {
  audienceList,
  type Context,
  defineResource,
  type Draft,
  flag,
  list,
  type Row,
  text,
  type Write,
} from '#model/define.ts'
import { ruleFrom } from './default-security-group-rule.ts'
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
  'remote_address_group_id',
  'normalized_cidr',
  'description',
  'revision_number',
]

/** A group shows its rules whole. */
const rules = `(select coalesce(json_agg(row_to_json(o) order by o.id), '[]') from (select ${RULE_FIELDS.map((field) => `r.${field}`).join(', ')}, r.project_id as tenant_id, t.name = 'default' as belongs_to_default_sg,
  to_char(r.created_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as created_at,
  to_char(r.updated_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as updated_at
  from security_group_rules r where r.security_group_id = t.id) o)`

const attributes = {
  ...identity,
  name: text({ set: 'always', default: '', filter: true, sort: true }),
  stateful: flag({ set: 'always', default: true, filter: true }),
  /** Said by RBAC policies alone. */
  shared: flag({ filter: true, policy: true, audience: { list: 'shared_with', sql: 't.shared_with' } }),
  shared_with: audienceList({ column: 'shared_with' }),
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
    if (write.op === 'create') await fillGroup(context, write)
    if (write.op === 'update') await refuseOtherState(context, write)
    if (write.op === 'delete') await emptyGroup(context, write)
    return undefined
  },
})

async function fillGroup(context: Context, { after, internal }: Write<SecurityGroup>): Promise<void> {
  const { id, name, project_id } = after as SecurityGroup
  if (!internal) await context.defaultSecurityGroup(project_id)
  const used = name === 'default' ? 'used_in_default_sg' : 'used_in_non_default_sg'
  context.afterWrite(async () => {
    for (const template of await context.find('default_security_group_rule', { [used]: true }))
      await context.add(securityGroupRule, { ...ruleFrom(template, id), project_id }, { charged: !internal })
  })
}

/** Ports trust that connections are followed, or that they are not. */
async function refuseOtherState(context: Context, { before, after }: Write<SecurityGroup>): Promise<void> {
  if (before?.stateful !== after?.stateful) await refuseInUse(context, String(before?.id))
}

async function refuseInUse(context: Context, id: string): Promise<void> {
  const [user] = await context.find('port', { 'security_groups:has': id })
  if (!user) return
  const detail = { reason: 'ports_in_group', port_id: user['id'] }
  throw new ApiError('SecurityGroupInUse', { id, reason: 'in use' }, detail)
}

/** With the group go its own rules and those of other groups that name it. */
async function emptyGroup(context: Context, { before, internal }: Write<SecurityGroup>): Promise<void> {
  const { id, name, security_group_rules } = before as SecurityGroup
  await refuseInUse(context, id)
  if (name === 'default' && !internal && !context.isAdmin) throw new ApiError('SecurityGroupCannotRemoveDefault')
  const naming = await context.find('security_group_rule', { remote_group_id: id })
  const ids = new Set([...security_group_rules, ...naming].map((rule) => String(rule['id'])))
  for (const rule of ids) await context.remove(securityGroupRule, rule)
}

function checkGroup({ op, before, after, given, internal }: Write<SecurityGroup>): ApiError[] {
  if (internal) return []
  if (op === 'update' && before?.name === 'default' && given.has('name'))
    return [new ApiError('SecurityGroupCannotUpdateDefault')]
  if (op !== 'delete' && given.has('name') && after?.name.toLowerCase() === 'default')
    return [new ApiError('SecurityGroupDefaultAlreadyExists')]
  return []
}
