/** Which kinds of QoS rules there are, and what the drivers say of each. */
import { ApiError } from '#kernel/errors.ts'
import { defineResource, type Draft, flag, list, oneOf, parseFlag, uuid } from '#model/define.ts'
import { RULE_TYPES } from './rule-kinds.ts'

/** Narrows the list to what is supported in some way. Every kind is, so that it leaves all of them in either case. */
const narrowing = () => ({
  ...flag({ visible: false, filter: true, sql: 'true' }),
  parse: (value: unknown) => parseFlag(value) || true,
})

export const qosRuleType = defineResource({
  name: 'qos_rule_type',
  singular: 'rule_type',
  plural: 'rule_types',
  policyName: 'rule_type',
  path: 'qos/rule-types',
  key: 'type',
  table: 'qos_rule_types',
  docs: 'A kind of rules that QoS policies may have. Shown alone: what each driver accepts.',
  notFound: { type: 'HTTPNotFound', param: 'resource' },
  operations: ['list'],
  attributes: {
    id: uuid({ visible: false }),
    type: oneOf(RULE_TYPES),
    all_supported: narrowing(),
    all_rules: narrowing(),
    drivers: list({ schema: { type: 'object' }, parse: (value) => value as Readonly<Draft> }, { visible: false }),
  },
  actions: [
    {
      name: 'get_rule_type',
      method: 'GET',
      path: ':rule_type',
      on: 'collection',
      rule: 'get_rule_type',
      docs: 'The kind of rules, with what each driver accepts.',
      run: async (context, { params }) => {
        if (!context.isAdmin) throw new ApiError('PolicyNotAuthorized', { action: 'get_rule_type' })
        const [found] = await context.find('qos_rule_type', { type: params['rule_type'] ?? '' })
        if (!found) throw new ApiError('HTTPBadRequest', { reason: `'${params['rule_type']}' is no kind of QoS rules` })
        return { rule_type: { type: found['type'], drivers: found['drivers'] } }
      },
    },
  ],
})
