/** QoS policies and rules over HTTP: what may stand in a policy, who sees it, and by which paths. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { answered, refused } from '../lib/refused.ts'
import { type TestServer, testServer } from '../lib/server.ts'
import { verify } from '../lib/verify.ts'

let server: TestServer
before(async () => {
  server = await testServer()
})
after(async () => {
  assert.deepEqual(await verify(server.core), [])
  await server.close()
})

const policyOf = (values: Record<string, unknown> = {}) => server.admin.make('qos_policy', values)
const addRule = (policyId: string, type: string, values: Record<string, unknown>) =>
  server.admin.post(`qos/policies/${policyId}/${type}_rules`, { [`${type}_rule`]: values })
const added = async (policyId: string, type: string, values: Record<string, unknown>) =>
  answered(await addRule(policyId, type, values), 201)[`${type}_rule`]

describe('a policy', () => {
  test('shows its rules with their types, and each rule is a revision of it', async () => {
    const { id } = await policyOf({ name: 'gold' })
    const limit = await added(id, 'bandwidth_limit', { max_kbps: '1000' })
    const mark = await added(id, 'dscp_marking', { dscp_mark: 26 })
    const { policy } = answered(await server.admin.get(`qos/policies/${id}`), 200)
    assert.equal(policy.revision_number, 3)
    assert.deepEqual(policy.rules, [
      {
        id: limit.id,
        qos_policy_id: id,
        type: 'bandwidth_limit',
        max_kbps: 1000,
        max_burst_kbps: 0,
        direction: 'egress',
      },
      { id: mark.id, qos_policy_id: id, type: 'dscp_marking', dscp_mark: 26 },
    ])
    answered(await server.admin.delete(`qos/policies/${id}/dscp_marking_rules/${mark.id}`), 204)
    const later = answered(await server.admin.get(`qos/policies/${id}`), 200).policy
    assert.equal(later.revision_number, 4)
    assert.equal(later.rules.length, 1)
  })

  test('is deleted with its rules, each of which leaves the log as deleted', async () => {
    const { id } = await policyOf()
    const rule = await added(id, 'minimum_packet_rate', { min_kpps: 5 })
    answered(await server.admin.delete(`qos/policies/${id}`), 204)
    refused(await server.admin.get(`qos/policies/${id}`), 'QosPolicyNotFound')
    const ops = await server.database.query<{ op: string }>('select op from change where id = $1 order by generation', [
      rule.id,
    ])
    assert.deepEqual(
      ops.map((one) => one.op),
      ['create', 'delete'],
    )
  })

  test('has tags, by its own path and by the one clients know', async () => {
    const { id } = await policyOf({ project_id: 'mine' })
    answered(await server.admin.put(`policies/${id}/tags`, { tags: ['a', 'b'] }), 200)
    answered(await server.admin.delete(`qos/policies/${id}/tags/b`), 204)
    assert.deepEqual(answered(await server.as('mine').get(`policies/${id}/tags`), 200), { tags: ['a'] })
    answered(await server.as('mine').put(`policies/${id}/tags/c`), 201)
    refused(await server.as('mine').put(`qos/policies/${id}/tags/d`), 'PolicyNotAuthorized')
    refused(await server.as('stranger').get(`policies/${id}/tags`), 'QosPolicyNotFound')
    const { policies } = answered(await server.admin.get('qos/policies?tags=a'), 200)
    assert.deepEqual(
      policies.map((one: { id: string }) => one.id),
      [id],
    )
  })

  test('may be the default of its project, one at a time, whatever comes at once', async () => {
    const project_id = 'defaults'
    const made = await Promise.all(
      Array.from({ length: 6 }, () => server.admin.post('qos/policies', { policy: { is_default: true, project_id } })),
    )
    const [first, ...more] = made.filter((one) => one.status === 201)
    assert.equal(more.length, 0)
    for (const one of made.filter((reply) => reply !== first)) refused(one, 'QoSPolicyDefaultAlreadyExists', /defaults/)
    const other = await policyOf({ project_id })
    refused(
      await server.admin.put(`qos/policies/${other['id']}`, { policy: { is_default: true } }),
      'QoSPolicyDefaultAlreadyExists',
    )
    answered(await server.admin.put(`qos/policies/${first?.body.policy.id}`, { policy: { is_default: false } }), 200)
    answered(await server.admin.put(`qos/policies/${other['id']}`, { policy: { is_default: true } }), 200)
  })

  test('is made by administrators, and seen by its project and nobody else', async () => {
    const { id } = await policyOf({ project_id: 'mine' })
    const rule = await added(id, 'bandwidth_limit', { max_kbps: 1 })
    const mine = server.as('mine')
    const at = `qos/policies/${id}/bandwidth_limit_rules`
    refused(await mine.post('qos/policies', { policy: {} }), 'PolicyNotAuthorized')
    refused(await mine.put(`qos/policies/${id}`, { policy: { name: 'x' } }), 'PolicyNotAuthorized')
    refused(await mine.post(at, { bandwidth_limit_rule: { max_kbps: 2 } }), 'PolicyNotAuthorized')
    refused(await mine.put(`${at}/${rule.id}`, { bandwidth_limit_rule: { max_kbps: 2 } }), 'PolicyNotAuthorized')
    answered(await mine.get(`qos/policies/${id}`), 200)
    assert.equal(answered(await mine.get(at), 200).bandwidth_limit_rules.length, 1)
    const stranger = server.as('stranger')
    refused(await stranger.get(`qos/policies/${id}`), 'QosPolicyNotFound')
    refused(await stranger.get(at), 'QosPolicyNotFound')
    refused(await stranger.post(at, { bandwidth_limit_rule: { max_kbps: 2 } }), 'PolicyNotAuthorized')
    refused(await stranger.delete(`${at}/${rule.id}`), 'QosPolicyNotFound')
    refused(await stranger.get(`qos/alias-bandwidth-limit-rules/${rule.id}`), 'QosRuleNotFound')
    assert.deepEqual(answered(await stranger.get('qos/policies'), 200).policies, [])
  })
})

describe('rules', () => {
  test('are found in their own policy alone', async () => {
    const [one, other] = [await policyOf(), await policyOf()]
    const rule = await added(one['id'], 'minimum_bandwidth', { min_kbps: 10 })
    const at = `qos/policies/${other['id']}/minimum_bandwidth_rules/${rule.id}`
    const message = `QoS rule ${rule.id} for policy ${other['id']} could not be found.`
    refused(await server.admin.get(at), 'QosRuleNotFound', message)
    refused(await server.admin.delete(at), 'QosRuleNotFound', message)
    refused(
      await addRule('00000000-0000-4000-8000-000000000000', 'dscp_marking', { dscp_mark: 8 }),
      'QosPolicyNotFound',
    )
  })

  test('take what their kind says', async () => {
    const { id } = await policyOf()
    const bad: [string, Record<string, unknown>, RegExp][] = [
      ['bandwidth_limit', {}, /'max_kbps' not specified/],
      ['bandwidth_limit', { max_kbps: -1 }, /max_kbps/],
      ['bandwidth_limit', { max_kbps: 1, direction: 'any' }, /direction/],
      ['dscp_marking', { dscp_mark: 58 }, /dscp_mark/],
      ['minimum_packet_rate', { min_kpps: 2 ** 31 }, /min_kpps/],
    ]
    for (const [type, values, why] of bad) refused(await addRule(id, type, values), 'HTTPBadRequest', why)
    assert.equal((await added(id, 'minimum_packet_rate', { min_kpps: 7, direction: 'any' })).direction, 'any')
  })

  test('guarantee no more than they allow', async () => {
    const { id } = await policyOf()
    const limit = await added(id, 'bandwidth_limit', { max_kbps: 100 })
    const message = `Unable to add the rule with value 101 to the policy ${id} as the existing rule of type bandwidth_limit has value 100.`
    refused(await addRule(id, 'minimum_bandwidth', { min_kbps: 101 }), 'QoSRuleParameterConflict', message)
    await added(id, 'minimum_bandwidth', { min_kbps: 100 })
    refused(
      await server.admin.put(`qos/policies/${id}/bandwidth_limit_rules/${limit.id}`, {
        bandwidth_limit_rule: { max_kbps: 99 },
      }),
      'QoSRuleParameterConflict',
      /value 99 .* type minimum_bandwidth has value 100/,
    )
  })

  test('of packet rates have all a direction or none', async () => {
    const { id } = await policyOf()
    await added(id, 'minimum_packet_rate', { min_kpps: 1, direction: 'ingress' })
    const egress = await added(id, 'minimum_packet_rate', { min_kpps: 1 })
    refused(await addRule(id, 'minimum_packet_rate', { min_kpps: 1, direction: 'any' }), 'QoSRuleParameterConflict')
    refused(
      await server.admin.put(`qos/policies/${id}/minimum_packet_rate_rules/${egress.id}`, {
        minimum_packet_rate_rule: { direction: 'any' },
      }),
      'QoSRuleParameterConflict',
      /value any .* has value ingress/,
    )
  })

  test('of one kind and direction come once, however many are tried at once', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ direction: fc.constantFrom('ingress', 'egress'), max_kbps: fc.nat(9) }), {
          minLength: 2,
          maxLength: 6,
        }),
        async (wanted) => {
          const { id } = await policyOf()
          const replies = await Promise.all(wanted.map((one) => addRule(id, 'bandwidth_limit', one)))
          const made = replies.filter((one) => one.status === 201).map((one) => one.body.bandwidth_limit_rule)
          assert.deepEqual(
            made.map((one) => one.direction).sort(),
            [...new Set(wanted.map((one) => one.direction))].sort(),
          )
          for (const reply of replies.filter((one) => one.status !== 201)) {
            refused(reply, 'QoSRulesConflict')
            assert.ok(
              made.some((one) => reply.text.includes(one.id)),
              reply.text,
            )
          }
          const { policy } = answered(await server.admin.get(`qos/policies/${id}`), 200)
          assert.equal(policy.revision_number, 1 + made.length)
        },
      ),
      { numRuns: 8 },
    )
  })

  test('answer to their own paths as well', async () => {
    const { id } = await policyOf({ project_id: 'mine' })
    for (const [type, from, to] of [
      ['bandwidth_limit', { max_kbps: 5 }, { max_kbps: 6 }],
      ['dscp_marking', { dscp_mark: 8 }, { dscp_mark: 10 }],
      ['minimum_bandwidth', { min_kbps: 1 }, { min_kbps: 2, direction: 'ingress' }],
      ['minimum_packet_rate', { min_kpps: 1 }, { direction: 'any' }],
    ] as const) {
      const rule = await added(id, type, from)
      const name = `alias_${type}_rule`
      const at = `qos/alias-${type.replaceAll('_', '-')}-rules/${rule.id}`
      assert.deepEqual(answered(await server.as('mine').get(at), 200)[name], rule)
      refused(await server.as('mine').put(at, { [name]: to }), 'PolicyNotAuthorized')
      assert.deepEqual(answered(await server.admin.put(at, { [name]: to }), 200)[name], { ...rule, ...to })
      answered(await server.admin.delete(at), 204)
      refused(await server.admin.get(at), 'QosRuleNotFound')
    }
    assert.deepEqual(answered(await server.admin.get(`qos/policies/${id}`), 200).policy.rules, [])
  })
})

describe('rule types', () => {
  test('are listed by name, and shown to administrators with what each driver accepts', async () => {
    const { rule_types } = answered(await server.admin.get('qos/rule-types'), 200)
    const types = rule_types.map((one: { type: string }) => one.type).sort()
    assert.deepEqual(types, [
      'bandwidth_limit',
      'dscp_marking',
      'minimum_bandwidth',
      'minimum_packet_rate',
      'packet_rate_limit',
    ])
    assert.deepEqual(Object.keys(rule_types[0]), ['type'])
    for (const filter of ['all_rules=True', 'all_supported=true', 'all_supported=false'])
      assert.equal(answered(await server.admin.get(`qos/rule-types?${filter}`), 200).rule_types.length, types.length)
    const { rule_type } = answered(await server.admin.get('qos/rule-types/dscp_marking'), 200)
    assert.equal(rule_type.type, 'dscp_marking')
    const [driver] = rule_type.drivers
    assert.equal(driver.name, 'openvswitch')
    assert.equal(driver.supported_parameters[0].parameter_values.length, 21)
    refused(await server.as('anyone').get('qos/rule-types/dscp_marking'), 'PolicyNotAuthorized')
  })
})
