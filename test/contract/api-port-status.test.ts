/** Ports of routers and of DHCP are ACTIVE when the hosts that must have them say so: all of them, as they are now. */
import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'
import { recordDhcpStatus, recordRouterStatus } from '#core/hosts/port-status.ts'
import { agentsOf, hostReports, silence } from '../lib/agents.ts'
import { answered } from '../lib/refused.ts'
import { type TestServer, testServer } from '../lib/server.ts'

type Item = Record<string, any>

let server: TestServer
let blocks = 0
before(async () => {
  server = await testServer({ settings: { dhcpAgentsPerNetwork: 2 } })
})
after(() => server.close())
afterEach(async () => {
  for (const table of ['dhcp_bindings', 'router_bindings', 'realizations', 'agents'])
    await server.database.query(`delete from ${table}`)
})

/** The host says that the object is so, in its present revision or an `older` one. */
async function says(host: string, kind: 'router' | 'network', id: string, state: string, older = 0): Promise<void> {
  await server.database.query(
    `insert into realizations (host, kind, id, generation, state, message, repaired, at)
       select $1, $2, t.id, t.revision_number - $5::int, $4, null, false, now() from ${kind}s t where t.id = $3
     on conflict (host, kind, id) do update set generation = excluded.generation, state = excluded.state`,
    [host, kind, id, state, older],
  )
}

async function served(): Promise<Item> {
  const network = await server.admin.make('network', {})
  const subnet = await server.admin.make('subnet', {
    network_id: network['id'],
    ip_version: 4,
    cidr: `10.${++blocks}.0.0/24`,
  })
  return { ...network, subnet }
}

describe('a router', () => {
  async function connected(more: Item = {}): Promise<Item> {
    const router = await server.admin.make('router', more)
    const { subnet } = await served()
    const at = `routers/${router['id']}/add_router_interface`
    return { ...router, ...answered(await server.admin.put(at, { subnet_id: subnet['id'] }), 200), id: router['id'] }
  }
  const statusOf = async (router: Item): Promise<string> =>
    answered(await server.admin.get(`ports/${router['port_id']}`), 200).port.status
  const judged = (router: Item): Promise<string[]> => recordRouterStatus(server.core, [router['id']])

  test('stands when its host says so, and not before', async () => {
    await hostReports(server, 'h1')
    const router = await connected()
    assert.equal(await statusOf(router), 'DOWN')
    assert.deepEqual(await judged(router), [])
    await says('h1', 'router', router['id'], 'done', 1)
    assert.deepEqual(await judged(router), [], 'an older revision is not this router')
    await says('elsewhere', 'router', router['id'], 'done')
    assert.deepEqual(await judged(router), [], 'it is not placed there')
    await says('h1', 'router', router['id'], 'done')
    assert.deepEqual(await judged(router), [router['port_id']])
    assert.equal(await statusOf(router), 'ACTIVE')
    assert.deepEqual(await judged(router), [])
    await says('h1', 'router', router['id'], 'error')
    assert.deepEqual(await judged(router), [router['port_id']])
    assert.equal(await statusOf(router), 'DOWN')
  })

  test('with several hosts stands when all that live say so', async () => {
    for (const host of ['h1', 'h2', 'h3']) await hostReports(server, host)
    const router = await connected({ ha: true })
    for (const host of ['h1', 'h2']) await says(host, 'router', router['id'], 'done')
    assert.deepEqual(await judged(router), [])
    await silence(server, 'h3')
    assert.deepEqual(await judged(router), [router['port_id']])
    assert.equal(await statusOf(router), 'ACTIVE')
  })

  test('that no data plane does stays down; without an agent it leads nowhere', async () => {
    await hostReports(server, 'h1')
    const router = await connected()
    await says('h1', 'router', router['id'], 'unsupported')
    assert.deepEqual(await judged(router), [])
    assert.equal(await statusOf(router), 'DOWN')
    await says('h1', 'router', router['id'], 'done')
    assert.deepEqual(await judged(router), [router['port_id']])
    const agent = (await agentsOf(server, 'h1'))['L3 agent']
    answered(await server.admin.delete(`agents/${agent?.['id']}/l3-routers/${router['id']}`), 204)
    assert.equal(await statusOf(router), 'DOWN')
  })

  test('that is administratively down has no port that is up', async () => {
    await hostReports(server, 'h1')
    const router = await connected()
    await says('h1', 'router', router['id'], 'done')
    await judged(router)
    answered(await server.admin.put(`routers/${router['id']}`, { router: { admin_state_up: false } }), 200)
    await says('h1', 'router', router['id'], 'done')
    assert.deepEqual(await judged(router), [router['port_id']])
    assert.equal(await statusOf(router), 'DOWN')
  })
})

describe('the DHCP of a network', () => {
  const statusOf = async (network: Item): Promise<string> =>
    answered(await server.admin.get(`ports?network_id=${network['id']}&device_owner=network:dhcp`), 200).ports[0].status
  const judged = async (network: Item): Promise<number> => (await recordDhcpStatus(server.core, [network['id']])).length

  test('is served when every living agent that has it says so', async () => {
    for (const host of ['h1', 'h2']) await hostReports(server, host)
    const network = await served()
    await says('h1', 'network', network['id'], 'done')
    assert.equal(await judged(network), 0)
    await says('h2', 'network', network['id'], 'done', 1)
    assert.equal(await judged(network), 0, 'what was there before the subnet serves nothing')
    await says('h2', 'network', network['id'], 'done')
    assert.equal(await judged(network), 1)
    assert.equal(await statusOf(network), 'ACTIVE')
    await says('h2', 'network', network['id'], 'error')
    assert.equal(await judged(network), 1)
    assert.equal(await statusOf(network), 'DOWN')
    await silence(server, 'h2')
    assert.equal(await judged(network), 1)
    assert.equal(await statusOf(network), 'ACTIVE')
  })

  test('given to nobody, it is served with the first host that has a port', async () => {
    const network = await served()
    assert.equal(await judged(network), 0)
    await says('h9', 'network', network['id'], 'done')
    assert.equal(await judged(network), 1)
    assert.equal(await statusOf(network), 'ACTIVE')
  })
})
