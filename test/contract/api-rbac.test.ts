/** RBAC policies: who sees what by them, what holds them in place, and that lists and policies never part. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { ErrorType } from '#kernel/errors.ts'
import { newId } from '#kernel/ids.ts'
import { answered, refused } from '../lib/refused.ts'
import { type Client, type TestServer, testServer } from '../lib/server.ts'
import { verify } from '../lib/verify.ts'

type Item = Record<string, any>
let server: TestServer
let owner: Client
let guest: Client

before(async () => {
  server = await testServer({ settings: { quotaRbacPolicy: -1 } })
  owner = server.as('p1')
  guest = server.as('p2')
})
after(async () => {
  assert.deepEqual(await verify(server.core), [])
  assert.deepEqual(await strays(), [])
  await server.close()
})

/** Objects whose list says something else than their policies. */
const strays = async (): Promise<unknown[]> => {
  const tables = ['networks', 'security_groups', 'address_groups', 'qos_policies', 'subnetpools', 'address_scopes']
  const lists = tables.map((table) => `select id, unnest(shared_with) as target from ${table}`)
  return server.database.query(
    `select * from (${lists.join(' union all ')}) l full join
      (select object_id as id, target_tenant as target from rbac_policies where action = 'access_as_shared') p
      using (id, target) where l is null or p is null`,
  )
}

const sharing = (object_type: string, object: Item, target_tenant: string, rest: object = {}): object => ({
  rbac_policy: { object_type, object_id: object['id'], action: 'access_as_shared', target_tenant, ...rest },
})
const share = async (by: Client, object_type: string, object: Item, target = 'p2'): Promise<Item> =>
  answered(await by.post('rbac-policies', sharing(object_type, object, target)), 201).rbac_policy

/** One object of each type, its path, and who uses it for the guest. */
const TYPES: readonly {
  readonly type: string
  readonly path: string
  make(): Promise<Item>
  use?(object: Item): Promise<string>
}[] = [
  {
    type: 'network',
    path: 'networks',
    make: () => owner.make('network', {}),
    use: async ({ id }) => `ports/${(await guest.make('port', { network_id: id }))['id']}`,
  },
  {
    type: 'security_group',
    path: 'security-groups',
    make: () => owner.make('security_group', {}),
    use: async ({ id }) => {
      const network = await guest.make('network', {})
      return `ports/${(await guest.make('port', { network_id: network['id'], security_groups: [id] }))['id']}`
    },
  },
  {
    type: 'address_group',
    path: 'address-groups',
    make: () => owner.make('address_group', { addresses: ['10.0.0.0/8'] }),
    use: async ({ id }) => {
      const group = await guest.make('security_group', {})
      const rule = { security_group_id: group['id'], direction: 'ingress', remote_address_group_id: id }
      return `security-group-rules/${(await guest.make('security_group_rule', rule))['id']}`
    },
  },
  {
    type: 'subnetpool',
    path: 'subnetpools',
    make: () => owner.make('subnetpool', { name: 'pool', prefixes: ['10.0.0.0/16'], default_prefixlen: 24 }),
    use: async ({ id }) => {
      const network = await guest.make('network', {})
      const subnet = { network_id: network['id'], subnetpool_id: id, ip_version: 4 }
      return `subnets/${(await guest.make('subnet', subnet))['id']}`
    },
  },
  {
    type: 'address_scope',
    path: 'address-scopes',
    make: () => owner.make('address_scope', { name: 'scope', ip_version: 4 }),
    use: async ({ id }) => {
      const pool = { name: 'pool', prefixes: ['10.1.0.0/16'], default_prefixlen: 24, address_scope_id: id }
      return `subnetpools/${(await guest.make('subnetpool', pool))['id']}`
    },
  },
  {
    type: 'qos_policy',
    path: 'qos/policies',
    make: async () => answered(await server.admin.post('qos/policies', { policy: { project_id: 'p1' } }), 201).policy,
    use: async ({ id }) => `networks/${(await guest.make('network', { qos_policy_id: id }))['id']}`,
  },
]

describe('every type of object', () => {
  for (const { type, path, make, use } of TYPES) {
    test(`${type}: is seen while it is shared, and stays shared while it is used`, async () => {
      const object = await make()
      const at = `${path}/${object['id']}`
      assert.equal((await guest.get(at)).status, 404)
      const policy = await share(owner, type, object)
      assert.equal(policy['object_type'], type)
      answered(await guest.get(at), 200)
      assert.equal((await server.as('p3').get(at)).status, 404)
      const user = await use?.(object)
      if (user) {
        refused(await owner.delete(`rbac-policies/${policy['id']}`), 'RbacPolicyInUse')
        const moved = { rbac_policy: { target_tenant: 'p3' } }
        refused(await owner.put(`rbac-policies/${policy['id']}`, moved), 'RbacPolicyInUse')
        const all = await share(server.admin, type, object, '*')
        answered(await owner.delete(`rbac-policies/${policy['id']}`), 204)
        refused(await server.admin.delete(`rbac-policies/${all['id']}`), 'RbacPolicyInUse')
        const again = await share(owner, type, object)
        answered(await server.admin.delete(`rbac-policies/${all['id']}`), 204)
        answered(await guest.delete(user), 204)
        answered(await owner.put(`rbac-policies/${again['id']}`, moved), 200)
        assert.equal((await guest.get(at)).status, 404)
        answered(await server.as('p3').get(at), 200)
      }
      answered(await server.admin.delete(at), 204)
      assert.deepEqual(
        answered(await server.admin.get(`rbac-policies?object_id=${object['id']}`), 200).rbac_policies,
        [],
      )
    })
  }
})

describe('a policy', () => {
  test('shows what was given, to its own project alone', async () => {
    const network = await owner.make('network', {})
    const policy = await share(owner, 'network', network)
    assert.deepEqual(policy, {
      id: policy['id'],
      project_id: 'p1',
      tenant_id: 'p1',
      object_type: 'network',
      object_id: network['id'],
      action: 'access_as_shared',
      target_tenant: 'p2',
    })
    assert.deepEqual(answered(await owner.get(`rbac-policies/${policy['id']}`), 200).rbac_policy, policy)
    refused(await guest.get(`rbac-policies/${policy['id']}`), 'RbacPolicyNotFound')
    const found = answered(await owner.get(`rbac-policies?object_id=${network['id']}&target_tenant=p2`), 200)
    assert.deepEqual(found.rbac_policies, [policy])
  })
  test('raises the revision of its object', async () => {
    const network = await owner.make('network', {})
    await share(owner, 'network', network)
    const after = answered(await owner.get(`networks/${network['id']}`), 200).network
    assert.equal(after.revision_number, network['revision_number'] + 1)
  })
  const wrong: readonly [string, object, ErrorType][] = [
    ['no such type', { object_type: 'subnet' }, 'InvalidInput'],
    ['no such action', { action: 'access_as_owner' }, 'InvalidActionForType'],
    [
      'an action of another type',
      { object_type: 'security_group', action: 'access_as_external' },
      'InvalidActionForType',
    ],
    ['nobody', { target_tenant: null }, 'HTTPBadRequest'],
    ['a name too long', { target_tenant: 'x'.repeat(256) }, 'HTTPBadRequest'],
    ['an object that is not there', { object_id: newId() }, 'NetworkNotFound'],
    ['everybody, by a member', { target_tenant: '*' }, 'PolicyNotAuthorized'],
    ['an attribute too many', { nonsense: 1 }, 'HTTPBadRequest'],
  ]
  for (const [what, values, type] of wrong)
    test(`refused: ${what}`, async () => {
      const network = await owner.make('network', {})
      refused(await owner.post('rbac-policies', sharing('network', network, 'p2', values)), type)
    })
  test('is of the owner of its object, or of an administrator', async () => {
    const network = await owner.make('network', {})
    refused(await guest.post('rbac-policies', sharing('network', network, 'p3')), 'NetworkNotFound')
    const policy = await share(server.admin, 'network', network)
    refused(await guest.post('rbac-policies', sharing('network', network, 'p3')), 'InvalidInput', /do not own/)
    refused(await owner.delete(`rbac-policies/${policy['id']}`), 'RbacPolicyNotFound')
  })
  test('a member does not widen it to everybody', async () => {
    const policy = await share(owner, 'network', await owner.make('network', {}))
    const wide = { rbac_policy: { target_tenant: '*' } }
    refused(await owner.put(`rbac-policies/${policy['id']}`, wide), 'PolicyNotAuthorized')
    answered(await server.admin.put(`rbac-policies/${policy['id']}`, wide), 200)
  })
  test('is there once, however many ask for it at once', async () => {
    const network = await owner.make('network', {})
    const replies = await Promise.all(
      Array.from({ length: 8 }, () => owner.post('rbac-policies', sharing('network', network, 'p2'))),
    )
    assert.equal(replies.filter((one) => one.status === 201).length, 1)
    for (const reply of replies.filter((one) => one.status !== 201)) refused(reply, 'DuplicateRbacPolicy')
  })
  test('several for one object in one request, and many at once', async () => {
    const network = await owner.make('network', {})
    const bulk = ['a', 'b', 'c'].map((target) => (sharing('network', network, target) as Item)['rbac_policy'])
    answered(await owner.post('rbac-policies', { rbac_policies: bulk }), 201)
    await Promise.all(['d', 'e', 'f', 'g'].map((target) => share(owner, 'network', network, target)))
    for (const target of 'abcdefg') answered(await server.as(target).get(`networks/${network['id']}`), 200)
  })
  test('comes not to an object that goes meanwhile', async () => {
    for (let round = 0; round < 5; round++) {
      const network = await owner.make('network', {})
      const [shared, gone] = await Promise.all([
        owner.post('rbac-policies', sharing('network', network, 'p2')),
        owner.delete(`networks/${network['id']}`),
      ])
      assert.equal(gone.status, 204)
      assert.ok([201, 404].includes(shared.status), shared.text)
    }
  })
  test('with oneself holds nothing', async () => {
    const network = await owner.make('network', {})
    await owner.make('port', { network_id: network['id'] })
    const policy = await share(owner, 'network', network, 'p1')
    answered(await owner.put(`rbac-policies/${policy['id']}`, { rbac_policy: { target_tenant: 'p3' } }), 200)
    answered(await owner.delete(`rbac-policies/${policy['id']}`), 204)
  })
})

describe('`shared`', () => {
  test('is a policy for everybody, made and removed with it', async () => {
    const network = await server.admin.make('network', { shared: true })
    const at = `rbac-policies?object_id=${network['id']}`
    const [policy] = answered(await server.admin.get(at), 200).rbac_policies
    assert.deepEqual([policy.target_tenant, policy.action], ['*', 'access_as_shared'])
    answered(await server.admin.put(`networks/${network['id']}`, { network: { shared: false } }), 200)
    assert.deepEqual(answered(await server.admin.get(at), 200).rbac_policies, [])
    answered(await server.admin.put(`networks/${network['id']}`, { network: { shared: true } }), 200)
    const [again] = answered(await server.admin.get(at), 200).rbac_policies
    answered(await server.admin.delete(`rbac-policies/${again.id}`), 204)
    assert.equal(answered(await server.admin.get(`networks/${network['id']}`), 200).network.shared, false)
  })
  test('goes only when those who use the object have their own policy', async () => {
    const network = await server.admin.make('network', { shared: true })
    const port = await guest.make('port', { network_id: network['id'] })
    const off = { network: { shared: false } }
    refused(await server.admin.put(`networks/${network['id']}`, off), 'InvalidSharedSetting')
    await share(server.admin, 'network', network)
    answered(await server.admin.put(`networks/${network['id']}`, off), 200)
    answered(await guest.get(`networks/${network['id']}`), 200)
    assert.equal((await server.as('p3').get(`networks/${network['id']}`)).status, 404)
    answered(await guest.delete(`ports/${port['id']}`), 204)
  })
  test('subnets are seen with their network', async () => {
    const network = await owner.make('network', {})
    const subnet = await owner.make('subnet', { network_id: network['id'], cidr: '10.0.0.0/24', ip_version: 4 })
    const policy = await share(owner, 'network', network)
    answered(await guest.get(`subnets/${subnet['id']}`), 200)
    const later = await owner.make('subnet', { network_id: network['id'], cidr: '10.0.1.0/24', ip_version: 4 })
    answered(await guest.get(`subnets/${later['id']}`), 200)
    answered(await owner.delete(`rbac-policies/${policy['id']}`), 204)
    for (const one of [subnet, later]) assert.equal((await guest.get(`subnets/${one['id']}`)).status, 404)
  })
})

describe('`router:external`', () => {
  test('is a policy too; a network is external while there is one', async () => {
    const network = await server.admin.make('network', { 'router:external': true })
    const at = `rbac-policies?object_id=${network['id']}`
    const [policy] = answered(await server.admin.get(at), 200).rbac_policies
    assert.deepEqual([policy.target_tenant, policy.action], ['*', 'access_as_external'])
    answered(await guest.get(`networks/${network['id']}`), 200)
    const mine = { rbac_policy: { target_tenant: 'p1' } }
    answered(await server.admin.put(`rbac-policies/${policy.id}`, mine), 200)
    assert.equal((await guest.get(`networks/${network['id']}`)).status, 404)
    assert.equal(answered(await owner.get(`networks/${network['id']}`), 200).network['router:external'], true)
    answered(await server.admin.delete(`rbac-policies/${policy.id}`), 204)
    assert.equal(answered(await server.admin.get(`networks/${network['id']}`), 200).network['router:external'], false)
  })
  test('gateways hold it', async () => {
    const network = await server.admin.make('network', { 'router:external': true })
    await server.admin.make('subnet', { network_id: network['id'], cidr: '192.0.2.0/24', ip_version: 4 })
    await guest.make('router', { external_gateway_info: { network_id: network['id'] } })
    const at = `rbac-policies?object_id=${network['id']}`
    const [policy] = answered(await server.admin.get(at), 200).rbac_policies
    refused(await server.admin.delete(`rbac-policies/${policy.id}`), 'RbacPolicyInUse')
    const other = { rbac_policy: { target_tenant: 'p1' } }
    refused(await server.admin.put(`rbac-policies/${policy.id}`, other), 'RbacPolicyInUse')
    const same = { rbac_policy: { target_tenant: 'p2' } }
    answered(await server.admin.put(`rbac-policies/${policy.id}`, same), 200)
  })
})
