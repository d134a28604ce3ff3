/** Binding through the API: levels, segments that come and go with them, and drivers that ask other systems. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { SYSTEM } from '#core/hosts/agents.ts'
import { operateInternally } from '#core/operation.ts'
import { namedId } from '#kernel/ids.ts'
import { openvswitchDriver } from '#drivers/mechanism/openvswitch.ts'
import {
  dynamicSegments,
  easyDriver,
  hostOn,
  networkWith,
  portOn,
  reasonsOf,
  type Seen,
  stored,
  torOver,
} from '../lib/binding.ts'
import { answered, refused } from '../lib/refused.ts'
import { hostReports, silence } from '../lib/agents.ts'
import { type TestServer, testServer } from '../lib/server.ts'
import { verify } from '../lib/verify.ts'

const vlans = (physical_network: string, first: number, last: number) => ({ physical_network, range: { first, last } })
let server: TestServer
before(async () => {
  server = await testServer({
    settings: {
      networkVlanRanges: [vlans('rack1', 100, 109), vlans('rack2', 200, 209)],
      quotaNetwork: -1,
      quotaPort: -1,
    },
  })
  await hostOn(server, 'plain', [])
  for (const host of ['r1a', 'r1b']) await hostOn(server, host, ['rack1'], false)
  await hostOn(server, 'r2a', ['rack2'], false)
  await torOver(server, 'tor1', 'rack1', ['r1a', 'r1b'])
  await torOver(server, 'tor2', 'rack2', ['r2a'])
})
after(async () => {
  assert.deepEqual(await verify(server.core), [])
  await server.close()
})

const show = async (id: unknown): Promise<Seen> => answered(await server.admin.get(`ports/${id}`), 200).port
const put = (id: unknown, values: object) => server.admin.put(`ports/${id}`, { port: values })
const drop = async (id: unknown): Promise<void> => void answered(await server.admin.delete(`ports/${id}`), 204)
const revision = async (network: Seen): Promise<number> =>
  answered(await server.admin.get(`networks/${network['id']}`), 200).network.revision_number

describe('a port below a switch', () => {
  test('stands on a VLAN of that switch, made with the first port and gone with the last', async () => {
    const network = await networkWith(server)
    const [one, two] = [await portOn(server, network, 'r1a'), await portOn(server, network, 'r1b')]
    const [made, ...rest] = await dynamicSegments(server, network)
    assert.deepEqual(rest, [])
    assert.equal(made?.['physical_network'], 'rack1')
    const row = await stored(server, one['id'])
    assert.deepEqual(
      row['binding_levels'].map(({ level, driver }: Seen) => [level, driver]),
      [
        [0, 'vtep'],
        [1, 'openvswitch'],
      ],
    )
    assert.equal(row['binding_levels'][1].segment_id, made['id'])
    assert.deepEqual(one['binding:vif_details'].bound_drivers, { 0: 'vtep', 1: 'openvswitch' })
    assert.equal(one['binding:vif_type'], 'ovs')
    const three = await portOn(server, network, 'r2a')
    const both = await dynamicSegments(server, network)
    assert.deepEqual(both.map((segment) => segment['physical_network']).sort(), ['rack1', 'rack2'])
    assert.notEqual(both[0]?.['segmentation_id'], both[1]?.['segmentation_id'])
    const before = await revision(network)
    await drop(three['id'])
    assert.equal(await revision(network), before + 1, 'the network says that a segment went')
    await drop(one['id'])
    assert.deepEqual(
      (await dynamicSegments(server, network)).map(({ id }) => id),
      [made['id']],
    )
    // Moved away is gone as well.
    answered(await put(two['id'], { 'binding:host_id': 'plain' }), 200)
    assert.deepEqual(await dynamicSegments(server, network), [])
    assert.deepEqual((await show(two['id']))['binding:vif_details'].bound_drivers, { 0: 'openvswitch' })
    answered(await put(two['id'], { 'binding:host_id': 'r2a' }), 200)
    answered(await put(two['id'], { 'binding:host_id': null }), 200)
    assert.deepEqual(await dynamicSegments(server, network), [])
    assert.deepEqual((await stored(server, two['id']))['binding_levels'], [])
  })

  test('a network that goes takes its segments along; a dry run makes none', async () => {
    const network = await networkWith(server)
    const body = { port: { network_id: network['id'], 'binding:host_id': 'r1a' } }
    const dry = answered(await server.admin.post('ports?dry_run=true', body), 200)
    assert.equal(dry.port['binding:vif_type'], 'ovs')
    assert.deepEqual(await dynamicSegments(server, network), [])
    const port = await portOn(server, network, 'r1a')
    assert.equal((await dynamicSegments(server, network)).length, 1)
    await drop(port['id'])
    answered(await server.admin.delete(`networks/${network['id']}`), 204)
  })

  test('without a VLAN left it fails and says so; once there is one it is bound', async () => {
    const network = await networkWith(server)
    const held = await Promise.all(
      Array.from({ length: 10 }, () =>
        server.admin.make('network', { 'provider:network_type': 'vlan', 'provider:physical_network': 'rack2' }),
      ),
    )
    const port = await portOn(server, network, 'r2a')
    assert.equal(port['binding:vif_type'], 'binding_failed')
    const { binding_failure: failure } = await stored(server, port['id'])
    assert.deepEqual(
      [failure.host, reasonsOf(failure.attempts)],
      [
        'r2a',
        [
          '0 openvswitch: tunnel_type_unsupported',
          '0 sriovnicswitch: vnic_unsupported',
          '0 macvtap: agent_absent',
          '0 bpf: agent_absent',
          '0 vtep: segment_ids_exhausted',
        ],
      ],
    )
    // As in Neutron, whoever writes the port has it tried again; failing likewise is no change.
    const again = answered(await put(port['id'], { 'binding:host_id': 'r2a' }), 200).port
    assert.equal(again.revision_number, port['revision_number'])
    answered(await server.admin.delete(`networks/${held[0]?.['id']}`), 204)
    const bound = answered(await put(port['id'], { name: 'now' }), 200).port
    assert.equal(bound['binding:vif_type'], 'ovs')
    assert.equal((await stored(server, port['id']))['binding_failure'], null)
    await drop(port['id'])
    for (const { id } of held.slice(1)) answered(await server.admin.delete(`networks/${id}`), 204)
  })

  test('bindings that wait stand on segments too', async () => {
    const network = await networkWith(server)
    const port = await portOn(server, network, 'plain', { device_owner: 'compute:nova' })
    const waits = (host: string) => server.admin.post(`ports/${port['id']}/bindings`, { binding: { host } })
    answered(await waits('r1a'), 201)
    assert.equal((await dynamicSegments(server, network)).length, 1)
    answered(await server.admin.delete(`ports/${port['id']}/bindings/r1a`), 204)
    assert.deepEqual(await dynamicSegments(server, network), [])
    answered(await waits('r1b'), 201)
    answered(await server.admin.put(`ports/${port['id']}/bindings/r1b/activate`), 200)
    const [segment] = await dynamicSegments(server, network)
    assert.equal((await stored(server, port['id']))['binding_levels'][1].segment_id, segment?.['id'])
    answered(await server.admin.put(`ports/${port['id']}/bindings/plain/activate`), 200)
    assert.deepEqual(await dynamicSegments(server, network), [segment], 'the host that was left delivers until it ends')
    answered(await server.admin.delete(`ports/${port['id']}/bindings/r1b`), 204)
    assert.deepEqual(await dynamicSegments(server, network), [])
    await drop(port['id'])
  })
})

describe('what a port’s status and levels say', () => {
  test('a change of host, type or profile takes it down, everything else does not', async () => {
    const network = await networkWith(server)
    const { id } = await portOn(server, network, 'plain')
    const up = () => server.database.query("update ports set status = 'ACTIVE' where id = $1", [id])
    for (const [values, status] of [
      [{ name: 'x' }, 'ACTIVE'],
      [{ 'binding:profile': { a: 1, b: 2 } }, 'DOWN'],
      [{ 'binding:profile': { b: 2, a: 1 } }, 'ACTIVE'],
      [{ 'binding:vnic_type': 'direct' }, 'DOWN'],
      [{ 'binding:host_id': 'r1a' }, 'DOWN'],
    ] as const) {
      await up()
      answered(await put(id, values), 200)
      assert.equal((await show(id))['status'], status, JSON.stringify(values))
    }
    await drop(id)
  })

  test('clients see neither levels nor failures, the change log has both', async () => {
    const network = await networkWith(server)
    const { id, ...port } = await portOn(server, network, 'nowhere')
    assert.equal(port['binding:vif_type'], 'binding_failed')
    assert.ok(!('binding:levels' in port) && !('binding:failure' in port))
    const [row] = await server.database.query<Seen>("select after from change where id = $1 and kind = 'port'", [id])
    assert.deepEqual(row?.['after']['binding:levels'], [])
    assert.equal(row?.['after']['binding:failure'].attempts[0].reason, 'agent_absent')
    refused(await put(id, { 'binding:levels': [] }), 'HTTPBadRequest')
    await drop(id)
  })
})

describe('looking again', () => {
  const again = (id: unknown): Promise<boolean> =>
    operateInternally(server.core, SYSTEM, 'test', ({ context }) => context.binding.rebind(String(id)))

  test('a failure is tried anew, a binding that holds stays, one that does not moves or stays', async () => {
    const network = await networkWith(server)
    await hostOn(server, 'late', [], false)
    const failing = await portOn(server, network, 'late')
    assert.equal(failing['binding:vif_type'], 'binding_failed')
    assert.equal(await again(failing['id']), false)
    await hostOn(server, 'late', ['rack1'], false)
    await torOver(server, 'tor1', 'rack1', ['r1a', 'r1b', 'late'])
    assert.equal(await again(failing['id']), true)
    const bound = await show(failing['id'])
    assert.deepEqual(bound['binding:vif_details'].bound_drivers, { 0: 'vtep', 1: 'openvswitch' })
    // It could have a tunnel of its own now, but what works is left alone.
    await hostOn(server, 'late', ['rack1'], true)
    assert.equal(await again(failing['id']), false)
    // Its VLAN is gone: there is the tunnel.
    await hostOn(server, 'late', [], true)
    assert.equal(await again(failing['id']), true)
    assert.deepEqual((await show(failing['id']))['binding:vif_details'].bound_drivers, { 0: 'openvswitch' })
    assert.deepEqual(await dynamicSegments(server, network), [])
    // Nothing would bind it now: on a suspicion it is not taken down.
    await silence(server, 'late')
    assert.equal(await again(failing['id']), false)
    assert.equal((await show(failing['id']))['binding:vif_type'], 'ovs')
    await drop(failing['id'])
    await torOver(server, 'tor1', 'rack1', ['r1a', 'r1b'])
  })
})

describe('a driver that asks another system', () => {
  test('is asked outside the transaction; what it hears counts only for the facts it asked about', async () => {
    const asked: string[] = []
    let during: (() => Promise<unknown>) | null = null
    let begun = 0
    await using own = await testServer({
      onStatement: (text) => void (begun += text === 'begin' ? 1 : 0),
      drivers: [
        easyDriver('remote', {
          bind: ({ host }, outside) =>
            outside === undefined || outside === host
              ? { vif_type: 'tap', vif_details: { told: outside } }
              : { refused: 'told_otherwise', facts: { outside }, remedy: 'Ask again.' },
          ask: async ({ host }) => {
            asked.push(host)
            const [task, wait] = [during, sleep(5)]
            during = null
            await task?.()
            await wait
            return host
          },
        }),
        openvswitchDriver,
      ],
    })
    for (const host of ['h1', 'h2']) await hostOn(own, host, [])
    const network = await networkWith(own)
    const port = await portOn(own, network, 'h1')
    assert.deepEqual([port['binding:vif_type'], port['binding:vif_details'].told, asked], ['tap', 'h1', ['h1']])
    // While it asks, somebody else moves the port: the last word is the later one's, with an answer of its own.
    const to = (host: string) => own.admin.put(`ports/${port['id']}`, { port: { 'binding:host_id': host } })
    asked.length = 0
    during = async () => answered(await to('h2'), 200)
    answered(await own.admin.put(`ports/${port['id']}`, { port: { 'binding:profile': { a: 1 } } }), 200)
    const after = await stored(own, port['id'])
    assert.deepEqual([after['binding_host'], after['binding_vif_details'].told], ['h2', 'h2'])
    assert.ok(asked.includes('h2'))
    // Bulk: each port asks for itself, all of them in one round, and ids are the same in every round.
    asked.length = 0
    begun = 0
    const bulk = { ports: Array.from({ length: 5 }, () => ({ network_id: network['id'], 'binding:host_id': 'h1' })) }
    const { ports } = answered(await own.admin.post('ports', bulk), 201)
    assert.deepEqual([ports.map((one: Seen) => one['binding:vif_type']), asked.length], [Array(5).fill('tap'), 5])
    assert.equal(begun, 2)
  })

  test('what it wishes for is exhausted where no id is left, and wrong where there is no such thing', async () => {
    let wish = { network_type: 'vlan', physical_network: 'nowhere' }
    await using own = await testServer({
      drivers: [
        easyDriver('wishing', {
          bind: ({ level }) => (level === 0 ? { next: [wish] } : { vif_type: 'tap', vif_details: {} }),
        }),
      ],
    })
    await hostOn(own, 'h1', [])
    const network = await networkWith(own)
    const port = await portOn(own, network, '')
    const to = () => own.admin.put(`ports/${port['id']}`, { port: { 'binding:host_id': 'h1' } })
    assert.equal(answered(await to(), 200).port['binding:vif_type'], 'binding_failed')
    const { binding_failure } = await stored(own, port['id'])
    assert.deepEqual(reasonsOf(binding_failure.attempts), ['0 wishing: segment_ids_exhausted'])
    wish = { network_type: 'pigeon', physical_network: 'nowhere' }
    const refused = await to()
    assert.deepEqual([refused.status, refused.body.NeutronError.type], [400, 'InvalidInput'])
    assert.match(refused.body.NeutronError.message, /pigeon/)
    assert.equal((await stored(own, port['id']))['binding_host'], 'h1')
  })

  test('that is silent, breaks, or never asks about facts that hold, refuses, and the next is asked', async () => {
    const said = { how: (): Promise<unknown> => Promise.reject(new Error('connection refused')) }
    await using own = await testServer({
      drivers: [easyDriver('remote', { ask: () => said.how() }), openvswitchDriver],
    })
    await hostOn(own, 'h1', [])
    await hostOn(own, 'h2', [])
    const network = await networkWith(own)
    const lastOf = async (id: unknown): Promise<Seen> =>
      answered(await own.admin.get(`ports/${id}/binding-explanation`), 200).binding_explanation.fresh.attempts[0]
    const one = await portOn(own, network, 'h1')
    assert.equal(one['binding:vif_type'], 'ovs')
    assert.deepEqual((await lastOf(one['id']))['facts'], { error: 'connection refused' })
    // The host's agent changes with every question.
    let round = 0
    said.how = async () => void (await hostOn(own, 'h2', [`physnet${round++}`]))
    const two = await portOn(own, network, 'h2')
    assert.deepEqual([two['binding:vif_details'].bound_drivers, round], [{ 0: 'openvswitch' }, 10])
    said.how = () => sleep(60_000, undefined, { ref: false })
    const began = Date.now()
    const three = await portOn(own, network, 'h1')
    assert.deepEqual(three['binding:vif_details'].bound_drivers, { 0: 'openvswitch' })
    assert.ok(Date.now() - began < 20_000)
  })
})

test('bandwidth that was claimed of a host’s interface is its driver’s, in either form of the profile', async () => {
  await hostReports(server, 'claimed', { resource_provider_bandwidths: { eth1: { egress: 1000, ingress: 1000 } } })
  const network = await networkWith(server)
  const provider = namedId('87ee7d5c-73bb-11e8-9008-c4d987b2a692', 'claimed:eth1')
  for (const [allocation, vif_type] of [
    [{ group: provider }, 'ovs'],
    [provider, 'ovs'],
    [{ group: provider, other: randomUUID() }, 'binding_failed'],
    [randomUUID(), 'binding_failed'],
  ]) {
    const port = await portOn(server, network, 'claimed', { 'binding:profile': { allocation } })
    assert.equal(port['binding:vif_type'], vif_type, JSON.stringify(allocation))
    await drop(port['id'])
  }
})

test('an interface of a distributed router stands on many hosts, and on none by name', async () => {
  const network = await networkWith(server)
  const port = await portOn(server, network, 'plain', { device_owner: 'network:router_interface_distributed' })
  assert.deepEqual([port['binding:vif_type'], port['binding:host_id']], ['distributed', ''])
  await drop(port['id'])
})

test('binding to one level costs one statement', async () => {
  const texts: string[] = []
  await using own = await testServer({ onStatement: (text) => void texts.push(text) })
  await hostOn(own, 'h1', [])
  const network = await networkWith(own)
  const count = async (work: () => Promise<unknown>): Promise<number> => {
    texts.length = 0
    await work()
    return texts.length
  }
  await portOn(own, network, '')
  const unbound = await count(() => portOn(own, network, ''))
  const bound = await count(() => portOn(own, network, 'h1'))
  assert.equal(bound, unbound + 1)
  const { id } = await portOn(own, network, 'h1')
  const rename = await count(() => own.admin.put(`ports/${id}`, { port: { name: 'x' } }))
  const rebound = await count(() => own.admin.put(`ports/${id}`, { port: { 'binding:profile': { x: 1 } } }))
  assert.equal(rebound, rename + 1)
})
