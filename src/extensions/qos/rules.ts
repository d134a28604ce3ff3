/** The rules of QoS policies: one resource a kind, each part of its policy, and each by its own path as well. */
import { ApiError } from '#kernel/errors.ts'
import {
  type Action,
  type Attributes,
  audienceList,
  type Context,
  defineResource,
  type Draft,
  flag,
  type Resource,
  text,
  uuid,
  whole,
  type Write,
} from '#model/define.ts'
import { refuseConflicts } from './rule-conflicts.ts'
import { RULE_TYPES, type RuleType, ruleKinds } from './rule-kinds.ts'

const ofPolicy = (expression: string): string =>
  `(select ${expression} from qos_policies p where p.id = t.qos_policy_id)`

/** What every rule has beside what its kind says. Who may see it follows from its policy. */
const common = {
  id: uuid({ filter: true, sort: true }),
  /** The policy's. */
  project_id: text({ set: 'create' }),
  qos_policy_id: uuid({ visible: false }),
  'ext_parent:project_id': text({ visible: false, sql: ofPolicy('p.project_id') }),
  'ext_parent:shared': flag({
    visible: false,
    audience: { list: 'ext_parent:shared_with', sql: ofPolicy('p.shared_with') },
  }),
  'ext_parent:shared_with': audienceList({ sql: ofPolicy('to_jsonb(p.shared_with)') }),
  revision_number: whole({ visible: false, max: Number.MAX_SAFE_INTEGER }),
} as const

const notFound = { type: 'QosRuleNotFound', param: 'rule_id' } as const

function ruleResource(type: RuleType): Resource {
  const { table, docs, attributes } = ruleKinds[type]
  return defineResource({
    name: `qos_${type}_rule`,
    singular: `${type}_rule`,
    plural: `${type}_rules`,
    policyName: `policy_${type}_rule`,
    path: `${type}_rules`,
    parent: { resource: 'qos_policy', attribute: 'qos_policy_id' },
    table,
    docs,
    notFound,
    references: {
      qos_policy_id: { resource: 'qos_policy', policyAttributes: ['project_id', 'shared'], lock: 'update' },
    },
    bumps: ['qos_policy_id'],
    conflicts: { [`${table}_once`]: 'again' },
    attributes: { ...common, ...attributes } as Attributes,
    inTx: (context, write) => decideRule(context, type, write as Write),
  }) as Resource
}

/** Holds the new rule against the others of its policy, which is locked, and against the ports that have the policy. */
async function decideRule(context: Context, type: RuleType, write: Write): Promise<Partial<Draft> | undefined> {
  const policyId = String((write.after ?? write.before)?.['qos_policy_id'])
  const policy = (await context.load('qos_policy', policyId, 'update')) as Readonly<Draft>
  if (write.after) refuseConflicts(policy, type, write)
  await refuseByPorts(context, type, policyId, write.after !== null)
  return write.op === 'create' ? { project_id: policy['project_id'] } : undefined
}

/** A rule is given only where somebody can keep it, and a guarantee changes only while no instance counts on it. */
async function refuseByPorts(context: Context, rule_type: RuleType, id: string, stays: boolean): Promise<void> {
  const [limits] = await context.find('qos_policy_limit', { id })
  if (!limits) return
  const { instance_port_id, unbacked_port_id, unfit_port_id } = limits
  const unbacked = rule_type === 'minimum_bandwidth' ? unbacked_port_id : null
  if (stays) refusePort(rule_type, unbacked ?? unfit_port_id, unbacked ? 'no_physical_network' : 'no_driver')
  const guarantee = rule_type === 'minimum_bandwidth' || rule_type === 'minimum_packet_rate'
  if (!guarantee || !instance_port_id) return
  const reason = 'Cannot update QoS policies/rules backed by resources tracked in Placement'
  throw new ApiError('NotImplementedError', { reason }, { reason: 'guarantee_in_use', port_id: instance_port_id })
}

/** Nobody can keep the rule on that port, if there is one. */
export function refusePort(rule_type: unknown, port_id: unknown, reason: 'no_driver' | 'no_physical_network'): void {
  if (port_id) throw new ApiError('QosRuleNotSupported', { rule_type, port_id }, { reason, rule_type, port_id })
}

/** Ports that stand in the way of rules: a view with a row for each policy. */
export const qosPolicyLimit = defineResource({
  name: 'qos_policy_limit',
  plural: 'qos_policy_limits',
  table: 'qos_policy_limits',
  docs: 'Ports that stand in the way of rules of a QoS policy.',
  notFound: { type: 'QosPolicyNotFound', param: 'policy_id' },
  operations: [],
  attributes: { id: uuid(), instance_port_id: uuid(), unbacked_port_id: uuid(), unfit_port_id: uuid() },
})

export const ruleResources: Readonly<Record<RuleType, Resource>> = Object.fromEntries(
  RULE_TYPES.map((type) => [type, ruleResource(type)]),
) as Record<RuleType, Resource>

/** The rule by its own path, without its policy's: shown as it is, changed and deleted as there. */
function aliasResource(type: RuleType): Resource {
  const rule = ruleResources[type]
  const singular = `alias_${rule.singular}`
  const { qos_policy_id: _policy, revision_number: _revision, ...attributes } = rule.attributes
  return defineResource({
    name: `qos_${singular}`,
    singular,
    plural: `${singular}s`,
    policyName: singular,
    path: `qos/alias-${type.replaceAll('_', '-')}-rules`,
    table: rule.table,
    docs: `${rule.docs} Without its policy in the path.`,
    notFound,
    operations: ['show'],
    attributes,
    actions: aliasActions(rule, singular, ruleKinds[type].attributes),
  }) as Resource
}

const optionalOnes = (attributes: Attributes): Attributes =>
  Object.fromEntries(
    Object.entries(attributes).map(([name, one]) => [name, { ...one, required: false, default: undefined }]),
  )

function aliasActions(rule: Resource, singular: string, attributes: Attributes): readonly Action[] {
  return [
    {
      name: `update_${singular}`,
      method: 'PUT',
      path: '',
      rule: `update_${singular}`,
      envelope: singular,
      body: optionalOnes(attributes),
      docs: 'Changes the rule.',
      run: async (context, { object, body }) => {
        const changed = await context.update(rule, String(object['id']), { ...body })
        return { [singular]: context.shown(rule.name, changed) }
      },
    },
    {
      name: `delete_${singular}`,
      method: 'DELETE',
      path: '',
      status: 204,
      rule: `delete_${singular}`,
      docs: 'Deletes the rule.',
      run: async (context, { object }) => context.remove(rule, String(object['id'])),
    },
  ]
}

export const aliasOf = (types: readonly RuleType[]): readonly Resource[] => types.map(aliasResource)
