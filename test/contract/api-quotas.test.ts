/** Limits of projects: what may be limited, how limits are checked against use, and what groups cost. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { answered, refused } from '../lib/refused.ts'
import { type Client, type TestServer, testServer } from '../lib/server.ts'
import { verify } from '../lib/verify.ts'

let server: TestServer
let admin: Client

before(async () => {
  server = await testServer()
  admin = server.admin
})
after(async () => {
  assert.deepEqual(await verify(server.core), [])
  await server.close()
})

const limit = (project: string, quota: object) => admin.put(`quotas/${project}`, { quota })

describe('limits', () => {
  test('every kind that is counted has one', async () => {
    const { quota } = answered(await admin.get('quotas/q/default'), 200)
    const counted = [...server.core.model.resources.values()].flatMap((one) => one.quota ?? [])
    assert.deepEqual(Object.keys(quota).sort(), [...new Set(counted)].sort())
    assert.deepEqual([quota.rbac_policy, quota.router, quota.floatingip, quota.trunk], [10, 10, 50, -1])
  })
  test('are removed once', async () => {
    answered(await limit('r1', { network: 3 }), 200)
    answered(await admin.delete('quotas/r1'), 204)
    refused(await admin.delete('quotas/r1'), 'ProjectQuotaNotFound', 'Quota for project r1 could not be found.')
  })
  test('of another project are for administrators, in detail too', async () => {
    const member = server.as('r2')
    for (const path of ['quotas/r3', 'quotas/r3/default', 'quotas'])
      refused(await member.get(path), 'PolicyNotAuthorized')
    refused(await member.get('quotas/r3/details'), 'AdminRequired', /admin privileges/)
    answered(await member.get('quotas/r2/details'), 200)
  })
})

describe('check_limit', () => {
  test('refuses a limit below what is used, and nothing else', async () => {
    const eager = server.as('c1')
    answered(await eager.post('networks', { networks: [{}, {}, {}] }), 201)
    const detail = refused(
      await limit('c1', { subnet: 5, network: 2, check_limit: true }),
      'HTTPBadRequest',
      'Quota limit 2 for network must be greater than or equal to already used 3',
    )
    assert.deepEqual([detail['resource'], detail['limit'], detail['used']], ['network', 2, 3])
    assert.equal(answered(await admin.get('quotas/c1'), 200).quota.subnet, 100)
    for (const network of [3, -1, 50]) answered(await limit('c1', { network, check_limit: 'true' }), 200)
    answered(await limit('c1', { network: 2 }), 200)
    answered(await limit('c1', { network: 1, force: true }), 200)
    answered(await limit('c1', { network: 1, check_limit: false }), 200)
    refused(await limit('c1', { network: 9, check_limit: 'perhaps' }), 'HTTPBadRequest', /check_limit/)
  })
  test('a checked limit is never below use, whoever creates meanwhile', async () => {
    for (let round = 0; round < 5; round++) {
      const project = `race${round}`
      const eager = server.as(project)
      await eager.make('network', {})
      const [lowered] = await Promise.all([
        limit(project, { network: 1, check_limit: true }),
        ...Array.from({ length: 6 }, () => eager.post('networks', { network: {} })),
      ])
      const { network } = answered(await admin.get(`quotas/${project}/details`), 200).quota
      if (lowered?.status === 200) assert.ok(network.used <= network.limit, JSON.stringify(network))
    }
  })
})

describe('a security group', () => {
  test('costs the rules it starts with', async () => {
    const member = server.as('g1')
    answered(await member.get('security-groups'), 200)
    answered(await limit('g1', { security_group_rule: 5 }), 200)
    refused(await member.post('security-groups', { security_group: {} }), 'OverQuota', /security_group_rule/)
    answered(await limit('g1', { security_group_rule: 6 }), 200)
    answered(await member.post('security-groups', { security_group: {} }), 201)
  })
  test('the default one is there for who looks, whatever the limits, once', async () => {
    answered(await limit('g2', { security_group: 0, security_group_rule: 0 }), 200)
    const member = server.as('g2')
    const lists = await Promise.all(Array.from({ length: 8 }, () => member.get('security-groups')))
    const ids = lists.map((one) => answered(one, 200).security_groups.map((group: { id: string }) => group.id))
    assert.equal(new Set(ids.flat()).size, 1)
    assert.equal(answered(await member.get('security-group-rules'), 200).security_group_rules.length, 4)
    const asked = answered(await admin.get('security-groups?tenant_id=g3'), 200).security_groups
    assert.deepEqual(
      asked.map((one: { name: string }) => one.name),
      ['default'],
    )
    assert.deepEqual(answered(await member.get('security-groups?project_id=g4'), 200).security_groups, [])
    assert.deepEqual(await server.database.query("select 1 from security_groups where project_id = 'g4'"), [])
  })
})
