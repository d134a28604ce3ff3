/** Nova hears of its ports: what, when, in which order, and whatever Nova answers, at least once. */
import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, describe, test } from 'node:test'
import type { Access } from '#outbox/service.ts'
import { type NovaEvent, type NovaStub, novaStub } from '../lib/nova-stub.ts'
import { eventsOf, outboxGround, type Plugged, proves, type Rig, serverPort } from '../lib/outbox.ts'
import { answered } from '../lib/refused.ts'
import type { TestServer } from '../lib/server.ts'

let server: TestServer
let nova: NovaStub
let rig: Rig
let network: string

before(async () => {
  ;({ server, rig, network } = await outboxGround())
})
after(() => server.close())
afterEach(() => nova[Symbol.asyncDispose]())
beforeEach(async () => {
  nova = await novaStub()
  await rig.derive()
  await server.database.query('delete from outbox_events')
})

const told = (port: string, events: readonly NovaEvent[] = nova.taken): string[] =>
  events.filter(({ tag }) => tag === port).map(({ name }) => name)
const tell = async (ms?: number): Promise<void> => {
  await rig.derive()
  await rig.settle(rig.deliverer(rig.nova(nova.url)), ms)
}
const port = (): Promise<Plugged> => serverPort(server, network)
/** So many ports that turned ACTIVE. */
const plugged = async (count: number): Promise<string[]> => {
  const ports = await Promise.all(Array.from({ length: count }, port))
  const ids = ports.map((one) => one.port)
  await proves(server, ids)
  return ids
}

describe('what Nova hears', () => {
  test('a port is plugged when its flows are proven, and not before', async () => {
    const one = await port()
    await tell()
    assert.deepEqual(told(one.port), [])
    await proves(server, [one.port])
    await tell()
    assert.deepEqual(
      nova.taken.filter(({ tag }) => tag === one.port),
      [{ name: 'network-vif-plugged', server_uuid: one.server, tag: one.port, status: 'completed' }],
    )
  })

  test('then changed, unplugged, deleted; each once, in this order', async () => {
    const one = await port()
    await proves(server, [one.port])
    answered(await server.admin.put(`ports/${one.port}`, { port: { fixed_ips: [{ ip_address: '10.0.77.1' }] } }), 200)
    answered(await server.admin.put(`ports/${one.port}`, { port: { name: 'not for Nova' } }), 200)
    await proves(server, [one.port], false)
    answered(await server.admin.delete(`ports/${one.port}`), 204)
    await tell()
    assert.deepEqual(told(one.port), [
      'network-vif-plugged',
      'network-changed',
      'network-vif-unplugged',
      'network-vif-deleted',
    ])
  })

  test('nothing of ports that are no servers', async () => {
    const id = await server.admin.make('port', {
      network_id: network,
      device_owner: 'network:f5',
      'binding:host_id': 'h1',
    })
    const odd = await serverPort(server, network, { device_id: 'not-a-uuid' })
    await proves(server, [String(id['id']), odd.port])
    assert.equal(await rig.derive(), 0)
  })

  test('a floating IP that comes and goes changes the network of the server', async () => {
    const outside = await server.admin.make('network', { 'router:external': true })
    await server.admin.make('subnet', { network_id: outside['id'], ip_version: 4, cidr: '203.0.113.0/24' })
    const router = await server.admin.make('router', { external_gateway_info: { network_id: outside['id'] } })
    const subnets = answered(await server.admin.get(`subnets?network_id=${network}`), 200).subnets
    answered(await server.admin.put(`routers/${router['id']}/add_router_interface`, { subnet_id: subnets[0].id }), 200)
    const [one, two] = [await port(), await port()]
    const ip = await server.admin.make('floatingip', { floating_network_id: outside['id'], port_id: one.port })
    await tell()
    assert.deepEqual(told(one.port), ['network-changed'])
    answered(await server.admin.put(`floatingips/${ip['id']}`, { floatingip: { port_id: two.port } }), 200)
    await tell()
    assert.deepEqual([told(one.port).length, told(two.port).length], [2, 1])
  })

  test('changes that follow each other while Nova has not heard are told once', async () => {
    const one = await port()
    for (const last of [1, 2, 3])
      answered(
        await server.admin.put(`ports/${one.port}`, { port: { fixed_ips: [{ ip_address: `10.0.78.${last}` }] } }),
        200,
      )
    await tell()
    assert.deepEqual(told(one.port), ['network-changed'])
  })
})

describe('whatever Nova answers', () => {
  test('207: each event has its own fate, and no other waits for it', async () => {
    const [good, unknown, early, broken] = (await plugged(4)) as [string, string, string, string]
    let patience = 3
    nova.code = ({ tag }) =>
      tag === unknown
        ? 404
        : tag === early && patience-- > 0
          ? 422
          : tag === broken && nova.requests.length < 6
            ? 500
            : 200
    await tell()
    assert.equal((nova.requests[0] as NovaEvent[]).length, 4)
    assert.deepEqual(
      [good, unknown, early, broken].map((one) => told(one).length),
      [1, 0, 1, 1],
    )
    const [dropped] = await eventsOf(server, unknown)
    assert.deepEqual([dropped?.state, dropped?.answer], ['done', 'Nova knows no such server'])
    assert.equal((await eventsOf(server, early))[0]?.attempts, 4)
  })

  test('a server that never gets a host is waited for five minutes', async () => {
    const [lost] = (await plugged(1)) as [string]
    nova.code = () => 422
    const began = rig.now()
    await tell()
    assert.ok(rig.now() - began > 150_000 && rig.now() - began < 400_000, `${rig.now() - began} ms`)
    assert.deepEqual((await eventsOf(server, lost))[0]?.answer, 'Nova never had a host for the server')
  })

  test('one event that Nova cannot take is found and set apart; the others go on', async () => {
    const ids = await plugged(40)
    const poison = ids[17] as string
    for (const status of [500, 400]) {
      nova.fault = (events) => (events.some(({ tag }) => tag === poison) ? status : null)
      await tell(60_000)
    }
    for (const id of ids) assert.equal(told(id).length, id === poison ? 0 : 1)
    const [kept] = await eventsOf(server, poison)
    assert.deepEqual([kept?.state, /broken for a test/.test(kept?.answer ?? '')], ['pending', true])
    nova.fault = null
    await tell()
    assert.deepEqual(told(poison), ['network-vif-plugged'])
  })

  test('a 404 that is not Nova’s is a wrong address: nothing counts as told', async () => {
    const [one] = (await plugged(1)) as [string]
    nova.fault = () => 404
    await tell(30_000)
    assert.equal((await eventsOf(server, one))[0]?.state, 'pending')
  })

  test('slow, three times as long as we wait: it is given more time until its answer is heard', async () => {
    const [one] = (await plugged(1)) as [string]
    await rig.derive()
    nova.delayMs = 300
    const hasty = rig.deliverer(rig.nova(nova.url), 100)
    assert.ok(((await hasty.step()) ?? 0) > 0)
    assert.equal((await eventsOf(server, one))[0]?.answer, 'no answer in time')
    await rig.settle(hasty)
    assert.equal((await eventsOf(server, one))[0]?.state, 'done')
    assert.ok(nova.requests.length <= 4, `asked ${nova.requests.length} times`)
    // Each time Nova took it: hearing it again does no harm.
    assert.ok(told(one).every((name) => name === 'network-vif-plugged'))
  })

  for (const fault of ['cut', 'forget', 'nonsense'] as const)
    test(`an answer that cannot be understood (${fault}) says nothing of the events: they are told again`, async () => {
      const ids = await plugged(3)
      let times = 2
      nova.fault = () => (times-- > 0 ? fault : null)
      await tell(1)
      const [first] = await eventsOf(server, ids[0])
      assert.equal(first?.state, 'pending')
      assert.match(first?.answer ?? '', fault === 'nonsense' ? /200 and no events/ : /the connection failed/)
      await tell()
      for (const id of ids) {
        assert.deepEqual([...new Set(told(id))], ['network-vif-plugged'])
        assert.equal((await eventsOf(server, id))[0]?.state, 'done')
      }
    })

  test('404 of all: nobody can say which of them Nova knows, so they wait, and are told when it knows them', async () => {
    const ids = await plugged(3)
    const [known] = ids as [string]
    nova.code = () => 404
    await tell(30_000)
    for (const id of ids) {
      const [kept] = await eventsOf(server, id)
      assert.deepEqual([kept?.state, kept?.answer], ['pending', 'Nova has no host for the server yet'])
    }
    nova.code = ({ tag }) => (tag === known ? 200 : 404)
    await tell()
    assert.deepEqual(
      ids.map((id) => told(id).length),
      [1, 0, 0],
    )
    assert.ok((await eventsOf(server)).every(({ state }) => state === 'done'))
  })

  test('a token that is refused is renewed, once a request', async () => {
    const [one] = (await plugged(1)) as [string]
    await rig.derive()
    nova.tokens = new Set(['new'])
    let current = 'old'
    const access: Access = {
      endpoint: async () => nova.url,
      token: async () => current,
      refused: (token) => {
        assert.equal(token, 'old')
        current = 'new'
      },
    }
    await rig.settle(rig.deliverer(rig.nova(nova.url, access)))
    assert.deepEqual(told(one), ['network-vif-plugged'])
  })
})

describe('two servers that both believe it is theirs', () => {
  test('write every event once, and overtake nothing', async () => {
    const ids = await plugged(15)
    await proves(server, ids, false)
    await proves(server, ids)
    const written = await Promise.all(Array.from({ length: 4 }, () => rig.derive()))
    assert.equal(
      written.reduce((sum, one) => sum + one, 0),
      45,
    )
    nova.fault = () => (Math.random() < 0.2 ? 'forget' : null)
    nova.delayMs = 5
    const both = [1, 2, 3].map(() => rig.settle(rig.deliverer(rig.nova(nova.url))))
    await Promise.all(both)
    const wanted = ['network-vif-plugged', 'network-vif-unplugged', 'network-vif-plugged']
    for (const id of ids) {
      const heard = told(id)
      assert.deepEqual(
        heard.filter((name, index) => name !== heard[index - 1]),
        wanted,
      )
    }
    assert.ok((await eventsOf(server)).every(({ state }) => state === 'done'))
  })
})
