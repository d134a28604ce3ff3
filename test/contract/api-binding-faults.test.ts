/** What can be wrong with a binding, one fault a row, and what the API says: the table of docs/design/binding.md, row by row. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { mechanismDrivers } from '#drivers/index.ts'
import { silentLogger } from '#kernel/log.ts'
import type { MechanismDriver } from '#core/contracts.ts'
import { nearest } from '#extensions/binding/remedies.ts'
import type { BindingAttempt } from '#model/context.ts'
import pg from 'pg'
import { silence } from '../lib/agents.ts'
import { easyDriver, hostOn, networkWith, portOn, type Seen, stored, torOver } from '../lib/binding.ts'
import { answered, refused } from '../lib/refused.ts'
import { type TestServer, testServer } from '../lib/server.ts'

/** `profile: {fail: 'throw' | 'hang'}` makes these do so; else they leave the port to the others. */
const failing = easyDriver('failing', {
  bind: ({ port: { profile } }) => {
    if (profile['fail'] === 'throw') throw new Error('out of order')
    return { refused: 'binds_nothing', facts: {}, remedy: 'Nothing.' }
  },
})
const asking = easyDriver('asking', {
  bind: ({ port: { profile } }, outside) =>
    profile['fail'] === 'hang' && outside === undefined
      ? { vif_type: 'ovs', vif_details: {} }
      : { refused: 'binds_nothing', facts: {}, remedy: 'Nothing.' },
  ask: () => sleep(60_000, undefined, { ref: false }),
})

let server: TestServer
before(async () => {
  const named = (name: string): MechanismDriver => mechanismDrivers(silentLogger).get(name) as MechanismDriver
  const drivers = [failing, asking, ...['openvswitch', 'sriovnicswitch', 'macvtap', 'vtep'].map(named)]
  const vlans = (physical_network: string, last: number) => ({ physical_network, range: { first: 1, last } })
  const settings = { networkVlanRanges: [vlans('rack1', 1), vlans('rack2', 9), vlans('rack3', 9)] }
  server = await testServer({ drivers, settings })
  await hostOn(server, 'dead', [])
  await silence(server, 'dead')
  await hostOn(server, 'alive', [])
  await hostOn(server, 'full', ['rack1'], false)
  await hostOn(server, 'cut', ['rack2'], false)
  await torOver(server, 'tor1', 'rack1', ['full'])
  await torOver(server, 'tor2', 'rack2', ['cut'], 'connection refused')
})
after(() => server.close())

interface Fault {
  readonly fault: string
  /** Who refuses for that reason. */
  readonly driver: string
  readonly reason: string
  readonly host: string
  readonly network?: Readonly<Record<string, unknown>>
  readonly port?: Readonly<Record<string, unknown>>
  readonly arrange?: () => Promise<unknown>
}
const FAULTS: readonly Fault[] = [
  { fault: 'no agent', driver: 'openvswitch', reason: 'agent_absent', host: 'nowhere' },
  { fault: 'dead agent', driver: 'openvswitch', reason: 'agent_dead', host: 'dead' },
  {
    fault: 'physical network not mapped',
    driver: 'openvswitch',
    reason: 'physnet_not_mapped',
    host: 'alive',
    network: { 'provider:network_type': 'vlan', 'provider:physical_network': 'rack3' },
  },
  {
    fault: 'no tunnel of the type',
    driver: 'openvswitch',
    reason: 'tunnel_type_unsupported',
    host: 'alive',
    network: { 'provider:network_type': 'geneve' },
  },
  {
    fault: 'vnic_type that no driver binds',
    driver: 'openvswitch',
    reason: 'vnic_unsupported',
    host: 'alive',
    port: { 'binding:vnic_type': 'remote-managed' },
  },
  {
    fault: 'no VLAN left on the switch',
    driver: 'vtep',
    reason: 'segment_ids_exhausted',
    host: 'full',
    arrange: () =>
      server.admin.make('network', { 'provider:network_type': 'vlan', 'provider:physical_network': 'rack1' }),
  },
  { fault: 'switch unreachable', driver: 'vtep', reason: 'tor_unreachable', host: 'cut' },
  {
    fault: 'no switch above',
    driver: 'vtep',
    reason: 'tor_absent',
    host: 'alive',
    network: {},
    port: { 'binding:vnic_type': 'macvtap' },
  },
  {
    fault: 'driver throws',
    driver: 'failing',
    reason: 'driver_failed',
    host: 'nowhere',
    port: { 'binding:profile': { fail: 'throw' } },
  },
  {
    fault: 'driver hears nothing',
    driver: 'asking',
    reason: 'driver_timed_out',
    host: 'nowhere',
    port: { 'binding:profile': { fail: 'hang' } },
  },
  {
    fault: 'bandwidth of nobody',
    driver: 'openvswitch',
    reason: 'provider_not_responsible',
    host: 'alive',
    port: { 'binding:profile': { allocation: { group: '6f1895f0-0000-4000-8000-000000000001' } } },
  },
]

for (const { fault, driver, reason, host, network: of, port: wanted, arrange } of FAULTS) {
  test(`${fault}: 2xx, binding_failed, ${reason}; a further binding is refused with the same`, async () => {
    await arrange?.()
    const network = await networkWith(server, of)
    const values = { device_owner: 'compute:nova', ...wanted }
    const port = await portOn(server, network, host, values)
    assert.deepEqual([port['binding:vif_type'], port['status']], ['binding_failed', 'DOWN'])
    const reply = await server.admin.get(`ports/${port['id']}/binding-explanation`)
    const { last, fresh } = answered(reply, 200).binding_explanation
    for (const { attempts } of [last, fresh]) {
      const found = attempts.find((one: Seen) => one['driver'] === driver && one['reason'] === reason)
      assert.ok(found, JSON.stringify(attempts))
      assert.match(found.remedy, /\.$/)
      assert.ok(found.segment.network_type)
    }
    // Where several things are wrong the one to mend first; that no switch is above is mostly as it should be.
    if (reason !== 'tor_absent') assert.equal(nearest<Seen & BindingAttempt>(fresh.attempts)?.reason, reason)
    const unbound = await portOn(server, network, '', { device_owner: 'compute:nova' })
    const binding = { host, vnic_type: port['binding:vnic_type'], profile: port['binding:profile'] }
    const answer = await server.admin.post(`ports/${unbound['id']}/bindings`, { binding })
    const facts = refused(answer, 'PortBindingError')
    const told = facts['failure'].attempts.find((one: Seen) => one['reason'] === reason)
    assert.match(told.remedy, /\.$/)
    const lines = String(answer.body.NeutronError.detail).split('\n')
    for (const one of facts['failure'].attempts as Seen[]) {
      if (one['result'] !== 'refused') continue
      const said = lines.find((line) => line.startsWith(`${one['driver']} on ${one['segment'].network_type}`))
      assert.ok(said?.endsWith(one['remedy']) && said.includes(`: ${one['reason']}. `), `${one['driver']}: ${lines}`)
    }
    answered(await server.admin.delete(`ports/${port['id']}`), 204)
  })
}

test('a driver that throws does not keep the next from binding', async () => {
  const network = await networkWith(server)
  const port = await portOn(server, network, 'alive', { 'binding:profile': { fail: 'throw' } })
  assert.deepEqual(port['binding:vif_details'].bound_drivers, { 0: 'openvswitch' })
})

for (const [what, bind] of [
  ['a promise', async () => ({ vif_type: 'ovs', vif_details: {} })],
  ['a promise that fails', async () => Promise.reject(new Error('later'))],
  ['nothing', () => undefined],
  ['a text', () => 'ovs'],
  ['a binding without details', () => ({ vif_type: 'ovs' })],
  ['levels that are none', () => ({ next: 'vlan' })],
  ['a refusal without facts', () => ({ refused: 'no' })],
] as const)
  test(`a driver that answers ${what} has failed, and says what`, async () => {
    const odd = easyDriver('odd', { bind: () => bind() as never })
    await using own = await testServer({
      drivers: [odd, mechanismDrivers(silentLogger).get('openvswitch') as MechanismDriver],
    })
    await hostOn(own, 'h', [])
    const network = await networkWith(own)
    const port = await portOn(own, network, 'elsewhere')
    const { binding_explanation: why } = answered(await own.admin.get(`ports/${port['id']}/binding-explanation`), 200)
    const [first] = why.last.attempts
    assert.deepEqual([first.driver, first.reason], ['odd', 'driver_failed'])
    assert.match(first.facts.error, /neither a binding, nor/)
    assert.equal((await portOn(own, network, 'h'))['binding:vif_type'], 'ovs', 'and the next is asked')
  })

test('deadlock of the database: run again, and nobody hears of it', async () => {
  const network = await networkWith(server)
  const [one, two] = [await portOn(server, network, ''), await portOn(server, network, '')]
  const other = new pg.Client({ connectionString: server.databaseUrl })
  await other.connect()
  try {
    // It holds what the bulk wants second, and wants what the bulk holds by then.
    await other.query('begin')
    await other.query("set local deadlock_timeout = '10s'")
    await other.query('select 1 from ports where id = $1 for update', [one['id']])
    const moved = server.admin.put(`ports/${one['id']}`, { port: { 'binding:host_id': 'alive' } })
    await sleep(50)
    await other.query('select 1 from networks where id = $1 for no key update', [network['id']])
    await other.query('commit')
    assert.equal(answered(await moved, 200).port['binding:vif_type'], 'ovs')
    // And a real one: the victim is the server, since the other waits longer before it looks.
    const locked = await deadlocked(other, String(two['id']))
    assert.equal(answered(locked, 200).port['binding:vif_type'], 'ovs')
  } finally {
    await other.end()
  }
  assert.equal((await stored(server, two['id']))['binding_host'], 'alive')
})

/** The port is bound by a driver's transaction that waits for a row whose holder waits for the port. */
async function deadlocked(other: pg.Client, id: string) {
  const own = 'update agents set description = $1 where host = $2'
  await server.database.query(
    `create or replace function wait_for_agent() returns trigger language plpgsql as $$
      begin perform 1 from agents where host = 'alive' for update; return new; end $$`,
  )
  await server.database.query(
    `/* once */ create trigger wait_for_agent before update on ports for each row when (new.binding_host = 'alive') execute function wait_for_agent()`,
  )
  try {
    await other.query('begin')
    await other.query("set local deadlock_timeout = '10s'")
    await other.query(own, ['held', 'alive'])
    const moved = server.admin.put(`ports/${id}`, { port: { 'binding:host_id': 'alive' } })
    await sleep(200)
    await other.query('select 1 from ports where id = $1 for update', [id])
    await other.query('commit')
    return await moved
  } finally {
    await server.database.query('/* once */ drop trigger wait_for_agent on ports')
  }
}

test('the table in docs/design/binding.md is this one', () => {
  const page = readFileSync(new URL('../../docs/design/binding.md', import.meta.url), 'utf8')
  for (const { fault, driver, reason } of FAULTS)
    assert.ok(page.includes(`| ${fault} | ${driver} | \`${reason}\` |`), `${fault}, ${driver}, ${reason}`)
})
