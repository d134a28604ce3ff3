/** Flavors, service profiles and providers over HTTP. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
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

const SINGLE = 'neutron.services.l3_router.service_providers.single_node.SingleNodeDriver'
const flavorOf = (values: Record<string, unknown> = {}) =>
  server.admin.make('flavor', { service_type: 'L3_ROUTER_NAT', ...values })
const profileOf = (values: Record<string, unknown> = { driver: SINGLE }) => server.admin.make('service_profile', values)
const add = (flavorId: string, id: string) =>
  server.admin.post(`flavors/${flavorId}/service_profiles`, { service_profile: { id } })

describe('flavors', () => {
  test('are made by administrators for services there are, and seen by everyone', async () => {
    const flavor = await flavorOf({ name: 'economy', description: null })
    const expected = ['description', 'enabled', 'id', 'name', 'service_profiles', 'service_type']
    assert.deepEqual(Object.keys(flavor).sort(), expected)
    refused(await server.admin.post('flavors', { flavor: { service_type: 'TELEPHONY' } }), 'InvalidServiceType')
    refused(await server.as('p').post('flavors', { flavor: { service_type: 'CORE' } }), 'PolicyNotAuthorized')
    const { flavors } = answered(await server.as('p').get(`flavors?id=${flavor['id']}`), 200)
    assert.deepEqual(flavors, [flavor])
    const changed = answered(await server.admin.put(`flavors/${flavor['id']}`, { flavor: { enabled: false } }), 200)
    assert.equal(changed.flavor.enabled, false)
  })

  test('get and lose profiles, one binding each however many come at once', async () => {
    const [flavor, profile] = [await flavorOf(), await profileOf()]
    const replies = await Promise.all([1, 2, 3, 4].map(() => add(flavor['id'], profile['id'])))
    assert.equal(replies.filter((one) => one.status === 201).length, 1)
    for (const one of replies) if (one.status !== 201) refused(one, 'FlavorServiceProfileBindingExists')
    const shown = answered(await server.admin.get(`flavors/${flavor['id']}`), 200).flavor
    assert.deepEqual(shown.service_profiles, [profile['id']])
    const next = answered(await server.admin.get(`flavors/${flavor['id']}/next_providers`), 200)
    assert.deepEqual(next, { next_providers: [{ driver: SINGLE, provider: 'single_node' }] })
    refused(await server.admin.delete(`service_profiles/${profile['id']}`), 'ServiceProfileInUse')
    refused(
      await server.admin.put(`service_profiles/${profile['id']}`, { service_profile: { enabled: false } }),
      'ServiceProfileInUse',
    )
    const at = `flavors/${flavor['id']}/service_profiles/${profile['id']}`
    answered(await server.admin.delete(at), 204)
    refused(await server.admin.delete(at), 'FlavorServiceProfileBindingNotFound')
    refused(await server.admin.get(`flavors/${flavor['id']}/next_providers`), 'FlavorServiceProfileBindingNotFound')
    refused(await add(flavor['id'], '00000000-0000-4000-8000-000000000000'), 'ServiceProfileNotFound')
  })

  test('may name their profiles when they are made and changed, and go with their bindings', async () => {
    const [first, second] = [await profileOf(), await profileOf()]
    const flavor = await flavorOf({ service_profiles: [first['id']] })
    assert.deepEqual(flavor['service_profiles'], [first['id']])
    const at = `flavors/${flavor['id']}`
    const changed = answered(await server.admin.put(at, { flavor: { service_profiles: [second['id']] } }), 200)
    assert.deepEqual(changed.flavor.service_profiles, [second['id']])
    answered(await server.admin.delete(at), 204)
    answered(await server.admin.delete(`service_profiles/${second['id']}`), 204)
  })
})

describe('routers with a flavor', () => {
  const routerOf = (values: Record<string, unknown>) => server.as('p').post('routers', { router: values })

  test('are what its provider makes, and keep the flavor from being deleted', async () => {
    const dvr = await profileOf({ driver: SINGLE.replace('single_node.SingleNode', 'dvr.Dvr') })
    const flavor = await flavorOf({ service_profiles: [dvr['id']] })
    const { router } = answered(await routerOf({ flavor_id: flavor['id'] }), 201)
    assert.equal(router.flavor_id, flavor['id'])
    const shown = answered(await server.admin.get(`routers/${router.id}`), 200).router
    assert.deepEqual([shown.distributed, shown.ha], [true, false])
    refused(await server.admin.delete(`flavors/${flavor['id']}`), 'FlavorInUse')
    answered(await server.admin.put(`routers/${router.id}`, { router: { admin_state_up: false } }), 200)
    refused(
      await server.admin.put(`routers/${router.id}`, { router: { distributed: false } }),
      'InvalidInput',
      /flavor/,
    )
    answered(await server.admin.delete(`routers/${router.id}`), 204)
    answered(await server.admin.delete(`flavors/${flavor['id']}`), 204)
  })

  test('are refused what the flavor does not go with', async () => {
    const profile = await profileOf()
    const flavor = await flavorOf({ service_profiles: [profile['id']] })
    const values = { flavor_id: flavor['id'], distributed: true }
    const message = /Provider single_node does not support distributed=True/
    refused(await server.admin.post('routers', { router: values }), 'InvalidInput', message)
    refused(await routerOf({ flavor_id: '00000000-0000-4000-8000-000000000000' }), 'FlavorNotFound')
    refused(await routerOf({ flavor_id: (await flavorOf())['id'] }), 'FlavorServiceProfileBindingNotFound')
    assert.equal(answered(await routerOf({}), 201).router.flavor_id, null)
  })
})

describe('service profiles', () => {
  test('name a driver of a provider, or say something', async () => {
    refused(await server.admin.post('service_profiles', { service_profile: {} }), 'ServiceProfileEmpty')
    refused(
      await server.admin.post('service_profiles', { service_profile: { driver: 'no.such.Driver' } }),
      'ServiceProfileDriverNotFound',
    )
    const profile = await profileOf({ metainfo: '{"a": 1}' })
    const expected = ['description', 'driver', 'enabled', 'id', 'metainfo']
    assert.deepEqual(Object.keys(profile).sort(), expected)
    refused(await server.as('p').get(`service_profiles/${profile['id']}`), 'ServiceProfileNotFound')
  })

  test('that are switched off provide nothing', async () => {
    const profile = await profileOf({ driver: SINGLE, enabled: false })
    const flavor = await flavorOf({ service_profiles: [profile['id']] })
    refused(await server.admin.get(`flavors/${flavor['id']}/next_providers`), 'ServiceProfileDisabled')
  })
})

test('service providers are listed for everyone, without their drivers', async () => {
  const { service_providers } = answered(await server.as('p').get('service-providers?name=single_node'), 200)
  assert.deepEqual(service_providers, [{ service_type: 'L3_ROUTER_NAT', name: 'single_node', default: false }])
})
