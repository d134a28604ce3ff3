/** Port forwardings: ports of a floating IP that lead to ports behind a router, and what they hold in place. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { connect, disconnect, inside, type Item, outside, routerOutside } from '../lib/l3.ts'
import { answered, refused } from '../lib/refused.ts'
import { type Client, type Reply, type TestServer, testServer } from '../lib/server.ts'
import { verify } from '../lib/verify.ts'

let server: TestServer
let admin: Client
let owner: Client
let other: Client
let external: Item
let internal: Item
let between: Item

before(async () => {
  server = await testServer({ settings: { quotaNetwork: -1, quotaSubnet: -1, quotaPort: -1, quotaFloatingip: -1 } })
  admin = server.admin
  owner = server.as('p1')
  other = server.as('p2')
  external = await outside(admin)
  internal = await inside(owner, '10.0.0.0/24')
  between = await routerOutside(owner, external)
  await connect(owner, between['id'], { subnet_id: internal['subnet'].id })
})
after(async () => {
  assert.deepEqual(await verify(server.core), [])
  await server.close()
})

const floating = (values: Item = {}): Promise<Item> =>
  owner.make('floatingip', { floating_network_id: external['id'], ...values })
const portInside = (values: Item = {}): Promise<Item> => owner.make('port', { network_id: internal['id'], ...values })
const addressOf = (port: Item): string => port['fixed_ips'][0].ip_address
const path = (fip: Item, id = ''): string => `floatingips/${fip['id']}/port_forwardings${id && `/${id}`}`
const forward = (fip: Item, port: Item, values: Item = {}, by: Client = owner): Promise<Reply> => {
  const ports = 'external_port_range' in values ? {} : { internal_port: 80, external_port: 8080 }
  const inner = { internal_port_id: port['id'], internal_ip_address: addressOf(port) }
  return by.post(path(fip), { port_forwarding: { ...inner, protocol: 'tcp', ...ports, ...values } })
}
const made = async (fip: Item, port: Item, values: Item = {}): Promise<Item> =>
  answered(await forward(fip, port, values), 201).port_forwarding
const change = (fip: Item, id: string, values: Item): Promise<Reply> =>
  owner.put(path(fip, id), { port_forwarding: values })
const shown = async (fip: Item): Promise<Item> => answered(await owner.get(`floatingips/${fip['id']}`), 200).floatingip

describe('a port forwarding', () => {
  test('lives below its floating IP, which shows it and goes by its router', async () => {
    const [fip, port] = [await floating(), await portInside()]
    assert.deepEqual([fip['port_forwardings'], fip['router_id']], [[], null])
    const one = await made(fip, port, { description: 'web' })
    assert.deepEqual(one, {
      id: one['id'],
      external_port: 8080,
      external_port_range: '8080:8080',
      internal_port: 80,
      internal_port_range: '80:80',
      internal_ip_address: addressOf(port),
      internal_port_id: port['id'],
      protocol: 'tcp',
      description: 'web',
    })
    const held = await shown(fip)
    assert.deepEqual([held['router_id'], held['port_id'], held['fixed_ip_address']], [between['id'], null, null])
    const { external_port_range: _e, internal_port_range: _i, description: _d, ...brief } = one
    assert.deepEqual(held['port_forwardings'], [brief])
    assert.ok(held['revision_number'] > fip['revision_number'])
    assert.deepEqual(answered(await owner.get(path(fip, one['id'])), 200).port_forwarding, one)
    assert.deepEqual(answered(await owner.get(`${path(fip)}?external_port=8080`), 200).port_forwardings, [one])
    assert.deepEqual(answered(await owner.get(`${path(fip)}?external_port=1`), 200).port_forwardings, [])
    const changed = answered(await change(fip, one['id'], { internal_port: 81, protocol: 'udp' }), 200).port_forwarding
    assert.deepEqual([changed.internal_port, changed.external_port, changed.protocol], [81, 8080, 'udp'])
    answered(await owner.delete(path(fip, one['id'])), 204)
    refused(await owner.get(path(fip, one['id'])), 'PortForwardingNotFound')
    const left = await shown(fip)
    assert.deepEqual([left['router_id'], left['port_forwardings']], [null, []])
    answered(await owner.delete(`floatingips/${fip['id']}`), 204)
  })

  test('is of ranges, one inside for each outside or one for all', async () => {
    const [fip, port] = [await floating(), await portInside()]
    const range = await made(fip, port, { external_port_range: '100:109', internal_port_range: '200:209' })
    assert.deepEqual(
      [range['external_port'], range['internal_port'], range['external_port_range'], range['internal_port_range']],
      [null, null, '100:109', '200:209'],
    )
    const all = await made(fip, port, { external_port_range: '300:309', internal_port_range: 22 })
    assert.deepEqual([all['internal_port'], all['internal_port_range']], [22, '22:22'])
    const bad = await forward(fip, port, { external_port_range: '1:3', internal_port_range: '1:2' })
    refused(bad, 'BadRequest', /must be N-N or 1-N/)
    refused(await change(fip, range['id'], { internal_port_range: '1:2' }), 'BadRequest', /must be N-N or 1-N/)
    for (const text of ['0:1', '5:4', '1:2:3', ':', '70000', 'a'])
      refused(await forward(fip, port, { external_port_range: text, internal_port: 1 }), 'HTTPBadRequest')
    refused(await forward(fip, port, { external_port: null }), 'BadRequest', /external_port or external_port_range/)
    refused(await change(fip, range['id'], { external_port: 108_343 }), 'HTTPBadRequest')
    const single = answered(await change(fip, all['id'], { external_port: 310 }), 200).port_forwarding
    assert.deepEqual([single.external_port, single.external_port_range], [310, '310:310'])
  })

  test('is alone with its ports, outside and inside', async () => {
    const [fip, second, a, b] = [await floating(), await floating(), await portInside(), await portInside()]
    await made(fip, a, { external_port_range: '10:20', internal_port_range: '10:20' })
    const outside = await forward(fip, b, { external_port: 20 })
    refused(outside, 'BadRequest', /collision with the external_port_range.*10:20 and 20:20/)
    const inner = await forward(second, a, { external_port: 1, internal_port: 15 })
    refused(inner, 'BadRequest', /collision with the internal_port_range/)
    await made(fip, b, { external_port: 20, protocol: 'udp' })
    const next = await made(fip, b, { external_port: 21 })
    refused(await change(fip, next['id'], { external_port: 12 }), 'BadRequest', /collision/)
    const twice = { protocol: 'tcp', external_port: 99, internal_port_id: b['id'], internal_ip_address: addressOf(b) }
    const bulk = await owner.post(path(second), {
      port_forwardings: [
        { ...twice, internal_port: 1 },
        { ...twice, internal_port: 2 },
      ],
    })
    refused(bulk, 'BadRequest', /collision/)
    const both = await owner.post(path(second), {
      port_forwardings: [
        { ...twice, internal_port: 1 },
        { ...twice, internal_port: 2, external_port: 98 },
      ],
    })
    assert.equal(answered(both, 201).port_forwardings.length, 2)
    assert.equal((await shown(second))['router_id'], between['id'])
  })

  test('needs an address behind the router of the others', async () => {
    const [fip, port] = [await floating(), await portInside()]
    const none = await portInside({ fixed_ips: [] })
    const nowhere = await forward(fip, { ...none, fixed_ips: port['fixed_ips'] })
    refused(nowhere, 'BadRequest', /must allocate an IPv4 address/)
    const wrong = await forward(fip, port, { internal_ip_address: '10.0.0.250' })
    refused(wrong, 'BadRequest', /10\.0\.0\.250 is not suitable/)
    const far = await inside(owner, '10.9.0.0/24')
    const beyond = await owner.make('port', { network_id: far['id'] })
    refused(await forward(fip, beyond), 'BadRequest', /is not reachable from subnet/)
    await made(fip, port)
    const second = await routerOutside(owner, external)
    await connect(owner, second['id'], { subnet_id: far['subnet'].id })
    refused(await forward(fip, beyond, { external_port: 1 }), 'BadRequest', /had been set on router/)
    const foreign = await server.as('p3').make('network', {})
    const strange = await server.as('p3').make('port', { network_id: foreign['id'] })
    refused(await forward(fip, { ...strange, fixed_ips: port['fixed_ips'] }), 'PortNotFound')
  })

  test('moves to another port of the same router', async () => {
    const [fip, a, b] = [await floating(), await portInside(), await portInside()]
    const one = await made(fip, a)
    const moved = answered(await change(fip, one['id'], { internal_port_id: b['id'] }), 200).port_forwarding
    assert.deepEqual([moved.internal_port_id, moved.internal_ip_address], [b['id'], addressOf(b)])
    refused(await change(fip, one['id'], { internal_ip_address: addressOf(a) }), 'BadRequest', /is not suitable/)
  })

  test('is its project’s', async () => {
    const [fip, port] = [await floating(), await portInside()]
    const one = await made(fip, port)
    refused(await other.get(path(fip)), 'FloatingIPNotFound')
    refused(await other.get(path(fip, one['id'])), 'FloatingIPNotFound')
    refused(await other.delete(path(fip, one['id'])), 'FloatingIPNotFound')
    refused(await forward(fip, port, { external_port: 1 }, other), 'FloatingIPNotFound')
    const aside = await floating()
    refused(await owner.get(path(aside, one['id'])), 'PortForwardingNotFound')
    answered(await server.as('p1', 'reader').get(path(fip, one['id'])), 200)
    assert.equal(answered(await admin.get(path(fip)), 200).port_forwardings.length, 1)
  })
})

describe('what forwardings hold in place', () => {
  test('a floating IP leads to a port as a whole, or forwards', async () => {
    const [fip, a, b] = [await floating(), await portInside(), await portInside()]
    await made(fip, a)
    const whole = await owner.put(`floatingips/${fip['id']}`, { floatingip: { port_id: b['id'] } })
    refused(whole, 'FipInUseByPortForwarding', `Floating IP ${fip['id']} in use by Port Forwarding resources.`)
    refused(await owner.delete(`floatingips/${fip['id']}`), 'FipInUseByPortForwarding')
    const bodies = [{ port_id: null }, {}, { fixed_ip_address: null }, { description: 'd' }]
    for (const floatingip of bodies) {
      const kept = answered(await owner.put(`floatingips/${fip['id']}`, { floatingip }), 200).floatingip
      assert.equal(kept.router_id, between['id'])
    }
    const used = await floating({ port_id: b['id'] })
    refused(await forward(used, a, { internal_port: 1 }), 'FloatingIPPortAlreadyAssociated')
    refused(
      await forward(fip, b, { external_port: 2 }),
      'PortHasBindingFloatingIP',
      /already has a binding floating IP/,
    )
    // The other way round it is allowed, unless the router is distributed.
    const third = await floating({ port_id: a['id'] })
    assert.equal(third['port_id'], a['id'])
  })

  test('on a distributed router, a port behind a forwarding gets no floating IP', async () => {
    const far = await inside(owner, '10.2.0.0/24')
    const distributed = await admin.make('router', {
      project_id: 'p1',
      distributed: true,
      external_gateway_info: { network_id: external['id'] },
    })
    await connect(owner, distributed['id'], { subnet_id: far['subnet'].id })
    const [fip, port] = [await floating(), await owner.make('port', { network_id: far['id'] })]
    await made(fip, port)
    const whole = await owner.post('floatingips', {
      floatingip: { floating_network_id: external['id'], port_id: port['id'] },
    })
    refused(whole, 'PortHasPortForwarding')
  })

  test('the router keeps its gateway and interface', async () => {
    const far = await inside(owner, '10.3.0.0/24')
    const router = await routerOutside(owner, external)
    const subnet_id = far['subnet'].id
    await connect(owner, router['id'], { subnet_id })
    const [fip, port] = [await floating(), await owner.make('port', { network_id: far['id'] })]
    const one = await made(fip, port)
    const unset = await owner.put(`routers/${router['id']}`, { router: { external_gateway_info: null } })
    refused(unset, 'RouterExternalGatewayInUseByFloatingIp')
    const off = await owner.put(`routers/${router['id']}/remove_router_interface`, { subnet_id })
    refused(off, 'RouterInterfaceInUseByFloatingIP')
    answered(await owner.delete(path(fip, one['id'])), 204)
    await disconnect(owner, router['id'], { subnet_id })
    answered(await owner.delete(`routers/${router['id']}`), 204)
  })

  test('forwardings go with the address they lead to', async () => {
    const subnet_id = internal['subnet'].id
    const [fip, port] = [await floating(), await portInside({ fixed_ips: [{ subnet_id }, { subnet_id }] })]
    const [first, second] = port['fixed_ips']
    await made(fip, port)
    const stays = await made(fip, port, { external_port: 2, internal_ip_address: second.ip_address })
    answered(await owner.put(`ports/${port['id']}`, { port: { fixed_ips: [second] } }), 200)
    const left = await shown(fip)
    assert.deepEqual(
      left['port_forwardings'].map((one: Item) => one['id']),
      [stays['id']],
    )
    assert.equal(left['router_id'], between['id'])
    assert.notEqual(first.ip_address, second.ip_address)
    answered(await owner.delete(`ports/${port['id']}`), 204)
    const end = await shown(fip)
    assert.deepEqual([end['port_forwardings'], end['router_id']], [[], null])
  })
})

describe('at the same time', () => {
  test('one port outside is given once, one inside is reached once', async () => {
    const [fip, second, port] = [await floating(), await floating(), await portInside()]
    const ports = await Promise.all([portInside(), portInside(), portInside(), portInside()])
    const outside = await Promise.all(ports.map((one) => forward(fip, one)))
    assert.deepEqual(outside.map((one) => one.status).sort(), [201, 400, 400, 400])
    const inner = await Promise.all([fip, second].map((one) => forward(one, port, { external_port: 9 })))
    assert.deepEqual(inner.map((one) => one.status).sort(), [201, 400])
  })

  test('a floating IP is given a port or forwardings, never both', async () => {
    for (let round = 0; round < 5; round++) {
      const [fip, a, b] = [await floating(), await portInside(), await portInside()]
      const [whole, part] = await Promise.all([
        owner.put(`floatingips/${fip['id']}`, { floatingip: { port_id: a['id'] } }),
        forward(fip, b),
      ])
      const seen = await shown(fip)
      assert.deepEqual(
        [whole.status === 200, part.status === 201],
        [seen['port_id'] !== null, seen['port_id'] === null],
      )
      assert.equal(seen['port_forwardings'].length, part.status === 201 ? 1 : 0)
      assert.equal(seen['router_id'], between['id'])
    }
  })

  test('the last to go and the first to come leave the floating IP with its router', async () => {
    const [fip, port] = [await floating(), await portInside()]
    for (let round = 0; round < 5; round++) {
      const one = await made(fip, port, { external_port: 1, internal_port: 1 })
      const [gone, came] = await Promise.all([
        owner.delete(path(fip, one['id'])),
        forward(fip, port, { external_port: 2, internal_port: 2 }),
      ])
      answered(gone, 204)
      assert.equal((await shown(fip))['router_id'], between['id'])
      answered(await owner.delete(path(fip, answered(came, 201).port_forwarding.id)), 204)
      assert.equal((await shown(fip))['router_id'], null)
    }
  })

  test('a port that goes leaves nothing that leads to it, an interface in use stays', async () => {
    const far = await inside(owner, '10.4.0.0/24')
    const subnet_id = far['subnet'].id
    for (let round = 0; round < 4; round++) {
      await connect(owner, between['id'], { subnet_id })
      const [fip, port] = [await floating(), await owner.make('port', { network_id: far['id'] })]
      const off = owner.put(`routers/${between['id']}/remove_router_interface`, { subnet_id })
      const [made, removed] = await Promise.all([forward(fip, port), off])
      assert.deepEqual([made.status, removed.status], made.status === 201 ? [201, 409] : [400, 200])
      if (removed.status === 200) await connect(owner, between['id'], { subnet_id })
      const [, gone] = await Promise.all([
        forward(fip, port, { external_port: 2, internal_port: 2 }),
        owner.delete(`ports/${port['id']}`),
      ])
      answered(gone, 204)
      const left = await shown(fip)
      assert.deepEqual([left['port_forwardings'], left['router_id']], [[], null])
      await disconnect(owner, between['id'], { subnet_id })
    }
  })

  test('whatever is asked, no two ranges overlap', async () => {
    const [fip, port] = [await floating(), await portInside()]
    const range = fc.tuple(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 0, max: 6 }))
    await fc.assert(
      fc.asyncProperty(fc.array(range, { minLength: 2, maxLength: 4 }), async (ranges) => {
        await Promise.all(
          ranges.map(([start, more]) => {
            const both = `${start}:${start + more}`
            return forward(fip, port, { external_port_range: both, internal_port_range: both })
          }),
        )
        const all: Item[] = answered(await owner.get(path(fip)), 200).port_forwardings
        const ends = all
          .map((one) => one['external_port_range'].split(':').map(Number) as [number, number])
          .sort(([a], [b]) => a - b)
        assert.ok(ends.length > 0)
        assert.ok(ends.every(([start], at) => at === 0 || start > (ends[at - 1]?.[1] ?? 0)))
        for (const one of all) answered(await owner.delete(path(fip, one['id'])), 204)
      }),
      { numRuns: 12 },
    )
  })
})
