/** One program on a host is several agents to clients; what it says of itself, and what ends with it. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { recordAgent } from '#core/hosts/agents.ts'
import { agentsOf, hostReports, silence } from '../lib/agents.ts'
import { answered, refused } from '../lib/refused.ts'
import { type TestServer, testServer } from '../lib/server.ts'

let server: TestServer
before(async () => {
  server = await testServer()
})
after(() => server.close())

test('a host that switches is one agent; one that serves DHCP and routes is three, of which two are in its zone', async () => {
  await hostReports(server, 'plain', { services: {} })
  await hostReports(server, 'full', { availability_zone: 'z1' })
  assert.deepEqual(Object.keys(await agentsOf(server, 'plain')), ['Open vSwitch agent'])
  const full = await agentsOf(server, 'full')
  assert.deepEqual(
    Object.entries(full).map(([type, one]) => [type, one['availability_zone'], one['topic'], one['alive']]),
    [
      ['DHCP agent', 'z1', 'dhcp_agent', true],
      ['L3 agent', 'z1', 'l3_agent', true],
      ['Open vSwitch agent', null, 'N/A', true],
    ],
  )
  assert.deepEqual(full['L3 agent']?.['configurations'], { agent_mode: 'dvr_snat' })
  assert.equal(full['Open vSwitch agent']?.['configurations'].services, undefined)
})

test('a heartbeat that says the same is one statement and no change; a new zone is a change', async () => {
  await hostReports(server, 'steady')
  const changes = async (): Promise<number> => {
    const [row] = await server.database.query<{ n: number }>(
      "select count(*)::int as n from change where kind = 'agent'",
    )
    return row?.n ?? 0
  }
  const known = await changes()
  assert.equal(await hostReports(server, 'steady'), false)
  assert.equal(
    await hostReports(server, 'steady', {
      devices: 3,
      services: { dhcp: { dhcp_driver: 'sim', networks: 7 }, l3: { agent_mode: 'dvr_snat', routers: 1 } },
    }),
    false,
  )
  assert.equal(await changes(), known)
  assert.equal((await agentsOf(server, 'steady'))['DHCP agent']?.['configurations'].networks, 7)
  // Whatever a driver may ask of an agent is a change, also what only others' drivers know.
  for (const more of [{ device_mappings: { physnet: ['eth0'] } }, { interface_mappings: {} }, { whatever: 1 }, {}])
    assert.equal(await hostReports(server, 'steady', more), true)
  assert.equal(await hostReports(server, 'steady'), false)
  await silence(server, 'steady')
  assert.equal(await hostReports(server, 'steady'), true, 'it is back')
  const [, after] = await server.database.query<{ before: boolean; after: boolean }>(
    `select c.before -> 'alive' as before, c.after -> 'alive' as after from change c join agents a on a.id = c.id
      where a.host = 'steady' order by c.seq desc limit 2`,
  )
  assert.deepEqual(after, { before: false, after: true })
  assert.equal(await hostReports(server, 'steady', { availability_zone: 'z9' }), true)
  assert.equal((await agentsOf(server, 'steady'))['L3 agent']?.['availability_zone'], 'z9')
})

test('a host that comes with many reports at once has each agent once', async () => {
  await Promise.all(Array.from({ length: 8 }, () => hostReports(server, 'crowded')))
  const { agents } = answered(await server.admin.get('agents?host=crowded'), 200)
  assert.equal(agents.length, 3)
})

test('an agent that serves is not deleted; one that is silent or taken out of service is, and comes back with a report', async () => {
  await hostReports(server, 'leaving')
  const at = async (type: string): Promise<string> => `agents/${(await agentsOf(server, 'leaving'))[type]?.['id']}`
  const l3 = await at('L3 agent')
  assert.deepEqual(refused(await server.admin.delete(l3), 'AgentInUse'), { reason: 'alive' })
  answered(await server.admin.put(l3, { agent: { admin_state_up: false } }), 200)
  answered(await server.admin.delete(l3), 204)
  const dhcp = await at('DHCP agent')
  await silence(server, 'leaving')
  assert.equal(answered(await server.admin.get(dhcp), 200).agent.alive, false)
  answered(await server.admin.delete(dhcp), 204)
  await hostReports(server, 'leaving')
  assert.equal(Object.keys(await agentsOf(server, 'leaving')).length, 3)
})

test('what a stranger was refused is no service', async () => {
  await recordAgent(server.core, {
    host: 'odd',
    configurations: { services: ['dhcp'] },
    started_at: '2026-01-01T00:00:00Z',
  })
  assert.deepEqual(Object.keys(await agentsOf(server, 'odd')), ['Open vSwitch agent'])
})
