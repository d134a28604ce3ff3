/** A simulation says what binding does: a thousand random worlds, with agents that die between the question and the deed. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { MechanismDriver } from '#core/contracts.ts'
import { mechanismDrivers } from '#drivers/index.ts'
import { silentLogger } from '#kernel/log.ts'
import { VNIC_TYPES } from '#resources/port.ts'
import fc from 'fast-check'
import { easyDriver, hostOn, networkWith, portOn, type Seen, stored, torOver } from '../lib/binding.ts'
import { answered } from '../lib/refused.ts'
import { type TestServer, testServer } from '../lib/server.ts'
import { verify } from '../lib/verify.ts'

const RUNS = 1000
const HOSTS = ['h0', 'h1', 'h2', 'ghost'] as const
const RACKS = ['rack0', 'rack1', 'rack2'] as const

/** What of the world changes: an agent of a host, a ToR, or how many VLANs are left on the last rack. */
const change = fc.oneof(
  fc.record({
    host: fc.constantFrom('h0', 'h1', 'h2'),
    mapped: fc.subarray([...RACKS, 'flat0']),
    tunnels: fc.subarray(['vxlan', 'geneve']),
    alive: fc.integer({ min: 0, max: 3 }).map((one) => one > 0),
  }),
  fc.record({ tor: fc.constantFrom(0, 1, 2), alive: fc.boolean(), leads: fc.subarray(['h0', 'h1', 'h2']) }),
  fc.record({ exhausted: fc.boolean() }),
)
const world = fc.record({
  before: fc.array(change, { maxLength: 2 }),
  between: fc.oneof(
    { weight: 3, arbitrary: fc.constant([]) },
    { weight: 1, arbitrary: fc.array(change, { minLength: 1, maxLength: 2 }) },
  ),
  order: fc.shuffledSubarray([0, 1, 2, 3, 4, 5, 6], { minLength: 3 }),
  network: fc.nat(6),
  host: fc.constantFrom(...HOSTS),
  vnic_type: fc.oneof({ weight: 4, arbitrary: fc.constant('normal') }, fc.constantFrom(...VNIC_TYPES)),
  profile: fc.constantFrom(
    {},
    {},
    {},
    { allocation: { g: 'f1895f00-0000-4000-8000-000000000001' } },
    { trusted: true },
  ),
})
type Change = typeof change extends fc.Arbitrary<infer T> ? T : never

const drivers: MechanismDriver[] = []
const KNOWN: readonly MechanismDriver[] = [
  ...['openvswitch', 'sriovnicswitch', 'macvtap', 'bpf', 'vtep'].map(
    (name) => mechanismDrivers(silentLogger).get(name) as MechanismDriver,
  ),
  easyDriver('broken', {
    bind: () => {
      throw new Error('out of order')
    },
  }),
  easyDriver('routed', {
    connectivity: 'l3',
    bind: ({ port: { vnic_type } }) =>
      vnic_type === 'vdpa'
        ? { vif_type: 'tap', vif_details: {} }
        : { refused: 'vnic_unsupported', facts: { vnic_type } },
  }),
]

async function apply(server: TestServer, one: Change, held: { id: string | null }): Promise<void> {
  const { database, admin } = server
  const silent = (alive: boolean): string => (alive ? 'now()' : "now() - interval '1 day'")
  if ('mapped' in one) {
    const configurations = {
      tunneling_ip: '192.0.2.1',
      tunnel_types: one.tunnels,
      bridge_mappings: Object.fromEntries(one.mapped.map((name) => [name, `br-${name}`])),
    }
    await database.query(
      `/* once */ update agents set configurations = $2, heartbeat_timestamp = ${silent(one.alive)} where host = $1`,
      [one.host, JSON.stringify(configurations)],
    )
  } else if ('tor' in one) {
    await torOver(server, `tor${one.tor}`, RACKS[one.tor] as string, one.leads, null)
    await database.query(`/* once */ update agents set heartbeat_timestamp = ${silent(one.alive)} where host = $1`, [
      `tor${one.tor}`,
    ])
  } else if (one.exhausted && held.id === null) {
    const body = { network: { 'provider:network_type': 'vlan', 'provider:physical_network': 'rack2' } }
    const { status, body: made } = await admin.post('networks', body)
    if (status === 201) held.id = made.network.id
  } else if (!one.exhausted && held.id !== null) {
    answered(await admin.delete(`networks/${held.id}`), 204)
    held.id = null
  }
}

const vlan = (physical_network: string) => ({
  'provider:network_type': 'vlan',
  'provider:physical_network': physical_network,
})
async function networks(server: TestServer): Promise<Seen[]> {
  return [
    await networkWith(server),
    await networkWith(server),
    await networkWith(server, vlan('rack0')),
    await networkWith(server, {
      segments: [{ 'provider:network_type': 'vxlan' }, vlan('rack1')],
    }),
    await networkWith(server, { 'provider:network_type': 'flat', 'provider:physical_network': 'flat0' }),
    await networkWith(server, { 'provider:network_type': 'geneve' }),
    // Without a subnet: its ports have no address.
    await server.admin.make('network', {}),
  ]
}

/** What of a level counts: a segment still to be made has no id. */
const levelOf = ({ level, driver, segment }: Seen): unknown => [
  level,
  driver,
  segment.network_type,
  segment.physical_network,
]
const attemptsOf = (attempts: readonly Seen[]): unknown =>
  attempts.map(({ remedy: _remedy, facts: { heartbeat_age_seconds: _age, ...facts }, ...one }) => ({ ...one, facts }))

test(`simulate ≡ bind for ${RUNS} random cases`, async () => {
  await using server = await testServer({
    drivers,
    settings: {
      networkVlanRanges: [
        { physical_network: 'rack0', range: { first: 100, last: 199 } },
        { physical_network: 'rack1', range: { first: 100, last: 199 } },
        { physical_network: 'rack2', range: { first: 100, last: 100 } },
      ],
      flatNetworks: ['flat0'],
      quotaNetwork: -1,
      quotaPort: -1,
    },
  })
  for (const host of HOSTS.slice(0, 3)) await hostOn(server, host, ['rack0'])
  for (const [index, rack] of RACKS.entries()) await torOver(server, `tor${index}`, rack, HOSTS.slice(0, 3))
  const all = await networks(server)
  const ports = await Promise.all(all.map((network) => portOn(server, network, '')))
  const held: { id: string | null } = { id: null }
  const seen = new Set<string>()
  const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000)
  for (const [index, one] of fc.sample(world, { numRuns: RUNS, seed }).entries()) {
    const { before, between, order, network, host, vnic_type, profile } = one
    const id = ports[network]?.['id']
    const told = `seed ${seed}, case ${index}: ${JSON.stringify(one)}`
    drivers.splice(0, drivers.length, ...order.map((at) => KNOWN[at] as MechanismDriver))
    for (const each of before) await apply(server, each, held)
    const put = (values: object) => server.admin.put(`ports/${id}`, { port: values })
    answered(await put({ 'binding:host_id': '', 'binding:vnic_type': vnic_type, 'binding:profile': profile }), 200)
    const simulate = async (): Promise<Seen> => {
      const reply = await server.admin.post('binding-simulations', {
        binding_simulation: { port_id: id, hosts: [host] },
      })
      return answered(reply, 200).binding_simulation.hosts[0]
    }
    let simulated = await simulate()
    for (const each of between) await apply(server, each, held)
    // Who died in between was alive when asked: what binding does is what is answered after that.
    if (between.length > 0) simulated = await simulate()
    answered(await put({ 'binding:host_id': host }), 200)
    const row = await stored(server, id)
    assert.equal(row['binding_vif_type'], simulated['vif_type'], told)
    assert.equal(simulated['bindable'], row['binding_vif_type'] !== 'binding_failed', told)
    const made = answered(await server.admin.get(`ports/${id}/binding-explanation`), 200).binding_explanation
    assert.deepEqual(made.levels.map(levelOf), simulated['levels'].map(levelOf), told)
    assert.deepEqual(made.fresh.levels, made.levels, told)
    if (!simulated['bindable'])
      assert.deepEqual(attemptsOf(row['binding_failure'].attempts), attemptsOf(simulated['attempts']), told)
    for (const { reason, result } of simulated['attempts']) seen.add(reason ?? result)
    seen.add(`${simulated['levels'].length} levels`)
  }
  answered(await server.admin.put(`ports/${ports[0]?.['id']}`, { port: { 'binding:host_id': '' } }), 200)
  for (const { id } of ports) answered(await server.admin.delete(`ports/${id}`), 204)
  assert.deepEqual(await server.database.query('select * from network_segments where is_dynamic'), [])
  assert.deepEqual(await verify(server.core), [])
  // The worlds were not all of one kind.
  const kinds = `0 levels|1 levels|2 levels|bound|continued|agent_absent|agent_dead|physnet_not_mapped|vnic_unsupported|
    tor_absent|tor_unreachable|segment_ids_exhausted|driver_failed|connectivity_unsuitable|tunnel_type_unsupported|
    provider_not_responsible`
  for (const kind of kinds.split('|').map((one) => one.trim()))
    assert.ok(seen.has(kind), `no world had ${kind}: ${[...seen].join(', ')}`)
})
