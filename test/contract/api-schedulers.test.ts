/** Networks on DHCP agents, routers on L3 agents: chosen by the system, moved by operators, left when agents die. */
import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { SYSTEM } from '#core/hosts/agents.ts'
import { operateInternally } from '#core/operation.ts'
import { readNetworks } from '#feed/queries.ts'
import { leaveDownAgents, serveWires } from '#extensions/schedulers/failover.ts'
import { agentsOf, hostReports, silence } from '../lib/agents.ts'
import { answered, refused } from '../lib/refused.ts'
import { type TestServer, testServer } from '../lib/server.ts'

type Item = Record<string, any>
const NOWHERE = '00000000-0000-4000-8000-000000000000'

let server: TestServer
before(async () => {
  server = await testServer({ settings: { quotaRouter: -1, quotaNetwork: -1, quotaSubnet: -1 } })
})
after(() => server.close())
/** Every test has its own hosts. */
afterEach(async () => {
  for (const table of ['dhcp_bindings', 'router_bindings', 'agents'])
    await server.database.query(`delete from ${table}`)
})

const idOf = async (host: string, type: string): Promise<string> => (await agentsOf(server, host))[type]?.['id']
const failover = (kinds: readonly ('dhcp' | 'l3')[]): Promise<number> =>
  operateInternally(server.core, SYSTEM, 'failover', (unit) => leaveDownAgents(unit.context, kinds))

let blocks = 0
async function served(more: Item = {}): Promise<Item> {
  const network = await server.admin.make('network', more)
  await server.admin.make('subnet', { network_id: network['id'], ip_version: 4, cidr: `10.${++blocks}.0.0/24` })
  return network
}
const hostsOf = async (path: string): Promise<string[]> =>
  answered(await server.admin.get(path), 200)
    .agents.map((one: Item) => one['host'])
    .toSorted()

describe('DHCP', () => {
  const agentsAt = (network: Item): string => `networks/${network['id']}/dhcp-agents`

  test('a network is given to an agent with its first subnet, the least loaded one', async () => {
    for (const host of ['h1', 'h2', 'h3']) await hostReports(server, host)
    const bare = await server.admin.make('network', {})
    assert.deepEqual(await hostsOf(agentsAt(bare)), [])
    const networks = [await served(), await served(), await served()]
    const hosts = await Promise.all(networks.map((one) => hostsOf(agentsAt(one))))
    assert.deepEqual(hosts.flat().toSorted(), ['h1', 'h2', 'h3'])
    const shown = answered(await server.admin.get(`networks/${networks[0]?.['id']}`), 200).network
    assert.deepEqual(shown.availability_zones, ['nova'])
  })

  test('operators add and remove; each way names the other', async () => {
    for (const host of ['h1', 'h2']) await hostReports(server, host)
    const network = await served()
    const [first = ''] = await hostsOf(agentsAt(network))
    const other = await idOf(first === 'h1' ? 'h2' : 'h1', 'DHCP agent')
    const at = `agents/${other}/dhcp-networks`
    const body = { network_id: network['id'] }
    assert.deepEqual(answered(await server.admin.post(at, body), 201), {})
    assert.deepEqual(await hostsOf(agentsAt(network)), ['h1', 'h2'])
    const listed: Item[] = answered(await server.admin.get(at), 200).networks
    assert.equal(listed.filter((one) => one['id'] === network['id']).length, 1)
    refused(await server.admin.post(at, body), 'NetworkHostedByDHCPAgent')
    answered(await server.admin.delete(`${at}/${network['id']}`), 204)
    refused(await server.admin.delete(`${at}/${network['id']}`), 'NetworkNotHostedByDhcpAgent')
    refused(await server.admin.delete(`${at}/nonsense`), 'NetworkNotHostedByDhcpAgent')
    assert.deepEqual(await hostsOf(agentsAt(network)), [first])
    answered(await server.admin.delete(`networks/${network['id']}`), 204)
  })

  test('who serves no DHCP, or is out of service, takes none; strangers see nothing', async () => {
    await hostReports(server, 'h1')
    const network = await served()
    const body = { network_id: network['id'] }
    const l2 = await idOf('h1', 'Open vSwitch agent')
    refused(await server.admin.post(`agents/${l2}/dhcp-networks`, body), 'InvalidDHCPAgent')
    refused(await server.admin.post(`agents/${NOWHERE}/dhcp-networks`, body), 'AgentNotFound')
    const dhcp = await idOf('h1', 'DHCP agent')
    refused(await server.admin.post(`agents/${dhcp}/dhcp-networks`, { network_id: NOWHERE }), 'NetworkNotFound')
    answered(await server.admin.put(`agents/${dhcp}`, { agent: { admin_state_up: false } }), 200)
    refused(await server.admin.post(`agents/${dhcp}/dhcp-networks`, body), 'InvalidDHCPAgent')
    assert.deepEqual(await hostsOf(agentsAt(await served())), [])
    refused(await server.as('p1').get(`agents/${dhcp}/dhcp-networks`), 'AgentNotFound')
    const own = await server.as('p1').make('network', {})
    refused(await server.as('p1').get(agentsAt(own)), 'PolicyNotAuthorized')
  })

  test('hosts with ports serve it too, and that is not for operators to end', async () => {
    for (const host of ['h1', 'h2']) await hostReports(server, host)
    const network = await served()
    const [bound = ''] = await hostsOf(agentsAt(network))
    const other = bound === 'h1' ? 'h2' : 'h1'
    await server.admin.make('port', { network_id: network['id'], 'binding:host_id': other })
    assert.deepEqual(await hostsOf(agentsAt(network)), ['h1', 'h2'])
    const at = `agents/${await idOf(other, 'DHCP agent')}/dhcp-networks/${network['id']}`
    refused(await server.admin.delete(at), 'NetworkNotHostedByDhcpAgent')
  })

  test('what was made before there was an agent is given to the first', async () => {
    const network = await served()
    assert.deepEqual(await hostsOf(agentsAt(network)), [])
    await hostReports(server, 'late')
    assert.deepEqual(await hostsOf(agentsAt(network)), ['late'])
  })

  test('an agent that is down loses its networks to others; alone, it keeps them', async () => {
    await hostReports(server, 'h1')
    const networks = [await served(), await served()]
    await silence(server, 'h1')
    assert.equal(await failover(['dhcp']), 0)
    await hostReports(server, 'h2')
    assert.equal(await failover(['l3']), 0)
    assert.ok((await failover(['dhcp'])) >= 2)
    for (const one of networks) assert.deepEqual(await hostsOf(agentsAt(one)), ['h2'])
    answered(await server.admin.delete(`agents/${await idOf('h1', 'DHCP agent')}`), 204)
  })

  test('of two that have a network the longest has its wire; down and without a substitute it is the last', async () => {
    for (const host of ['h1', 'h2']) await hostReports(server, host, { bridge_mappings: { shelf: 'br-shelf' } })
    const network = await served({ 'provider:network_type': 'flat', 'provider:physical_network': 'shelf' })
    const [first = ''] = await hostsOf(agentsAt(network))
    const second = first === 'h1' ? 'h2' : 'h1'
    const at = `agents/${await idOf(second, 'DHCP agent')}/dhcp-networks`
    answered(await server.admin.post(at, { network_id: network['id'] }), 201)
    const onWire = async (): Promise<string[]> => {
      const rows = await readNetworks(server.database, '', [network['id']])
      return (rows.get(network['id'])?.wires ?? []).map(({ host }) => host)
    }
    /** Bindings of one second are in no order: a look in the next one puts it right. */
    const passesTo = async (host: string): Promise<void> => {
      for (let look = 0; look < 30 && (await onWire())[0] !== host; look++) {
        await failover(['dhcp'])
        await sleep(100)
      }
      assert.deepEqual(await onWire(), [host])
    }
    await silence(server, first)
    await passesTo(second)
    assert.deepEqual(await hostsOf(agentsAt(network)), ['h1', 'h2'])
    await silence(server, second)
    await failover(['dhcp'])
    assert.deepEqual(await onWire(), [second], 'nobody is left')
    await hostReports(server, first, { bridge_mappings: { shelf: 'br-shelf' } })
    await passesTo(first)
  })

  test('a segment that no host of the network reaches gets one with the first port on its wire', async () => {
    await hostReports(server, 'h1', { bridge_mappings: { left: 'br-left' } })
    await hostReports(server, 'h2', { bridge_mappings: { right: 'br-right' } })
    const services = { nic_switch: { device_mappings: { left: ['eth1'], right: ['eth2'] } } }
    await hostReports(server, 'cards', { services, tunneling_ip: null })
    const flat = (name: string) => ({ 'provider:network_type': 'flat', 'provider:physical_network': name })
    const network = await served({ segments: ['left', 'right'].map(flat) })
    const [first = ''] = await hostsOf(agentsAt(network))
    const serve = (): Promise<number> =>
      operateInternally(server.core, SYSTEM, 'wires', (unit) => serveWires(unit.context))
    assert.equal(await serve(), 0, 'nobody is on a wire')
    const other = first === 'h1' ? 'right' : 'left'
    const segments: Item[] = answered(await server.admin.get(`segments?network_id=${network['id']}`), 200).segments
    const wired = segments.find((one) => one['physical_network'] === other)?.['id']
    const port = await server.admin.make('port', { network_id: network['id'], 'binding:vnic_type': 'direct' })
    // Drivers bind on the first segment that a card reaches.
    const levels = JSON.stringify([{ level: 0, driver: 'sriovnicswitch', segment_id: wired }])
    await server.database.query(
      "update ports set binding_host = 'cards', binding_vif_type = 'hw_veb', binding_levels = $2 where id = $1",
      [port['id'], levels],
    )
    assert.deepEqual([await serve(), await serve()], [1, 0])
    const rows = await readNetworks(server.database, '', [network['id']])
    assert.deepEqual((rows.get(network['id'])?.wires ?? []).map(({ host }) => host).toSorted(), ['h1', 'h2'])
    assert.equal(new Set(rows.get(network['id'])?.wires.map(({ segment_id }) => segment_id)).size, 2)
  })

  test('a physical network is given only to who reaches it', async () => {
    await hostReports(server, 'h1')
    await hostReports(server, 'h2', { bridge_mappings: { rack: 'br-rack' } })
    const flat = { 'provider:network_type': 'flat', 'provider:physical_network': 'rack' }
    assert.deepEqual(await hostsOf(agentsAt(await served(flat))), ['h2'])
  })
})

describe('routers', () => {
  const agentsAt = (router: Item): string => `routers/${router['id']}/l3-agents`
  async function connected(more: Item = {}): Promise<Item> {
    const router = await server.admin.make('router', more)
    const network = await server.admin.make('network', {})
    const block = { network_id: network['id'], ip_version: 4, cidr: `10.${++blocks}.0.0/24` }
    const subnet = await server.admin.make('subnet', block)
    const at = `routers/${router['id']}/add_router_interface`
    answered(await server.admin.put(at, { subnet_id: subnet['id'] }), 200)
    return { ...router, subnet_id: subnet['id'] }
  }

  test('a router is given to one agent with its first interface or gateway', async () => {
    for (const host of ['h1', 'h2']) await hostReports(server, host)
    const idle = await server.admin.make('router', {})
    assert.deepEqual(await hostsOf(agentsAt(idle)), [])
    const routers = [await connected(), await connected()]
    const hosts = await Promise.all(routers.map((one) => hostsOf(agentsAt(one))))
    assert.deepEqual(hosts.flat().toSorted(), ['h1', 'h2'])
    const outside = await server.admin.make('network', { 'router:external': true })
    await server.admin.make('subnet', { network_id: outside['id'], ip_version: 4, cidr: `10.${++blocks}.0.0/24` })
    const info = { external_gateway_info: { network_id: outside['id'] } }
    assert.equal((await hostsOf(agentsAt(await server.admin.make('router', info)))).length, 1)
    answered(await server.admin.put(`routers/${idle['id']}`, { router: info }), 200)
    assert.equal((await hostsOf(agentsAt(idle))).length, 1)
    const shown = answered(await server.admin.get(`routers/${idle['id']}`), 200).router
    assert.deepEqual(shown.availability_zones, ['nova'])
  })

  test('operators move it; a second agent is for high availability', async () => {
    for (const host of ['h1', 'h2']) await hostReports(server, host)
    const router = await connected()
    const [first = ''] = await hostsOf(agentsAt(router))
    const [mine, other] = [await idOf(first, 'L3 agent'), await idOf(first === 'h1' ? 'h2' : 'h1', 'L3 agent')]
    const body = { router_id: router['id'] }
    answered(await server.admin.post(`agents/${mine}/l3-routers`, body), 201)
    refused(await server.admin.post(`agents/${other}/l3-routers`, body), 'RouterHostedByL3Agent')
    // As openstacksdk does: the path's id once more in a body.
    const gone = await server.admin.send('DELETE', `agents/${mine}/l3-routers/${router['id']}`, JSON.stringify(body))
    answered(gone, 204)
    assert.deepEqual(await hostsOf(agentsAt(router)), [])
    answered(await server.admin.delete(`agents/${mine}/l3-routers/${router['id']}`), 204)
    answered(await server.admin.post(`agents/${other}/l3-routers`, body), 201)
    const listed: Item[] = answered(await server.admin.get(`agents/${other}/l3-routers`), 200).routers
    assert.equal(listed.filter((one) => one['id'] === router['id']).length, 1)
    refused(await server.admin.post(`agents/${other}/l3-routers`, { router_id: NOWHERE }), 'RouterNotFound')
    refused(await server.admin.delete(`agents/${other}/l3-routers/${NOWHERE}`), 'RouterNotFound')
    const l2 = await idOf('h1', 'Open vSwitch agent')
    refused(await server.admin.post(`agents/${l2}/l3-routers`, body), 'InvalidL3Agent')
  })

  test('modes: a legacy agent takes no distributed router, one without the outside takes none', async () => {
    await hostReports(server, 'old', { services: { l3: { agent_mode: 'legacy' } } })
    await hostReports(server, 'compute', { services: { l3: { agent_mode: 'dvr' } } })
    const router = await connected({ distributed: true })
    assert.deepEqual(await hostsOf(agentsAt(router)), [])
    const body = { router_id: router['id'] }
    const [old, compute] = [await idOf('old', 'L3 agent'), await idOf('compute', 'L3 agent')]
    refused(await server.admin.post(`agents/${old}/l3-routers`, body), 'RouterL3AgentMismatch')
    refused(await server.admin.post(`agents/${compute}/l3-routers`, body), 'DVRL3CannotAssignToDvrAgent')
    refused(await server.admin.delete(`agents/${compute}/l3-routers/${router['id']}`), 'DVRL3CannotRemoveFromDvrAgent')
    assert.deepEqual(await hostsOf(agentsAt(await connected())), ['old'])
  })

  test('high availability: several agents, in different zones first, one again when it ends', async () => {
    for (const [host, zone] of [
      ['h1', 'a'],
      ['h2', 'a'],
      ['h3', 'a'],
      ['h4', 'b'],
    ] as const)
      await hostReports(server, host, { availability_zone: zone })
    const router = await server.admin.make('router', { ha: true })
    const hosts = await hostsOf(agentsAt(router))
    assert.equal(hosts.length, 3)
    assert.ok(hosts.includes('h4'))
    const at = `routers/${router['id']}`
    answered(await server.admin.put(at, { router: { admin_state_up: false, ha: false } }), 200)
    assert.equal((await hostsOf(agentsAt(router))).length, 1)
  })

  test('two interfaces at once: still one agent', async () => {
    for (const host of ['h1', 'h2', 'h3']) await hostReports(server, host)
    const router = await server.admin.make('router', {})
    const subnets = await Promise.all(
      Array.from({ length: 4 }, async () => {
        const network = await server.admin.make('network', {})
        return server.admin.make('subnet', { network_id: network['id'], ip_version: 4, cidr: `10.${++blocks}.0.0/24` })
      }),
    )
    const at = `routers/${router['id']}/add_router_interface`
    const answers = await Promise.all(subnets.map((one) => server.admin.put(at, { subnet_id: one['id'] })))
    for (const one of answers) answered(one, 200)
    assert.equal((await hostsOf(agentsAt(router))).length, 1)
  })

  test('an agent that is down loses its routers when told to, and what it had is free when it goes', async () => {
    await hostReports(server, 'h1')
    const router = await connected()
    const body = { subnet_id: router['subnet_id'] }
    await silence(server, 'h1')
    await hostReports(server, 'h2')
    assert.deepEqual(await hostsOf(agentsAt(router)), ['h1'])
    assert.ok((await failover(['l3'])) >= 1)
    assert.deepEqual(await hostsOf(agentsAt(router)), ['h2'])
    answered(await server.admin.put(`routers/${router['id']}/remove_router_interface`, body), 200)
    answered(await server.admin.delete(`routers/${router['id']}`), 204)
    const [left] = await server.database.query('select 1 from router_bindings where router_id = $1', [router['id']])
    assert.equal(left, undefined)
  })
})

describe('availability zones', () => {
  test('are those of agents, by kind; available while one is in service', async () => {
    await hostReports(server, 'h1', { availability_zone: 'z1' })
    await hostReports(server, 'h2', { availability_zone: 'z2', services: { dhcp: {} } })
    const list = async (query: string): Promise<Item[]> =>
      answered(await server.admin.get(`availability_zones${query}`), 200).availability_zones.map((one: Item) => [
        one['name'],
        one['resource'],
        one['state'],
      ])
    assert.deepEqual((await list('')).toSorted(), [
      ['z1', 'network', 'available'],
      ['z1', 'router', 'available'],
      ['z2', 'network', 'available'],
    ])
    assert.deepEqual(await list('?resource=router'), [['z1', 'router', 'available']])
    const l3 = await idOf('h1', 'L3 agent')
    answered(await server.admin.put(`agents/${l3}`, { agent: { admin_state_up: false } }), 200)
    assert.deepEqual(await list('?state=unavailable'), [['z1', 'router', 'unavailable']])
  })

  test('hints hold for scheduling, and must name zones that are there', async () => {
    for (const zone of ['z1', 'z2']) await hostReports(server, `in-${zone}`, { availability_zone: zone })
    const network = await served({ availability_zone_hints: ['z2'] })
    assert.deepEqual(network['availability_zone_hints'], ['z2'])
    assert.deepEqual(await hostsOf(`networks/${network['id']}/dhcp-agents`), ['in-z2'])
    const lost = { availability_zone_hints: ['z1', 'nowhere'] }
    refused(await server.admin.post('networks', { network: lost }), 'AvailabilityZoneNotFound', /nowhere/)
    refused(await server.admin.post('routers', { router: lost }), 'AvailabilityZoneNotFound', /nowhere/)
    for (const hints of [['z1', 'z1'], 'z1', [5], [`z${'1'.repeat(255)}`]])
      refused(await server.admin.post('networks', { network: { availability_zone_hints: hints } }), 'HTTPBadRequest')
    refused(
      await server.admin.put(`networks/${network['id']}`, { network: { availability_zone_hints: [] } }),
      'HTTPBadRequest',
    )
  })
})
