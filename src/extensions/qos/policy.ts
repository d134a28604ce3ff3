/** A named set of QoS rules, given to networks, ports, floating IPs and router gateways. */
import { ApiError } from '#kernel/errors.ts'
import { type Context, defineResource, type Draft, flag, list, type Row, text, uuid } from '#model/define.ts'
import { shareable } from '#resources/sharing.ts'
import { identity, standard } from '#resources/standard.ts'
import { listing, type RuleType } from './rule-kinds.ts'
import { ruleResources } from './rules.ts'

const attributes = {
  ...identity,
  name: text({ set: 'always', default: '', filter: true, sort: true }),
  ...shareable,
  /** New networks of the project get it when they name none. */
  is_default: flag({ set: 'always', default: false, filter: true }),
  rules: list({ schema: { type: 'object' }, parse: (value) => value as Readonly<Draft> }, { sql: listing() }),
  ...standard,
} as const
export type QosPolicy = Row<typeof attributes>

export const qosPolicy = defineResource({
  name: 'qos_policy',
  singular: 'policy',
  openMarkers: true,
  plural: 'policies',
  policyName: 'policy',
  path: 'qos/policies',
  table: 'qos_policies',
  docs: 'A named set of rules on how much traffic may or must pass. Networks, ports and floating IPs refer to it.',
  notFound: { type: 'QosPolicyNotFound', param: 'policy_id' },
  attributes,
  conflicts: {
    qos_policies_one_default: ({ values: [project_id] }) =>
      new ApiError('QoSPolicyDefaultAlreadyExists', { project_id }),
    networks_qos_policy_id_fkey: 'again',
    ports_qos_policy_id_fkey: 'again',
    floating_ips_qos_policy_id_fkey: 'again',
    routers_qos_policy_id_fkey: 'again',
  },
  inTx: async (context, { op, before }) => {
    if (op !== 'delete') return undefined
    const { id, rules } = before as QosPolicy
    await refuseInUse(context, id)
    for (const rule of rules) await context.remove(ruleResources[rule['type'] as RuleType], String(rule['id']))
    return undefined
  },
})

/** Who uses a policy, at most one object of a kind: a view, so that the price does not grow with the users. */
export const qosPolicyUse = defineResource({
  name: 'qos_policy_use',
  plural: 'qos_policy_uses',
  table: 'qos_policy_uses',
  docs: 'One object that uses a QoS policy.',
  notFound: { type: 'QosPolicyNotFound', param: 'policy_id' },
  operations: [],
  attributes: { id: uuid(), object_type: text(), object_id: uuid() },
})

async function refuseInUse(context: Context, policy_id: string): Promise<void> {
  const [use] = await context.find('qos_policy_use', { id: policy_id })
  if (!use) return
  const { object_type, object_id } = use
  throw new ApiError(
    'QosPolicyInUse',
    { policy_id, object_type, object_id },
    { reason: 'in_use', object_type, object_id },
  )
}
