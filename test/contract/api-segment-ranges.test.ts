/** Ranges of segmentation ids: those of the configuration, those of projects, and who draws from which. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { answered, refused } from '../lib/refused.ts'
import { type Client, type TestServer, testServer } from '../lib/server.ts'
import { coreOn } from '../lib/core.ts'
import { verify } from '../lib/verify.ts'

let server: TestServer
let admin: Client
before(async () => {
  server = await testServer({
    settings: {
      vniRanges: [{ first: 1, last: 500 }],
      networkVlanRanges: [{ physical_network: 'rack1', range: { first: 100, last: 110 } }],
      quotaNetwork: -1,
    },
  })
  admin = server.admin
})
after(async () => {
  assert.deepEqual(await verify(server.core), [])
  await server.close()
})

type Values = Record<string, any>
const post = (values: object) =>
  admin.post('network_segment_ranges', {
    network_segment_range: { network_type: 'vxlan', physical_network: '', ...values },
  })
const make = async (values: object): Promise<Values> => answered(await post(values), 201).network_segment_range
const put = (id: string, values: object) => admin.put(`network_segment_ranges/${id}`, { network_segment_range: values })
const remove = async (id: string): Promise<void> => answered(await admin.delete(`network_segment_ranges/${id}`), 204)
const list = async (query = ''): Promise<Values[]> =>
  answered(await admin.get(`network_segment_ranges${query}`), 200).network_segment_ranges
const show = async (id: string): Promise<Values> =>
  answered(await admin.get(`network_segment_ranges/${id}`), 200).network_segment_range
const networkOf = async (project_id: string): Promise<Values> => admin.make('network', { project_id })
const vni = (network: Values): number => network['provider:segmentation_id']
const gone = async (networks: readonly Values[]): Promise<void> => {
  for (const { id } of networks) answered(await admin.delete(`networks/${id}`), 204)
}

describe('default ranges', () => {
  test('are those of the configuration, shared and read-only', async () => {
    const ranges = await list('?fields=network_type&fields=physical_network&fields=minimum&fields=maximum&fields=id')
    const facts = ranges.map((one) => [one['network_type'], one['physical_network'], one['minimum'], one['maximum']])
    assert.deepEqual(
      facts.sort((a, b) => (String(a) < String(b) ? -1 : 1)),
      [
        ['geneve', null, 1, 500],
        ['gre', null, 1, 65_535],
        ['vlan', 'rack1', 100, 110],
        ['vxlan', null, 1, 500],
      ],
    )
    const [vxlan] = await list('?network_type=vxlan')
    assert.ok(vxlan && vxlan['default'] && vxlan['shared'] && vxlan['project_id'] === null)
    assert.equal(vxlan['available'].length, 500)
    refused(await put(vxlan['id'], { name: 'mine' }), 'NetworkSegmentRangeDefaultReadOnly')
    refused(await admin.delete(`network_segment_ranges/${vxlan['id']}`), 'NetworkSegmentRangeDefaultReadOnly')
  })

  test('follow the configuration at the next start, and a start that changes nothing writes nothing', async () => {
    const changes = async (): Promise<number> =>
      (await server.database.query<{ n: number }>('select count(*) as n from change'))[0]?.n ?? -1
    const settings = {
      vniRanges: [{ first: 1, last: 500 }],
      networkVlanRanges: [{ physical_network: 'rack1', range: { first: 100, last: 110 } }],
    }
    const before = await changes()
    await using same = await coreOn(server.databaseUrl, { settings })
    assert.equal(await changes(), before)
    await using wider = await coreOn(server.databaseUrl, {
      settings: { ...settings, vniRanges: [{ first: 1, last: 600 }] },
    })
    assert.deepEqual(await verify(wider.core), [])
    assert.deepEqual(
      (await list('?network_type=vxlan')).map((one) => one['maximum']),
      [600],
    )
    await using again = await coreOn(server.databaseUrl, { settings })
    assert.deepEqual(await verify(again.core), [])
    assert.deepEqual(await verify(same.core), [])
  })
})

describe('ranges of projects', () => {
  test('are drawn from first by their project, and by nobody else', async () => {
    const range = await make({ name: 'for p', shared: false, project_id: 'p', minimum: 10, maximum: 12 })
    assert.deepEqual(
      [range['shared'], range['default'], range['project_id'], range['used'], range['available'].sort()],
      [false, false, 'p', {}, [10, 11, 12]],
    )
    const others = await Promise.all(Array.from({ length: 12 }, () => networkOf('q')))
    assert.ok(others.every((one) => vni(one) < 10 || vni(one) > 12))
    const mine = [await networkOf('p'), await networkOf('p'), await networkOf('p')]
    assert.deepEqual(mine.map(vni).sort(), [10, 11, 12])
    const shown = await show(range['id'])
    assert.deepEqual([shown['used'], shown['available']], [{ 10: 'p', 11: 'p', 12: 'p' }, []])
    // When its own are used up the project draws from the common ones.
    const next = await networkOf('p')
    assert.ok(vni(next) > 12 || vni(next) < 10)
    refused(await admin.delete(`network_segment_ranges/${range['id']}`), 'NetworkSegmentRangeReferencedByProject')
    await gone([...mine, next, ...others])
    await remove(range['id'])
  })

  test('may grow, but not shrink over what is used, nor overlap, nor leave the type', async () => {
    const range = await make({ shared: false, project_id: 'p', minimum: 1100, maximum: 1105 })
    const network = await networkOf('p')
    assert.ok(vni(network) >= 1100 && vni(network) <= 1105)
    refused(await put(range['id'], { minimum: vni(network), maximum: 1200 }), 'NetworkSegmentRangeReferencedByProject')
    const { network_segment_range: grown } = answered(await put(range['id'], { name: 'n', maximum: 1200 }), 200)
    assert.deepEqual([grown['name'], grown['minimum'], grown['maximum']], ['n', 1100, 1200])
    assert.equal(grown['available'].length + 1, 101 - (grown['available'].includes(vni(network)) ? 1 : 0))
    refused(await post({ minimum: 1150, maximum: 1300 }), 'NetworkSegmentRangeOverlaps', new RegExp(range['id']))
    const beside = await make({ minimum: 1300, maximum: 1400 })
    refused(await put(beside['id'], { minimum: 1200 }), 'NetworkSegmentRangeOverlaps')
    refused(await post({ minimum: 9, maximum: 8 }), 'NetworkTunnelRangeError', /End of tunnel range is less/)
    refused(await post({ minimum: 1, maximum: 2 ** 24 }), 'NetworkTunnelRangeError', /not a valid vxlan identifier/)
    const vlan = { network_type: 'vlan', physical_network: 'rack1' }
    refused(await post({ ...vlan, minimum: 1, maximum: 5000 }), 'NetworkVlanRangeError', /5000 is not a valid VLAN tag/)
    refused(await post({ network_type: 'vlan', minimum: 1, maximum: 5 }), 'BadRequest', /requires 'physical_network'/)
    refused(await post({ network_type: 'flat', minimum: 1, maximum: 5 }), 'HTTPBadRequest')
    refused(await post({ minimum: 0, maximum: 5 }), 'HTTPBadRequest')
    refused(await post({ maximum: 5 }), 'HTTPBadRequest')
    const { network_segment_range: dashed } = answered(await admin.get(`network-segment-ranges/${range['id']}`), 200)
    assert.equal(dashed.id, range['id'])
    const notAdmin = await server.as('p').get(`network_segment_ranges/${range['id']}`)
    refused(notAdmin, 'NetworkSegmentRangeNotFound')
    await gone([network])
    await remove(range['id'])
    await remove(beside['id'])
  })

  test('make a physical network known', async () => {
    const vlan = { 'provider:network_type': 'vlan', 'provider:physical_network': 'rack7' }
    refused(await admin.post('networks', { network: vlan }), 'InvalidInput', /'rack7' unknown/)
    const range = await make({ network_type: 'vlan', physical_network: 'rack7', minimum: 20, maximum: 21 })
    const network = await admin.make('network', vlan)
    assert.ok([20, 21].includes(vni(network)))
    // Networks that do not say where come there once the configured ones are full.
    const anywhere = await Promise.all(
      Array.from({ length: 12 }, () => admin.make('network', { 'provider:network_type': 'vlan' })),
    )
    const there = anywhere.map((one) => one['provider:physical_network']).filter((one) => one === 'rack7')
    assert.equal(there.length, 1)
    refused(await admin.post('networks', { network: { 'provider:network_type': 'vlan' } }), 'NoNetworkAvailable')
    await gone([network, ...anywhere])
    await remove(range['id'])
  })

  test('of two that overlap and come at once, one is made', async () => {
    const replies = await Promise.all(
      Array.from({ length: 6 }, (_, index) => post({ minimum: 2000 + index, maximum: 2010 + index })),
    )
    assert.deepEqual(replies.map((one) => one.status).sort(), [201, 409, 409, 409, 409, 409])
    for (const reply of replies.filter((one) => one.status === 409)) refused(reply, 'NetworkSegmentRangeOverlaps')
    for (const { body } of replies) if (body.network_segment_range) await remove(body.network_segment_range.id)
  })
})

describe('64 writers', () => {
  test('with 99 % used draw what is left, each id once, while ranges come and go', async () => {
    const big = await make({ shared: false, project_id: 'w', minimum: 10_000, maximum: 19_999 })
    // All but 100 are used: by segments of one network, put there as if by earlier requests.
    const { id } = await admin.make('network', { project_id: 'x' })
    await server.database.query(
      `insert into network_segments (id, network_id, network_type, segmentation_id, segment_index, is_dynamic)
        select gen_random_uuid(), $1, 'vxlan', n, n, true from generate_series(10000, 19899) n`,
      [id],
    )
    const { network_segment_range: grown } = answered(await put(big['id'], { maximum: 20_000 }), 200)
    assert.equal(grown.available.length, 101)
    const work = async (): Promise<Values[]> => [await networkOf('w'), await networkOf('w')]
    // One whose id a writer drew meanwhile stays until its network goes.
    const drawn: string[] = []
    const meddle = async (): Promise<void> => {
      for (let turn = 0; turn < 5; turn++) {
        const { id: range } = await make({ shared: true, minimum: 30_000 + turn, maximum: 30_000 + turn })
        const reply = await admin.delete(`network_segment_ranges/${range}`)
        if (reply.status === 204) continue
        refused(reply, 'NetworkSegmentRangeReferencedByProject')
        drawn.push(range)
      }
    }
    const [made] = await Promise.all([Promise.all(Array.from({ length: 64 }, work)), meddle()])
    const ids = made.flat().map(vni)
    assert.equal(new Set(ids).size, 128)
    const own = ids.filter((one) => one >= 19_900 && one <= 20_000)
    assert.equal(own.length, 101, 'the project draws its own to the last')
    // No log and no binding knows of those that were put there by hand.
    const byHand = /^segment .* (is not in the change log|was made for bindings, and none stands on it)$/
    const problems = async (): Promise<string[]> => (await verify(server.core)).filter((one) => !byHand.test(one))
    assert.deepEqual(await problems(), [])
    await Promise.all(made.map(gone))
    for (const range of drawn) await remove(range)
    assert.deepEqual(await problems(), [])
    await server.database.query('delete from network_segments where network_id = $1 and is_dynamic', [id])
    answered(await admin.delete(`networks/${id}`), 204)
    await remove(big['id'])
  })
})
