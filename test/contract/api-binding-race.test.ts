/** A hundred at once: whatever the order, a port ends with one binding, and nothing of the others is left. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { dynamicSegments, hostOn, networkWith, portOn, type Seen, stored, torOver } from '../lib/binding.ts'
import { answered } from '../lib/refused.ts'
import { type TestServer, testServer } from '../lib/server.ts'
import { verify } from '../lib/verify.ts'

let server: TestServer
before(async () => {
  const vlans = (physical_network: string) => ({ physical_network, range: { first: 100, last: 109 } })
  server = await testServer({ settings: { networkVlanRanges: [vlans('rack1'), vlans('rack2')], quotaPort: -1 } })
  for (const [host, rack, tor] of [
    ['a', 'rack1', 'tor1'],
    ['b', 'rack2', 'tor2'],
  ] as const) {
    await hostOn(server, host, [rack], false)
    await torOver(server, tor, rack, [host])
  }
  await hostOn(server, 'plain', [])
})
after(async () => {
  assert.deepEqual(await verify(server.core), [])
  // They wait for each other in one order.
  const [row] = await server.database.query<Seen>(
    'select deadlocks from pg_stat_database where datname = current_database()',
  )
  assert.equal(Number(row?.['deadlocks']), 0)
  await server.close()
})

const many = <T>(count: number, one: (index: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, (_, index) => one(index)))

/** Every written generation of the object once, and each at least as new as those that were answered before it. */
async function generationsOf(id: unknown): Promise<number[]> {
  const rows = await server.database.query<Seen>('select generation from change where id = $1 order by generation', [
    id,
  ])
  return rows.map(({ generation }) => Number(generation))
}

test('100 concurrent rebinds of one port to two hosts: one binding, no orphan segment, rising revisions', async () => {
  const network = await networkWith(server)
  const { id } = await portOn(server, network, '')
  const answers = await many(100, async (index) => {
    const reply = await server.admin.put(`ports/${id}`, { port: { 'binding:host_id': index % 2 === 0 ? 'a' : 'b' } })
    const { port } = answered(reply, 200)
    // What is answered is whole: levels and host are of one binding.
    assert.equal(port['binding:host_id'], index % 2 === 0 ? 'a' : 'b')
    assert.equal(port['binding:vif_type'], 'ovs')
    return port.revision_number as number
  })
  const generations = await generationsOf(id)
  assert.deepEqual(
    generations,
    Array.from({ length: generations.length }, (_, index) => index + 1),
  )
  assert.equal(Math.max(...answers), generations.at(-1))
  const row = await stored(server, id)
  assert.equal(row['revision_number'], generations.at(-1))
  const rack = row['binding_host'] === 'a' ? 'rack1' : 'rack2'
  const [segment, ...others] = await dynamicSegments(server, network)
  assert.deepEqual([segment?.['physical_network'], others], [rack, []])
  assert.deepEqual(
    row['binding_levels'].map(({ driver, segment_id }: Seen) => [driver, segment_id === segment?.['id']]),
    [
      ['vtep', false],
      ['openvswitch', true],
    ],
  )
  answered(await server.admin.delete(`ports/${id}`), 204)
  assert.deepEqual(await dynamicSegments(server, network), [])
})

/** Transactions that write a port of this name stay before the end of their COMMIT, with all their locks, while `work` runs. */
async function whileHeld(name: string, work: () => Promise<void>): Promise<void> {
  const { database } = server
  await database.query(`/* once */ create or replace function test_hold() returns trigger language plpgsql as $$
    begin perform pg_advisory_xact_lock_shared(4711); return null; end $$`)
  await database.query(`/* once */ create constraint trigger test_hold after update on ports deferrable initially deferred
    for each row when (new.name = '${name}') execute function test_hold()`)
  const gate = await database.pool.connect()
  try {
    await gate.query('select pg_advisory_lock(4711)')
    await work()
  } finally {
    await gate.query('select pg_advisory_unlock_all()')
    gate.release()
  }
}

test('a binding that is not committed yet keeps no other waiting: same network, same host, same dynamic segment', async () => {
  const network = await networkWith(server)
  const segmentMaker = await portOn(server, network, 'a')
  const names = ['held', ...Array.from({ length: 8 }, () => 'free')]
  for (const host of ['plain', 'a']) {
    const ports = await Promise.all(names.map((name) => portOn(server, network, '', { name })))
    const to = (id: unknown) => server.admin.put(`ports/${id}`, { port: { 'binding:host_id': host } })
    const [held, ...free] = ports.map(({ id }) => id)
    let waiting: Promise<unknown> = Promise.resolve()
    await whileHeld('held', async () => {
      let done = false
      waiting = to(held).then((reply) => {
        done = true
        assert.equal(answered(reply, 200).port['binding:vif_type'], 'ovs')
      })
      while (
        (await server.database.query("select 1 from pg_locks where locktype = 'advisory' and not granted")).length === 0
      )
        await sleep(5)
      for (const reply of await Promise.all(free.map(to)))
        assert.equal(answered(reply, 200).port['binding:vif_type'], 'ovs')
      assert.equal(done, false)
    })
    await waiting
    await server.database.query('/* once */ drop trigger test_hold on ports')
    for (const { id } of ports) answered(await server.admin.delete(`ports/${id}`), 204)
  }
  answered(await server.admin.delete(`ports/${segmentMaker['id']}`), 204)
})

test('ports that come and go below one switch share its VLAN while any is there, and leave none', async () => {
  const network = await networkWith(server)
  const lasting = await many(30, async (index) => {
    const { id } = await portOn(server, network, index % 3 === 0 ? 'b' : 'a')
    if (index % 2 === 0) {
      answered(await server.admin.delete(`ports/${id}`), 204)
      return null
    }
    answered(
      await server.admin.put(`ports/${id}`, { port: { 'binding:host_id': index % 5 === 0 ? 'plain' : 'a' } }),
      200,
    )
    return id
  })
  const used = new Set<string>()
  for (const id of lasting)
    if (id !== null) for (const one of (await stored(server, id))['binding_levels'].slice(1)) used.add(one.segment_id)
  const made = await dynamicSegments(server, network)
  assert.deepEqual(made.map((one) => one['id']).sort(), [...used].sort())
  assert.equal(new Set(made.map((one) => one['physical_network'])).size, made.length, 'a switch has two VLANs for it')
  await many(lasting.length, async (index) => {
    if (lasting[index]) answered(await server.admin.delete(`ports/${lasting[index]}`), 204)
  })
  assert.deepEqual(await dynamicSegments(server, network), [])
})
