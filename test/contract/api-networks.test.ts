/** What networks are made of: every type's own rules in its own words, MTUs, filters. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { answered, refused } from '../lib/refused.ts'
import { type Client, type TestServer, testServer } from '../lib/server.ts'
import { verify } from '../lib/verify.ts'

let server: TestServer
let admin: Client
before(async () => {
  server = await testServer({
    settings: {
      networkVlanRanges: [
        { physical_network: 'big', range: { first: 100, last: 102 } },
        { physical_network: 'small', range: null },
      ],
      flatNetworks: ['small', 'plain'],
      globalPhysnetMtu: 9000,
      pathMtu: 4000,
      physicalNetworkMtus: [{ physical_network: 'small', mtu: 1400 }],
      quotaNetwork: -1,
    },
  })
  admin = server.admin
})
after(async () => {
  assert.deepEqual(await verify(server.core), [])
  await server.close()
})

const provider = (network_type: string, physical_network?: string, segmentation_id?: number) => ({
  'provider:network_type': network_type,
  ...(physical_network !== undefined && { 'provider:physical_network': physical_network }),
  ...(segmentation_id !== undefined && { 'provider:segmentation_id': segmentation_id }),
})

describe('a provider network', () => {
  test('is refused in the words of its type', async () => {
    const cases: readonly (readonly [object, RegExp])[] = [
      [provider('flat'), /physical_network required for flat provider network/],
      [provider('flat', 'big'), /physical_network 'big' unknown for flat provider network/],
      [provider('flat', 'plain', 7), /segmentation_id prohibited for flat provider network/],
      [provider('vlan', 'plain', 7), /physical_network 'plain' unknown for VLAN provider network/],
      [provider('vlan', 'big', 4095), /segmentation_id out of range \(1 through 4094\)/],
      [provider('vlan', undefined, 7), /segmentation_id requires physical_network for VLAN provider network/],
      [provider('vxlan', 'big'), /provider:physical_network specified for vxlan network/],
      [provider('geneve', undefined, 2 ** 24), /segmentation_id out of range/],
      [provider('local', undefined, 7), /segmentation_id prohibited for local provider network/],
      [provider('token-ring'), /network_type value 'token-ring' not supported/],
      [{ 'provider:segmentation_id': 7 }, /network_type required/],
    ]
    for (const [network, words] of cases) refused(await admin.post('networks', { network }), 'InvalidInput', words)
    refused(await server.as('p').post('networks', { network: provider('vxlan') }), 'PolicyNotAuthorized')
  })

  test('has its segment alone', async () => {
    const post = (network: object) => admin.post('networks', { network })
    for (const [network, type] of [
      [provider('flat', 'plain'), 'FlatNetworkInUse'],
      [provider('vlan', 'small', 7), 'VlanIdInUse'],
      [provider('gre', undefined, 2 ** 32 - 1), 'TunnelIdInUse'],
      [provider('vxlan', undefined, 70_000), 'TunnelIdInUse'],
    ] as const) {
      const { network: made } = answered(await post(network), 201)
      refused(await post(network), type)
      answered(await admin.delete(`networks/${made.id}`), 204)
      const { network: again } = answered(await post(network), 201)
      answered(await admin.delete(`networks/${again.id}`), 204)
    }
    const locals = [answered(await post(provider('local')), 201), answered(await post(provider('local')), 201)]
    assert.ok(locals.every(({ network }) => network['provider:segmentation_id'] === null))
  })

  test('draws a tag of the physical network until there is none', async () => {
    const made = await Promise.all([1, 2, 3].map(() => admin.make('network', provider('vlan', 'big'))))
    assert.deepEqual(made.map((one) => one['provider:segmentation_id']).sort(), [100, 101, 102])
    refused(await admin.post('networks', { network: provider('vlan', 'big') }), 'NoNetworkAvailable')
    refused(await admin.post('networks', { network: provider('vlan', 'small') }), 'NoNetworkAvailable')
    for (const { id } of made) answered(await admin.delete(`networks/${id}`), 204)
  })

  test('of one segment asked for by many at once is made once', async () => {
    const wanted = { network: provider('vlan', 'big', 101) }
    const replies = await Promise.all(Array.from({ length: 8 }, () => admin.post('networks', wanted)))
    assert.deepEqual(replies.map((one) => one.status).sort(), [201, ...Array.from({ length: 7 }, () => 409)])
    for (const reply of replies.filter((one) => one.status === 409)) refused(reply, 'VlanIdInUse')
    const made = replies.find((one) => one.status === 201)?.body.network
    answered(await admin.delete(`networks/${made.id}`), 204)
  })
})

describe('the MTU of a network', () => {
  test('is what its physical network, the way between hosts and its header leave', async () => {
    const mtuOf = async (network: Record<string, unknown>): Promise<number> => {
      const made = await admin.make('network', network)
      answered(await admin.delete(`networks/${made['id']}`), 204)
      return made['mtu']
    }
    assert.equal(await mtuOf(provider('vlan', 'big')), 9000)
    assert.equal(await mtuOf(provider('vlan', 'small', 9)), 1400)
    assert.equal(await mtuOf(provider('flat', 'plain')), 9000)
    assert.equal(await mtuOf(provider('local')), 9000)
    assert.equal(await mtuOf({}), 3950)
    assert.equal(await mtuOf(provider('gre')), 3958)
    assert.equal(await mtuOf({ segments: [provider('vlan', 'big'), provider('vxlan')] }), 3950)
  })

  test('may be chosen below that, and changed', async () => {
    const body = { network: { ...provider('vlan', 'small', 11), mtu: 1401 } }
    refused(await admin.post('networks', body), 'InvalidInput', /Requested MTU is too big, maximum is 1400/)
    const owner = server.as('p')
    const made = await owner.make('network', { mtu: 1300 })
    assert.equal(made['mtu'], 1300)
    const put = (mtu: number) => owner.put(`networks/${made['id']}`, { network: { mtu } })
    assert.equal(answered(await put(3950), 200).network.mtu, 3950)
    refused(await put(3951), 'InvalidInput', /maximum is 3950/)
    assert.equal(answered(await put(0), 200).network.mtu, 3950)
    refused(await put(-1), 'HTTPBadRequest')
  })
})

test('networks are found by what carries them, and only the fields asked for are told', async () => {
  const made = await admin.make('network', provider('vlan', 'small', 21))
  const found = async (query: string): Promise<string[]> =>
    answered(await admin.get(`networks?fields=id&${query}`), 200).networks.map((one: { id: string }) => one.id)
  const { id } = made
  assert.deepEqual(await found('provider:physical_network=small'), [id])
  assert.deepEqual(await found('provider:network_type=vlan&provider:segmentation_id=21'), [id])
  assert.deepEqual(await found('provider:segmentation_id=20&provider:segmentation_id=21'), [id])
  assert.deepEqual(await found('provider:network_type=flat'), [])
  const [shown] = answered(await admin.get(`networks?id=${id}&fields=provider:segmentation_id`), 200).networks
  assert.deepEqual(shown, { 'provider:segmentation_id': 21 })
  const [hidden] = answered(await server.as('p').get(`networks?provider:network_type=vxlan`), 200).networks
  assert.ok(!('provider:network_type' in hidden) && !('segments' in hidden))
})
