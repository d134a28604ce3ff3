/** The planner against a real ovsdb-server with the hardware_vtep schema. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import type { OvsdbClient } from '#protocol/ovsdb/client.ts'
import { insert, mutate, named, type Op, remove, select } from '#protocol/ovsdb/ops.ts'
import { logicalName, planTor } from './plan.ts'
import type { TorSeen } from './seen.ts'
import { missing as skip, physicalSwitch, startVtepDatabase, type VtepDatabase, watchTor } from './vtep.test-support.ts'
import { type SpannedNetwork, type TorWant, wantOf } from './want.ts'

let database: VtepDatabase
let client: OvsdbClient
let seen: () => TorSeen

before(async () => {
  if (skip !== false) return
  database = await startVtepDatabase()
  client = await database.connect()
  seen = await watchTor(client)
})
after(async () => {
  client?.close()
  await database?.stop()
})

const ROOTS = ['Ucast_Macs_Remote', 'Mcast_Macs_Remote', 'Ucast_Macs_Local', 'Mcast_Macs_Local', 'Logical_Switch']
/** An empty ToR with two ports, an operator's logical switch on VLAN 7, and the locator of one endpoint. */
async function reset(): Promise<void> {
  const [made] = await client.transact([select('Global', [], ['_uuid'])])
  const root = made?.rows?.[0]?._uuid ?? (await client.transact([insert('Global', {})]))[0]?.uuid ?? ''
  const switches = [...seen().switches.values()].map(({ uuid }) => uuid)
  await client.transact([mutate('Global', [['_uuid', '==', root]], ['switches', 'delete', switches])])
  await client.transact(ROOTS.map((table) => remove(table, [])))
  await client.transact([
    ...physicalSwitch(root, 'tor1', '192.0.2.1', ['p1', 'p2']),
    insert('Logical_Switch', { name: 'operator', tunnel_key: 7 }, 'theirs'),
    mutate('Physical_Port', [['name', '==', 'p1']], ['vlan_bindings', 'insert', new Map([[7, named('theirs')]])]),
    ...remoteMac('02:00:00:00:00:77', '192.0.2.9', 'theirs'),
  ])
}
const remoteMac = (mac: string, ip: string, logical: string): Op[] => [
  insert('Physical_Locator', { encapsulation_type: 'vxlan_over_ipv4', dst_ip: ip }, 'at'),
  insert('Ucast_Macs_Remote', { MAC: mac, logical_switch: named(logical), locator: named('at') }),
]

const pick = (letters: string, count: number): fc.Arbitrary<string> => fc.constantFrom(...letters.slice(0, count))
const macArb = fc.integer({ min: 1, max: 9 }).map((n) => `02:00:00:00:00:0${n}`)
const ipArb = fc.integer({ min: 2, max: 9 }).map((n) => `192.0.2.${n}`)
const networkArb = fc.record({
  id: pick('abcd', 4),
  vni: fc.integer({ min: 6, max: 10 }),
  bindings: fc.array(fc.record({ port: fc.constantFrom('p1', 'p2', 'p9'), vlan: fc.integer({ min: 5, max: 9 }) }), {
    maxLength: 4,
  }),
  macs: fc.uniqueArray(fc.record({ mac: macArb, tunnelIp: ipArb }), { maxLength: 5, selector: ({ mac }) => mac }),
  flood: fc.array(ipArb, { maxLength: 3 }),
})
const wantArb: fc.Arbitrary<TorWant> = fc
  .uniqueArray(networkArb, { maxLength: 4, selector: ({ id }) => id })
  .map((networks) => ({ version: 1, switch: 'tor1', networks }))

/** What the database says about our networks, in the words of the want; problems are taken off the want. */
function ours(state: TorSeen): unknown {
  const rows = [...state.logical.values()].filter(({ name }) => name.startsWith('deuteron-'))
  return rows
    .map(({ uuid, name, vni, replication }) => ({
      name,
      vni,
      replication,
      bindings: state.ports
        .flatMap((port) => [...port.bindings].flatMap(([vlan, to]) => (to === uuid ? [`${port.name} ${vlan}`] : [])))
        .toSorted(),
      macs: (state.unicast.get(uuid) ?? []).map(({ mac, tunnelIp }) => `${mac} ${tunnelIp}`).toSorted(),
      flood: (state.multicast.get(uuid) ?? []).map(({ mac, tunnelIps }) => [mac, [...tunnelIps].toSorted()]),
    }))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

/** A second opinion on what should stand: first come, first served for VNIs and VLANs; 7 on p1 and VNI 7 are theirs. */
function expected(want: TorWant): unknown {
  const [vnis, vlans] = [new Set([7]), new Set(['p1 7'])]
  return want.networks
    .flatMap(({ id, vni, bindings, macs, flood }) => {
      if (vnis.has(vni)) return []
      vnis.add(vni)
      const mine = [...new Set(bindings.map(({ port, vlan }) => `${port} ${vlan}`))].filter(
        (key) => !vlans.has(key) && !key.startsWith('p9'),
      )
      for (const key of mine) vlans.add(key)
      return [
        {
          name: logicalName(id),
          vni,
          replication: 'source_node',
          bindings: mine.toSorted(),
          macs: macs.map(({ mac, tunnelIp }) => `${mac} ${tunnelIp}`).toSorted(),
          flood: flood.length > 0 ? [['unknown-dst', [...new Set(flood)].toSorted()]] : [],
        },
      ]
    })
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

const theirs = (state: TorSeen): unknown => {
  const uuid = state.logical.get('operator')?.uuid ?? ''
  return [
    state.logical.get('operator'),
    state.ports.filter(({ bindings }) => bindings.get(7) === uuid),
    state.unicast.get(uuid),
  ]
}

test('a plan carried out stands and plans to nothing; what is theirs is as it was', {
  skip,
  timeout: 60_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(wantArb, { minLength: 1, maxLength: 4 }), async (wants) => {
      await reset()
      const before = theirs(seen())
      for (const [i, want] of wants.entries()) {
        // A network that is refused keeps what it had: take it away first, so that the oracle need not remember.
        if (i > 0) await client.transact(planTor({ ...want, networks: [] }, seen()).ops)
        const { ops, cut } = planTor(want, seen())
        assert.equal(cut, false)
        await client.transact(ops)
        assert.deepEqual(ours(seen()), expected(want))
        assert.deepEqual(planTor(want, seen()).ops, [])
        const [port] = theirs(seen()) as unknown[]
        assert.ok(port)
      }
      assert.deepEqual(planTor({ version: 1, switch: 'tor1', networks: [] }, seen()).cut, false)
      await client.transact(planTor({ version: 1, switch: 'tor1', networks: [] }, seen()).ops)
      assert.deepEqual(ours(seen()), [])
      assert.deepEqual(theirs(seen()), before)
    }),
    { numRuns: 60 },
  )
})

test('from any want to any other in one transaction, and cut into many the same', {
  skip,
  timeout: 60_000,
}, async () => {
  const clean = wantArb.map((want) => ({
    ...want,
    networks: want.networks.map((network, i) => ({ ...network, vni: 100 + ((i + network.vni) % 2 ? i : 9 - i) })),
  }))
  await fc.assert(
    fc.asyncProperty(clean, clean, async (one, other) => {
      await reset()
      await client.transact(planTor(one, seen()).ops)
      await client.transact(planTor(other, seen()).ops)
      assert.deepEqual(ours(seen()), expected(other))
      for (let rounds = 0; ; rounds++) {
        const { ops, networks, cut } = planTor(one, seen(), { most: 1 })
        if (ops.length === 0) break
        assert.ok(networks.length === 1 && rounds < 20, `${networks} in round ${rounds}, cut ${cut}`)
        await client.transact(ops)
      }
      assert.deepEqual(ours(seen()), expected(one))
    }),
    { numRuns: 60 },
  )
})

test('clashes are named, and the rest of the network is written', { skip }, async () => {
  await reset()
  const base = { macs: [], flood: [] }
  const bindings = [7, 8].map((vlan) => ({ port: 'p1', vlan }))
  const want: TorWant = {
    version: 1,
    switch: 'tor1',
    networks: [
      { ...base, id: 'a', vni: 100, bindings },
      { ...base, id: 'b', vni: 7, bindings: [] },
      {
        ...base,
        id: 'c',
        vni: 101,
        bindings: [
          { port: 'p1', vlan: 8 },
          { port: 'p9', vlan: 1 },
        ],
      },
    ],
  }
  assert.deepEqual(planTor(want, seen()).problems, [
    { network: 'a', reason: 'vlan_taken', facts: { port: 'p1', vlan: 7, holder: 'operator' } },
    { network: 'b', reason: 'vni_taken', facts: { vni: 7, holder: 'operator' } },
    { network: 'c', reason: 'vlan_taken', facts: { port: 'p1', vlan: 8, holder: 'deuteron-a' } },
    { network: 'c', reason: 'port_missing', facts: { port: 'p9' } },
  ])
  await client.transact(planTor(want, seen()).ops)
  assert.deepEqual(ours(seen()), expected(want))
  const elsewhere = planTor({ ...want, switch: 'tor9' }, seen())
  assert.deepEqual(
    [elsewhere.ops, elsewhere.problems.map(({ reason }) => reason)],
    [[], Array(3).fill('switch_missing')],
  )
})

test('an endpoint of the other IP version is left out and named; an address is one however it is written', {
  skip,
}, async () => {
  await reset()
  const six = { macs: [{ mac: '02:00:00:00:00:0b', tunnelIp: '2001:db8::3' }], flood: ['192.0.2.3', '2001:db8::3'] }
  const network = { id: 'a', vni: 100, bindings: [{ port: 'p1', vlan: 8 }], ...six }
  const want: TorWant = { version: 1, switch: 'tor1', networks: [network] }
  const { ops, problems } = planTor(want, seen())
  const facts = { endpoints: '2001:db8::3', tunnel_ips: '192.0.2.1' }
  assert.deepEqual(problems, [{ network: 'a', reason: 'endpoint_unreachable', facts }])
  await client.transact(ops)
  assert.deepEqual(ours(seen()), expected({ ...want, networks: [{ ...network, macs: [], flood: ['192.0.2.3'] }] }))
  assert.deepEqual(planTor(want, seen()).ops, [])

  await client.transact([
    mutate('Physical_Switch', [['name', '==', 'tor1']], ['tunnel_ips', 'insert', ['2001:db8::1']]),
    insert('Physical_Locator', { encapsulation_type: 'vxlan_over_ipv4', dst_ip: '2001:DB8:0::3' }, 'at'),
    insert('Ucast_Macs_Remote', {
      MAC: '02:00:00:00:00:0b',
      logical_switch: seen().logical.get('deuteron-a')?.uuid ?? '',
      locator: named('at'),
    }),
  ])
  const both = planTor(want, seen())
  assert.deepEqual(both.problems, [])
  assert.ok(!JSON.stringify(both.ops).includes('Ucast_Macs_Remote'), 'the row that is there is the one')
  await client.transact(both.ops)
  assert.deepEqual(planTor(want, seen()).ops, [])
})

test('what the ToR learned for a network, and copies of a row, go with it', { skip }, async () => {
  await reset()
  const network = {
    id: 'a',
    vni: 100,
    bindings: [{ port: 'p1', vlan: 8 }],
    macs: [{ mac: '02:00:00:00:00:0A', tunnelIp: '192.0.2.3' }],
    flood: ['192.0.2.3'],
  }
  const want: TorWant = { version: 1, switch: 'tor1', networks: [network] }
  await client.transact(planTor(want, seen()).ops)
  assert.deepEqual(planTor(want, seen()).ops, [], 'upper case is the same address')
  const uuid = seen().logical.get('deuteron-a')?.uuid ?? ''
  const at = seen().locators.get('192.0.2.3') ?? ''
  const row = { MAC: '02:00:00:00:00:0a', logical_switch: uuid, locator: at }
  await client.transact([
    insert('Ucast_Macs_Remote', row),
    insert('Ucast_Macs_Local', { ...row, MAC: '02:00:00:00:00:0b' }),
  ])
  const [first] = planTor(want, seen()).ops
  assert.equal(planTor(want, seen()).ops.length, 1)
  assert.equal(first?.op, 'delete')
  await client.transact(planTor({ ...want, networks: [] }, seen()).ops)
  assert.deepEqual(ours(seen()), [])
  assert.equal(seen().locators.has('192.0.2.3'), false, 'the locator nobody names is gone')
})

test('each ToR wants what is behind the others, and nothing once its last port is gone', () => {
  const tors = ['t1', 't2']
  const ips = { t1: '192.0.2.1', t2: '192.0.2.2' }
  const at = fc.oneof(
    fc.record({ tor: fc.constantFrom(...tors), port: fc.constantFrom('p1', 'p2') }),
    fc.record({ tunnelIp: fc.constantFrom('192.0.2.3', '192.0.2.4') }),
  )
  const spanned: fc.Arbitrary<SpannedNetwork> = fc.record({
    id: fc.constant('n'),
    vni: fc.constant(5),
    vlans: fc.constant({ t1: 101, t2: 202 }),
    ports: fc.uniqueArray(fc.record({ mac: macArb, at }), { selector: ({ mac }) => mac, maxLength: 8 }),
  })
  fc.assert(
    fc.property(spanned, (network) => {
      for (const tor of ['t1', 't2'] as const) {
        const [wanted] = wantOf(tor, ips, [network]).networks
        const here = network.ports.filter((port) => port.at.tor === tor)
        if (here.length === 0) return assert.equal(wanted, undefined)
        assert.ok(wanted)
        assert.ok(wanted.bindings.every(({ vlan }) => vlan === network.vlans[tor]))
        assert.equal(wanted.macs.length + here.length, network.ports.length, 'each address is on one side')
        assert.ok(![...wanted.flood, ...wanted.macs.map((mac) => mac.tunnelIp)].includes(ips[tor]), 'never to itself')
        assert.deepEqual(new Set(wanted.flood), new Set(wanted.macs.map(({ tunnelIp }) => tunnelIp)))
      }
    }),
  )
})
