/** Address groups: what they hold, how they change, and what rules make of them. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { newId } from '#kernel/ids.ts'
import { answered, refused } from '../lib/refused.ts'
import { type Client, type TestServer, testServer } from '../lib/server.ts'
import { verify } from '../lib/verify.ts'

type Item = Record<string, any>
let server: TestServer
let owner: Client

before(async () => {
  server = await testServer({ settings: { quotaSecurityGroup: -1, quotaSecurityGroupRule: -1 } })
  owner = server.as('p1')
})
after(async () => {
  assert.deepEqual(await verify(server.core), [])
  await server.close()
})

const change = (group: Item, verb: 'add' | 'remove', addresses: unknown) =>
  owner.put(`address-groups/${group['id']}/${verb}_addresses`, { addresses })
const held = async (group: Item): Promise<string[]> =>
  answered(await owner.get(`address-groups/${group['id']}`), 200).address_group.addresses

describe('an address group', () => {
  test('holds prefixes in canonical form, each once', async () => {
    const group = await owner.make('address_group', {
      name: 'n',
      description: 'd',
      addresses: ['10.10.10.3/32', '192.168.0.10/24', '192.168.0.0/24', '2001:DB8::f00/64'],
    })
    assert.deepEqual(group['addresses'], ['10.10.10.3/32', '192.168.0.0/24', '2001:db8::/64'])
    assert.deepEqual(Object.keys(group).sort(), ['addresses', 'description', 'id', 'name', 'project_id', 'tenant_id'])
    const put = await owner.put(`address-groups/${group['id']}`, { address_group: { description: 'e' } })
    assert.deepEqual(answered(put, 200).address_group, { ...group, description: 'e' })
    assert.deepEqual((await owner.make('address_group', {}))['addresses'], [])
    assert.deepEqual((await owner.make('address_group', { addresses: null }))['addresses'], [])
  })
  test('refuses what is no prefix, and other prefixes by PUT', async () => {
    for (const addresses of [['10.20.30.40'], ['not an address'], ['10.0.0.0/33'], 'x', [1], [null]])
      refused(await owner.post('address-groups', { address_group: { addresses } }), 'HTTPBadRequest')
    const group = await owner.make('address_group', {})
    const at = `address-groups/${group['id']}`
    refused(await owner.put(at, { address_group: { addresses: ['10.0.0.0/8'] } }), 'HTTPBadRequest')
    refused(await owner.put(`address-groups/${newId()}`, { address_group: {} }), 'AddressGroupNotFound')
  })
  test('takes and gives up addresses, all of a request or none', async () => {
    const group = await owner.make('address_group', { addresses: ['10.0.0.0/8'] })
    const added = answered(await change(group, 'add', ['10.1.1.1', '2001:db8::1/128']), 200).address_group
    assert.deepEqual(added.addresses, ['10.0.0.0/8', '10.1.1.1/32', '2001:db8::1/128'])
    const again = await change(group, 'add', ['172.16.0.0/12', '10.1.1.1/32'])
    refused(again, 'AddressesAlreadyExist', /^Addresses \['10\.1\.1\.1\/32'\] already exist/)
    refused(await change(group, 'remove', ['10.0.0.0/8', '10.2.2.2']), 'AddressesNotFound')
    for (const bad of [['nonsense'], 'x', undefined, [7]]) refused(await change(group, 'add', bad), 'HTTPBadRequest')
    assert.deepEqual(await held(group), added.addresses)
    answered(await change(group, 'remove', ['10.0.0.0/8', '10.1.1.1']), 200)
    assert.deepEqual(await held(group), ['2001:db8::1/128'])
  })
  test('any sequence of changes leaves what a set would hold', async () => {
    const prefix = fc.nat({ max: 5 }).map((n) => `10.${n}.0.0/16`)
    const step = fc.record({
      verb: fc.constantFrom('add' as const, 'remove' as const),
      prefixes: fc.array(prefix, { minLength: 1, maxLength: 3 }),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 8 }), async (steps) => {
        const group = await owner.make('address_group', {})
        const model = new Set<string>()
        for (const { verb, prefixes } of steps) {
          const fits = prefixes.every((one) => model.has(one) === (verb === 'remove'))
          assert.equal((await change(group, verb, prefixes)).status === 200, fits)
          if (!fits) continue
          for (const one of prefixes) {
            if (verb === 'add') model.add(one)
            else model.delete(one)
          }
        }
        assert.deepEqual((await held(group)).sort(), [...model].sort())
      }),
      { numRuns: 15 },
    )
  })
  test('loses nothing when many change it at once', async () => {
    const group = await owner.make('address_group', {})
    const prefixes = Array.from({ length: 12 }, (_, n) => `10.${n}.0.0/16`)
    for (const reply of await Promise.all(prefixes.map((one) => change(group, 'add', [one])))) answered(reply, 200)
    assert.deepEqual((await held(group)).sort(), prefixes.sort())
  })
  test('is changed by its owner; to whom it is shared it is not there to be changed', async () => {
    const group = await owner.make('address_group', {})
    const policy = {
      object_type: 'address_group',
      object_id: group['id'],
      action: 'access_as_shared',
      target_tenant: 'p2',
    }
    await owner.make('rbac_policy', policy)
    const guest = server.as('p2')
    const at = `address-groups/${group['id']}`
    answered(await guest.get(at), 200)
    refused(await guest.put(at, { address_group: { name: 'x' } }), 'AddressGroupNotFound')
    refused(await guest.put(`${at}/add_addresses`, { addresses: ['10.0.0.0/8'] }), 'AddressGroupNotFound')
    refused(await guest.delete(at), 'AddressGroupNotFound')
  })
})

describe('a rule with an address group', () => {
  const ruleOf = (group: Item, address: Item | string, rest: object = {}) =>
    owner.post('security-group-rules', {
      security_group_rule: {
        security_group_id: group['id'],
        direction: 'ingress',
        remote_address_group_id: typeof address === 'string' ? address : address['id'],
        ...rest,
      },
    })
  test('holds the address group in place', async () => {
    const address = await owner.make('address_group', {})
    const group = await owner.make('security_group', {})
    const rule = answered(await ruleOf(group, address), 201).security_group_rule
    assert.equal(rule.remote_address_group_id, address['id'])
    refused(await ruleOf(group, address), 'SecurityGroupRuleExists')
    refused(await owner.delete(`address-groups/${address['id']}`), 'AddressGroupInUse')
    answered(await owner.delete(`security-group-rules/${rule.id}`), 204)
    answered(await owner.delete(`address-groups/${address['id']}`), 204)
  })
  test('names no other remote, and one that is there', async () => {
    const address = await owner.make('address_group', {})
    const group = await owner.make('security_group', {})
    refused(await ruleOf(group, address, { remote_ip_prefix: '10.0.0.0/8' }), 'SecurityGroupMultipleRemoteEntites')
    refused(await ruleOf(group, address, { remote_group_id: group['id'] }), 'SecurityGroupMultipleRemoteEntites')
    for (const id of [newId(), 'nonsense']) refused(await ruleOf(group, id), 'AddressGroupNotFound')
    const foreign = await server.as('p9').make('address_group', {})
    refused(await ruleOf(group, foreign), 'AddressGroupNotFound')
  })
  test('either there is the rule or the address group is gone', async () => {
    for (let round = 0; round < 6; round++) {
      const address = await owner.make('address_group', {})
      const group = await owner.make('security_group', {})
      const [made, gone] = await Promise.all([ruleOf(group, address), owner.delete(`address-groups/${address['id']}`)])
      assert.deepEqual(
        [made.status === 201, gone.status === 204].filter(Boolean).length,
        1,
        `${made.text} ${gone.text}`,
      )
    }
  })
})
