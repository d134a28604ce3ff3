/**
 * The tags of QoS policies where clients look for them: Neutron leaves the prefix of QoS out of that path. Policies are
 * the administrators', but whoever uses one may tag it.
 */
import { defineResource, list, parseText, type Resource } from '#model/define.ts'
import { shareable } from '#resources/sharing.ts'
import { identity } from '#resources/standard.ts'
import { tagOperations } from '../tags.ts'
import { qosPolicy } from './policy.ts'

const { table, policyName, notFound } = qosPolicy
const tag = { schema: { type: 'string' }, parse: parseText(255) }

export const qosPolicyTags = defineResource({
  name: 'qos_policy_tags',
  plural: 'qos_policy_tags',
  policyName,
  path: 'policies',
  table,
  notFound,
  docs: 'The tags of QoS policies.',
  operations: [],
  attributes: { ...identity, ...shareable, tags: list(tag, { pg: 'text[]', sql: 'to_jsonb(t.tags)' }) },
  actions: tagOperations(qosPolicy as Resource, null),
}) as Resource
