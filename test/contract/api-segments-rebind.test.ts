/** Ports whose binding failed get another chance: by whoever writes them, and by what changed that may help. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { rebindOnRequest } from '#core/binding/retry.ts'
import { silentLogger } from '#kernel/log.ts'
import { hostReports, silence } from '../lib/agents.ts'
import { answered } from '../lib/refused.ts'
import { type TestServer, testServer } from '../lib/server.ts'
import { verify } from '../lib/verify.ts'

type Item = Record<string, any>

let server: TestServer
before(async () => {
  server = await testServer({
    settings: {
      networkVlanRanges: ['rack1', 'rack2'].map((physical_network) => ({
        physical_network,
        range: { first: 100, last: 199 },
      })),
      quotaPort: -1,
    },
  })
})
beforeEach(() => settle())
after(async () => {
  await settle()
  assert.deepEqual(await verify(server.core), [])
  await server.close()
})

/** Carries out what is asked for; answers what became of each request. */
async function settle(): Promise<{ tried: number; changed: number }[]> {
  const all = []
  for (let done; (done = await rebindOnRequest(server.core, silentLogger)); ) all.push(done)
  return all
}
const requests = async (): Promise<Item[]> =>
  server.database.query('select host, network_id from rebind_requests order by id')
const networkOn = async (physical_network: string): Promise<string> => {
  const values = { 'provider:network_type': 'vlan', 'provider:physical_network': physical_network }
  return String((await server.admin.make('network', values))['id'])
}
const portsOn = (network_id: string, host: string, count: number): Promise<Item[]> =>
  Promise.all(Array.from({ length: count }, () => server.admin.make('port', { network_id, 'binding:host_id': host })))
const bindings = async (ports: readonly Item[]): Promise<string[]> => {
  const rows = await server.database.query<{ vif: string }>(
    'select distinct binding_vif_type as vif from ports where id = any($1::uuid[]) order by 1',
    [ports.map((one) => one['id'])],
  )
  return rows.map((one) => one.vif)
}
const reaches = (host: string, ...racks: string[]): Promise<boolean> =>
  hostReports(server, host, { bridge_mappings: Object.fromEntries(racks.map((rack) => [rack, `br-${rack}`])) })

describe('a port whose binding failed is bound anew', () => {
  test('when its host’s agent comes, comes back, or reaches more; more than a batch of them too', async () => {
    const network = await networkOn('rack1')
    const ports = await portsOn(network, 'new', 60)
    assert.deepEqual(await bindings(ports), ['binding_failed'])
    await reaches('new')
    assert.deepEqual(await requests(), [{ host: 'new', network_id: null }])
    const [first, ...none] = await settle()
    assert.deepEqual([first?.tried, none], [60, []])
    assert.deepEqual(await bindings(ports), ['binding_failed'], 'it is not plugged into the rack')
    await reaches('new', 'rack1')
    assert.deepEqual(await settle(), [{ tried: 60, changed: 60 }])
    assert.deepEqual(await bindings(ports), ['ovs'])
    await silence(server, 'new')
    const [late] = await portsOn(network, 'new', 1)
    assert.deepEqual(await bindings([late as Item]), ['binding_failed'])
    await reaches('new', 'rack1')
    assert.deepEqual(await settle(), [{ tried: 1, changed: 1 }])
    assert.deepEqual(await bindings([late as Item]), ['ovs'])
  })

  test('not for a heartbeat, and not again while the reasons are the same', async () => {
    const network = await networkOn('rack1')
    const [port] = await portsOn(network, 'plain', 1)
    await reaches('plain')
    await settle()
    const revision = async (): Promise<number> =>
      answered(await server.admin.get(`ports/${port?.['id']}`), 200).port.revision_number
    const known = await revision()
    await reaches('plain')
    assert.deepEqual(await requests(), [])
    await hostReports(server, 'plain', { bridge_mappings: {}, more: 1 })
    assert.deepEqual(await settle(), [{ tried: 1, changed: 0 }])
    assert.equal(await revision(), known)
  })

  test('one that is bound stays where it is, whatever its host says by then', async () => {
    const network = await networkOn('rack1')
    await reaches('leaving', 'rack1')
    const ports = await portsOn(network, 'leaving', 2)
    await settle()
    await reaches('leaving')
    assert.deepEqual(await settle(), [{ tried: 0, changed: 0 }])
    assert.deepEqual(await bindings(ports), ['ovs'])
  })

  test('when its network has a segment more, and only there', async () => {
    await reaches('second', 'rack2')
    const [network, other] = [await networkOn('rack1'), await networkOn('rack1')]
    const ports = [...(await portsOn(network, 'second', 2)), ...(await portsOn(other, 'second', 1))]
    await settle()
    await server.admin.make('segment', { network_id: network, network_type: 'vlan', physical_network: 'rack2' })
    assert.deepEqual(await requests(), [{ host: null, network_id: network }])
    assert.deepEqual(await settle(), [{ tried: 2, changed: 2 }])
    assert.deepEqual(await bindings(ports.slice(0, 2)), ['ovs'])
    assert.deepEqual(await bindings(ports.slice(2)), ['binding_failed'])
  })

  test('when a range has more ids', async () => {
    const range = { name: 'r', network_type: 'vxlan', minimum: 70_000, maximum: 70_009, shared: true }
    const made = await server.admin.make('network_segment_range', range)
    assert.deepEqual(await requests(), [{ host: null, network_id: null }])
    await settle()
    const wider = { network_segment_range: { maximum: 70_019 } }
    answered(await server.admin.put(`network_segment_ranges/${made['id']}`, wider), 200)
    assert.deepEqual(await requests(), [{ host: null, network_id: null }])
  })

  test('when its hardware switch says something new of itself', async () => {
    const { operateInternally } = await import('#core/operation.ts')
    const { SYSTEM } = await import('#core/hosts/agents.ts')
    await operateInternally(server.core, SYSTEM, 'test', async (unit) => {
      const { agent } = await import('#resources/agent.ts')
      const configurations = { ports: { 'below-1': 'p1', 'below-2': 'p2' } }
      const fixed = { binary: 'x', topic: 'N/A', availability_zone: null, description: null, resources_synced: null }
      const at = { started_at: unit.now, heartbeat_timestamp: unit.now, admin_state_up: true }
      const values = { host: 'tor', agent_type: 'Hardware VTEP agent', configurations, ...fixed, ...at }
      await unit.context.create(agent as never, values)
    })
    assert.deepEqual(
      (await requests()).map((one) => one['host']),
      ['tor', 'below-1', 'below-2'],
    )
  })

  test('when somebody writes it, to the same host or anything else', async () => {
    for (const change of [{ 'binding:host_id': 'written' }, { name: 'n' }]) {
      await silence(server, 'written')
      const [port] = await portsOn(await networkOn('rack1'), 'written', 1)
      assert.equal(port?.['binding:vif_type'], 'binding_failed')
      await reaches('written', 'rack1')
      const reply = await server.admin.put(`ports/${port?.['id']}`, { port: change })
      assert.equal(answered(reply, 200).port['binding:vif_type'], 'ovs')
    }
  })
})

describe('of several servers', () => {
  test('one tries each port', async () => {
    const network = await networkOn('rack1')
    const ports = await portsOn(network, 'shared', 30)
    await reaches('shared', 'rack1')
    const both = await Promise.all([settle(), settle(), settle()])
    assert.deepEqual(both.flat(), [{ tried: 30, changed: 30 }])
    assert.deepEqual(await bindings(ports), ['ovs'])
    const log = await server.database.query<{ n: number }>(
      "select count(*)::int as n from change where kind = 'port' and op = 'update' and id = any($1::uuid[]) group by id",
      [ports.map((one) => one['id'])],
    )
    assert.ok(log.every(({ n }) => n === 1))
  })

  test('another goes on where one stopped', async () => {
    const network = await networkOn('rack1')
    const ports = await portsOn(network, 'broken', 60)
    await reaches('broken', 'rack1')
    const stop = new AbortController()
    stop.abort()
    assert.deepEqual(await rebindOnRequest(server.core, silentLogger, stop.signal), { tried: 0, changed: 0 })
    assert.deepEqual(await settle(), [], 'it is taken')
    const ids = ports.map((one) => String(one['id'])).sort()
    await server.database.query("update rebind_requests set taken_until = '-infinity', reached = $1", [ids[9]])
    assert.deepEqual(await settle(), [{ tried: 50, changed: 50 }])
    assert.deepEqual(await bindings(ports.filter((one) => String(one['id']) <= String(ids[9]))), ['binding_failed'])
  })

  test('a request waits for those who bind without having seen what changed', async () => {
    const client = await server.database.pool.connect()
    try {
      await client.query('begin')
      await client.query('select pg_current_xact_id()')
      await reaches('fenced', 'rack1')
      assert.deepEqual(await settle(), [])
      assert.equal((await requests()).length, 1)
      await client.query('rollback')
    } finally {
      client.release()
    }
    assert.equal((await settle()).length, 1)
  })
})
