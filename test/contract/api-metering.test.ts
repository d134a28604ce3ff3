/** Metering labels and rules over HTTP. */
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

const labelOf = (values: Record<string, unknown> = {}) => server.admin.make('metering_label', values)
const addRule = (metering_label_id: string, values: Record<string, unknown>) =>
  server.admin.post('metering/metering-label-rules', {
    metering_label_rule: { metering_label_id, direction: 'ingress', ...values },
  })

describe('metering labels', () => {
  test('are made, seen and deleted by administrators, with their rules', async () => {
    const label = await labelOf({ name: 'web', description: 'd', shared: true })
    assert.deepEqual(Object.keys(label).sort(), ['description', 'id', 'name', 'project_id', 'shared', 'tenant_id'])
    assert.equal(label['shared'], true)
    const rule = answered(await addRule(label['id'], { remote_ip_prefix: '10.0.0.1/24' }), 201).metering_label_rule
    assert.equal(rule.remote_ip_prefix, '10.0.0.1/24')
    assert.equal(rule.excluded, false)
    refused(await server.as('anyone').post('metering/metering-labels', { metering_label: {} }), 'PolicyNotAuthorized')
    refused(await server.as('anyone').get(`metering/metering-labels/${label['id']}`), 'MeteringLabelNotFound')
    answered(await server.admin.delete(`metering/metering-labels/${label['id']}`), 204)
    refused(await server.admin.get(`metering/metering-labels/${label['id']}`), 'MeteringLabelNotFound')
    refused(await server.admin.get(`metering/metering-label-rules/${rule.id}`), 'MeteringLabelRuleNotFound')
  })
})

describe('rules of labels', () => {
  test('say where traffic comes from or goes to, in one way', async () => {
    const { id } = await labelOf()
    refused(await addRule(id, {}), 'Invalid', /at least one/)
    refused(await addRule(id, { remote_ip_prefix: '10.0.0.0/8', source_ip_prefix: '::/0' }), 'Invalid', /conjunction/)
    refused(await addRule(id, { source_ip_prefix: '10.0.0.0/33' }), 'Invalid', /source_ip_prefix: 10\.0\.0\.0\/33/)
    const both = { source_ip_prefix: '10.0.0.7', destination_ip_prefix: '2001:DB8::/32' }
    const rule = answered(await addRule(id, both), 201).metering_label_rule
    assert.equal(rule.source_ip_prefix, '10.0.0.7/32')
    assert.equal(rule.destination_ip_prefix, '2001:db8::/32')
    assert.equal(rule.remote_ip_prefix, null)
    refused(await addRule('00000000-0000-4000-8000-000000000000', both), 'MeteringLabelNotFound')
  })

  test('of one label, direction and exclusion never count an address twice, however many come at once', async () => {
    const block = fc.record({ third: fc.nat(3), length: fc.constantFrom(16, 22, 23, 24), excluded: fc.boolean() })
    await fc.assert(
      fc.asyncProperty(fc.array(block, { minLength: 2, maxLength: 6 }), async (wanted) => {
        const { id } = await labelOf()
        const replies = await Promise.all(
          wanted.map(({ third, length, excluded }) =>
            addRule(id, { remote_ip_prefix: `10.0.${third}.0/${length}`, excluded }),
          ),
        )
        for (const reply of replies) if (reply.status !== 201) refused(reply, 'MeteringLabelRuleOverlaps', /'10\.0\./)
        const made = replies.flatMap((reply, index) => (reply.status === 201 ? [wanted[index]] : []))
        const overlaps = (one: (typeof wanted)[0] | undefined, other: (typeof wanted)[0] | undefined): boolean => {
          const shift = 24 - Math.min(one?.length ?? 0, other?.length ?? 0)
          return one?.excluded === other?.excluded && (one?.third ?? 0) >> shift === (other?.third ?? 0) >> shift
        }
        for (const one of made) for (const other of made) if (one !== other) assert.equal(overlaps(one, other), false)
        // What was refused has somebody in its way.
        for (const [index, reply] of replies.entries())
          if (reply.status !== 201) assert.ok(made.some((one) => overlaps(one, wanted[index])))
      }),
      { numRuns: 8 },
    )
  })
})
