/** VLANs that somebody else uses at a ToR: none is chosen, and who stands on one moves, or says what is in its way. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { missing as skip } from '#drivers/mechanism/vtep/vtep.test-support.ts'
import { insert, mutate, named, type Op, remove } from '#protocol/ovsdb/ops.ts'
import { evade } from '#tor/evade.ts'
import { type Switch, type TorAgent, type TorRig, torRig, until } from './tor-rig.ts'

let rig: TorRig
let tor1: Switch
before(async () => {
  if (skip !== false) return
  rig = await torRig()
  tor1 = rig.switches[0] as Switch
})
after(() => rig?.close())

/** The operator's logical switch `name` on these VLANs of a port; whatever stands there goes. */
async function occupy(name: string, port: string, vlans: readonly number[]): Promise<void> {
  const held = tor1.seen().ports.find((one) => one.name === port)?.bindings ?? new Map<number, string>()
  const out = [...held].filter(([vlan]) => vlans.includes(vlan))
  const where: [string, '==', string][] = [['name', '==', port]]
  await tor1.client.transact([
    insert('Logical_Switch', { name, tunnel_key: 90_000 + name.length }, 'theirs'),
    ...(out.length > 0 ? [mutate('Physical_Port', where, ['vlan_bindings', 'delete', new Map(out)])] : []),
    mutate('Physical_Port', where, [
      'vlan_bindings',
      'insert',
      new Map(vlans.map((vlan) => [vlan, named('theirs')] as const)),
    ]),
  ] as Op[])
}
/** Takes it away again. */
async function leave(name: string, port: string): Promise<void> {
  const uuid = tor1.seen().logical.get(name)?.uuid ?? ''
  const held = tor1.seen().ports.find((one) => one.name === port)?.bindings ?? new Map<number, string>()
  const theirs = new Map([...held].filter(([, to]) => to === uuid))
  await tor1.client.transact([
    mutate('Physical_Port', [['name', '==', port]], ['vlan_bindings', 'delete', theirs]),
    remove('Logical_Switch', [['name', '==', name]]),
  ])
}
const says = async (): Promise<TorAgent['configurations']> => (await rig.agents())[0]?.configurations ?? {}
const vlansOf = async (network: string): Promise<number[]> => {
  const { segments } = (await rig.server.admin.get(`segments?network_id=${network}&physical_network=physnet-tor1`)).body
  return segments.map((one: { segmentation_id: number }) => one.segmentation_id)
}
/** What our network has on a port of tor1. */
const boundAt = (network: string, port: string): number[] => {
  const uuid = tor1.seen().logical.get(`deuteron-${network}`)?.uuid
  const held = tor1.seen().ports.find((one) => one.name === port)?.bindings ?? new Map<number, string>()
  return [...held].flatMap(([vlan, to]) => (to === uuid ? [vlan] : []))
}
const from = (first: number, last: number): number[] => Array.from({ length: last - first + 1 }, (_, i) => first + i)

test('a VLAN of somebody else is not chosen, and no VLAN is better than a wrong one', { skip }, async () => {
  await occupy('own', 'port_h4', [...from(101, 149), ...from(151, 199)])
  const foreign = [
    [101, 149],
    [151, 199],
  ]
  await until(
    'the ToR says so',
    async () => JSON.stringify((await says())['foreign_vlans']) === JSON.stringify(foreign),
  )
  const [one, two] = [await rig.makeNetwork(), await rig.makeNetwork()]
  const bound = await rig.makePort(one, 'h1')
  assert.deepEqual(await vlansOf(one), [150], 'also on the port where nobody has it: the network has one VLAN a ToR')
  const refused = await rig.makePort(two, 'h4')
  assert.equal(refused['binding:vif_type'], 'binding_failed')
  const { binding_explanation } = (await rig.server.admin.get(`ports/${refused['id']}/binding-explanation`)).body
  const own = binding_explanation.last.attempts.find((attempt: { driver: string }) => attempt.driver === 'vtep')
  assert.equal(own.reason, 'segment_ids_exhausted')
  assert.deepEqual(own.facts.wanted[0].without, foreign, 'it says which are taken there')
  const simulated = await rig.server.admin.post('binding-simulations', {
    binding_simulation: { port: { network_id: two }, hosts: ['h1'] },
  })
  assert.equal(simulated.body.binding_simulation.hosts[0].bindable, false, simulated.text)
  // They go: what failed is bound.
  await leave('own', 'port_h4')
  const { id } = refused
  await until('it is bound', async () => {
    await rig.server.admin.put(`ports/${id}`, { port: { name: 'again' } })
    return (await rig.server.admin.get(`ports/${id}`)).body.port['binding:vif_type'] === 'ovs'
  })
  for (const port of [bound['id'], id]) await rig.server.admin.delete(`ports/${port}`)
})

test('a network whose VLAN somebody else takes moves to another: bindings stay, hosts hear of it', {
  skip,
}, async () => {
  const network = await rig.makeNetwork()
  const server = { device_owner: 'compute:nova', device_id: 'vm' }
  const ports = [await rig.makePort(network, 'h1'), await rig.makePort(network, 'h4', server)]
  const waiting = await rig.makePort(network, 'h3', server)
  assert.equal(
    (await rig.server.admin.post(`ports/${waiting['id']}/bindings`, { binding: { host: 'h1' } })).status,
    201,
  )
  await rig.inSync()
  const [vlan = 0] = await vlansOf(network)
  const [log] = await rig.server.database.query<{ at: string }>('select max(seq) as at from change')
  await occupy('taken', 'port_h1', [vlan])
  await until('it moved', async () => (await vlansOf(network))[0] !== vlan)
  await rig.inSync()
  const [to = 0] = await vlansOf(network)
  assert.ok(to > 100 && to < 200)
  assert.deepEqual([boundAt(network, 'port_h1'), boundAt(network, 'port_h4')], [[to], [to]])
  assert.ok(tor1.seen().logical.has('taken'), 'theirs is left alone')
  for (const { id, 'binding:vif_type': type } of ports) {
    const { port } = (await rig.server.admin.get(`ports/${id}`)).body
    assert.equal(port['binding:vif_type'], type)
  }
  const told = await rig.server.database.query<{ kind: string }>(
    'select distinct kind from change where seq > $1 and kind in ($2, $3)',
    [log?.at, 'network', 'segment'],
  )
  assert.equal(told.length, 2, 'the network changed, which is what hosts are told of')
  await until('nothing is wrong any more', async () => (await says())['problems'].length === 0)
  await leave('taken', 'port_h1')
  // What it had is free for others, once: two ids of two networks, no more.
  for (const { id } of [...ports, waiting]) await rig.server.admin.delete(`ports/${id}`)
  await until('all is given back', async () => (await vlansOf(network)).length === 0)
  const [free] = await rig.server.database.query<{ count: string }>(
    "select sum(last - first + 1) as count from free_ranges where pool = 'vlan:physnet-tor1'",
  )
  assert.equal(Number(free?.count), 99)
})

test('where a device was given the VLAN it stays, and the command that helps is named', { skip }, async () => {
  const mappings = { nic_switch: { device_mappings: { 'physnet-tor1': ['eth4'] } } }
  await rig.report('h4', null, mappings)
  const network = await rig.makeNetwork()
  const card = await rig.makePort(network, 'h4', { 'binding:vnic_type': 'direct' })
  assert.equal(card['binding:vif_type'], 'hw_veb')
  await rig.inSync()
  const [vlan = 0] = await vlansOf(network)
  assert.equal(card['binding:vif_details'].vlan, String(vlan))
  await occupy('theirs', 'port_h4', [vlan])
  await until('it says what to do', async () => (await says())['problems'][0]?.remedy !== undefined)
  const [problem] = (await says())['problems']
  assert.deepEqual(
    { ...problem, remedy: '' },
    {
      network,
      reason: 'vlan_taken',
      facts: { port: 'port_h4', vlan, holder: 'theirs' },
      remedy: '',
    },
  )
  assert.ok(
    problem.remedy.includes(`vtep-ctl --db=${tor1.setting.target} unbind-ls tor1 port_h4 ${vlan}`),
    problem.remedy,
  )
  assert.ok(problem.remedy.includes(card['id']))
  assert.deepEqual(await vlansOf(network), [vlan], 'it stays')
  await leave('theirs', 'port_h4')
  await rig.inSync()
  await until('nothing is wrong any more', async () => (await says())['problems'].length === 0)
  await rig.server.admin.delete(`ports/${card['id']}`)
})

test('devices bound while their network moves have the VLAN that it has in the end', {
  skip,
  timeout: 60_000,
}, async () => {
  await rig.report('h4', null, { nic_switch: { device_mappings: { 'physnet-tor1': ['eth4'] } } })
  const network = await rig.makeNetwork()
  // Keeps the segment there, and can follow it.
  const { id: keeper } = await rig.makePort(network, 'h1')
  const tor = { name: 'tor1', physicalNetwork: 'physnet-tor1' }
  const results = new Set<string>()
  for (let round = 0; round < 12; round++) {
    const [vlan = 0] = await vlansOf(network)
    const binding = Array.from({ length: 4 }, () => rig.makePort(network, 'h4', { 'binding:vnic_type': 'direct' }))
    const [evasion, ...cards] = await Promise.all([evade(rig.server.core, tor, { network, vlan }, []), ...binding])
    results.add(evasion.result)
    const [now = 0] = await vlansOf(network)
    assert.equal(now, evasion.result === 'moved' ? evasion.vlan : vlan)
    for (const card of cards) {
      const { port } = (await rig.server.admin.get(`ports/${card['id']}`)).body
      assert.equal(port['binding:vif_details'].vlan, String(now), `round ${round}: ${evasion.result}`)
      await rig.server.admin.delete(`ports/${card['id']}`)
    }
  }
  assert.ok(results.has('moved') || results.has('fixed'))
  await rig.server.admin.delete(`ports/${keeper}`)
})
