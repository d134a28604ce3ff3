/** Bindings of a port to further hosts: as Neutron has them, one active always, and none forgotten. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { keptByModel } from '#cli/db-verify.ts'
import { SYSTEM } from '#core/hosts/agents.ts'
import { operateInternally } from '#core/operation.ts'
import { recordBindingsProven } from '#core/binding/waiting.ts'
import { expireBindings } from '#extensions/port-bindings/lease.ts'
import { createRegistry } from '#kernel/metrics.ts'
import { inTransaction } from '#store/transaction.ts'
import { findProblems } from '#store/verify.ts'
import { pino } from 'pino'
import { leasesOf } from '../../bin/leases.ts'
import { hostReports } from '../lib/agents.ts'
import { dynamicSegments, hostOn, networkWith, torOver } from '../lib/binding.ts'
import { eventsOf, outboxRig } from '../lib/outbox.ts'
import { answered, refused } from '../lib/refused.ts'
import { type TestServer, testServer } from '../lib/server.ts'
import { verify } from '../lib/verify.ts'

type Item = Record<string, any>

let server: TestServer
let network: Item
before(async () => {
  const vlans = (physical_network: string) => ({ physical_network, range: { first: 100, last: 109 } })
  const networkVlanRanges = ['rack1', 'rack2'].map(vlans)
  server = await testServer({ settings: { quotaPort: -1, bindingLease: 3600, networkVlanRanges } })
  for (const host of ['h1', 'h2', 'h3']) await hostReports(server, host)
  network = await server.admin.make('network', {})
  await server.admin.make('subnet', { network_id: network['id'], ip_version: 4, cidr: '10.0.0.0/16' })
})
after(async () => {
  assert.deepEqual(await problems(), [])
  assert.deepEqual(await verify(server.core), [])
  await server.close()
})

const problems = (): Promise<string[]> =>
  inTransaction(server.database, async (tx) => ({
    value: (await findProblems(tx, keptByModel(), false)).map((one) => one.says),
  }))

const serverPort = (more: Item = {}): Promise<Item> =>
  server.admin.make('port', {
    network_id: network['id'],
    device_owner: 'compute:nova',
    device_id: randomUUID(),
    'binding:host_id': 'h1',
    ...more,
  })
const at = ({ id }: Item, rest = ''): string => `ports/${id}/bindings${rest}`
const list = async (port: Item, query = ''): Promise<Item[]> =>
  answered(await server.admin.get(at(port, query)), 200).bindings
const bindTo = async (port: Item, host: string, more: Item = {}): Promise<Item> =>
  answered(await server.admin.post(at(port), { binding: { host, ...more } }), 201).binding
const states = async (port: Item): Promise<string[]> =>
  (await list(port)).map(({ host, status, vif_type }) => `${host} ${status} ${vif_type}`)
const seen = async ({ id }: Item): Promise<Item> => answered(await server.admin.get(`ports/${id}`), 200).port

describe('what is asked', () => {
  test('a port has its active binding; a further one waits and can be looked at', async () => {
    const port = await serverPort()
    const made = await bindTo(port, 'h2', { profile: { migrating_to: 'h2' }, project_id: 'p' })
    assert.deepEqual(Object.keys(made).sort(), ['host', 'profile', 'status', 'vif_details', 'vif_type', 'vnic_type'])
    assert.deepEqual(
      [made['host'], made['status'], made['vif_type'], made['vnic_type']],
      ['h2', 'INACTIVE', 'ovs', 'normal'],
    )
    assert.deepEqual(made['profile'], { migrating_to: 'h2' })
    assert.deepEqual(answered(await server.admin.get(at(port, '/h2')), 200).binding, made)
    assert.deepEqual(await states(port), ['h1 ACTIVE ovs', 'h2 INACTIVE ovs'])
    assert.equal((await seen(port))['binding:host_id'], 'h1')
    assert.ok((await seen(port))['revision_number'] > port['revision_number'])
  })

  test('filters, fields, order and pages', async () => {
    const port = await serverPort()
    await bindTo(port, 'h3')
    await bindTo(port, 'h2')
    const hosts = async (query: string): Promise<unknown[]> => (await list(port, query)).map(({ host }) => host)
    assert.deepEqual(await hosts(''), ['h1', 'h2', 'h3'])
    assert.deepEqual(await hosts('?status=INACTIVE'), ['h2', 'h3'])
    assert.deepEqual(await hosts('?status=INACTIVE&host=h3&host=h1'), ['h3'])
    assert.deepEqual(await hosts('?sort_key=host&sort_dir=desc'), ['h3', 'h2', 'h1'])
    assert.deepEqual(await hosts('?limit=1&marker=h1'), ['h2'])
    assert.deepEqual(await list(port, '?fields=host&status=ACTIVE'), [{ host: 'h1' }])
    assert.deepEqual(answered(await server.admin.get(at(port, '/h2?fields=status')), 200).binding, {
      status: 'INACTIVE',
    })
    refused(await server.admin.get(at(port, '?profile=x')), 'HTTPBadRequest', /invalid attribute for filtering/)
  })

  test('what is refused, in the words of Neutron', async () => {
    const port = await serverPort()
    await bindTo(port, 'h2')
    const say = (host: string, rest: string): string => `Binding for port ${port['id']} ${rest.replace('%', host)}`
    for (const host of ['h1', 'h2']) {
      const again = await server.admin.post(at(port), { binding: { host } })
      refused(again, 'PortBindingAlreadyExists', say(host, 'on host % already exists.'))
    }
    refused(
      await server.admin.put(at(port, '/h1/activate')),
      'PortBindingAlreadyActive',
      say('h1', 'on host % is already active.'),
    )
    for (const reply of [
      await server.admin.get(at(port, '/hx')),
      await server.admin.delete(at(port, '/hx')),
      await server.admin.put(at(port, '/hx'), { binding: { profile: {} } }),
      await server.admin.put(at(port, '/hx/activate')),
    ])
      refused(reply, 'PortBindingNotFound', say('hx', 'for host % could not be found.'))
    refused(await server.admin.put(at(port, '/h2'), { binding: { host: 'h1' } }), 'PortBindingAlreadyExists')
    refused(await server.admin.post(at(port), { binding: {} }), 'HTTPBadRequest', /host/)
    refused(await server.admin.post(at(port), { binding: { host: '' } }), 'HTTPBadRequest')
    refused(await server.admin.post(at(port), { binding: { host: 'h3', status: 'ACTIVE' } }), 'HTTPBadRequest')
    refused(await server.admin.post(at(port), { binding: { host: 'h3', vnic_type: 'odd' } }), 'HTTPBadRequest')
    refused(await server.admin.post(at({ id: randomUUID() }), { binding: { host: 'h3' } }), 'PortNotFound')
    assert.deepEqual(await states(port), ['h1 ACTIVE ovs', 'h2 INACTIVE ovs'])
  })

  test('a host where nobody binds is refused with the reasons, and leaves nothing', async () => {
    const port = await serverPort()
    const facts = refused(await server.admin.post(at(port), { binding: { host: 'no-agent' } }), 'PortBindingError')
    assert.equal(facts['reason'], 'binding_failed')
    assert.ok(
      facts['failure'].attempts.every((one: Item) => one['result'] === 'refused'),
      JSON.stringify(facts),
    )
    await bindTo(port, 'h2')
    refused(await server.admin.put(at(port, '/h2'), { binding: { host: 'no-agent' } }), 'PortBindingError')
    refused(await server.admin.put(at(port, '/h1'), { binding: { host: 'no-agent' } }), 'PortBindingError')
    assert.deepEqual(await states(port), ['h1 ACTIVE ovs', 'h2 INACTIVE ovs'])
  })

  test('only ports of servers are bound so, and only by administrators', async () => {
    const port = await serverPort({ device_owner: 'network:other' })
    const message = `Bad port request: Invalid port ${port['id']}. Operation only valid on compute ports.`
    refused(await server.admin.get(at(port)), 'BadRequest', message)
    refused(await server.admin.post(at(port), { binding: { host: 'h2' } }), 'BadRequest', message)
    refused(await server.admin.put(at(port, '/h2/activate')), 'BadRequest', message)
    assert.deepEqual(await states(await serverPort({ device_owner: 'manila:share' })), ['h1 ACTIVE ovs'])
    const owner = server.as('tenant')
    const own = await server.admin.make('port', {
      network_id: network['id'],
      project_id: 'tenant',
      device_owner: 'compute:az',
    })
    assert.equal((await owner.get(at(own))).status, 403)
    assert.equal((await server.as('stranger').get(at(own))).status, 404)
  })
})

describe('changes', () => {
  test('a binding that waits is bound anew as it is wanted now, and moves', async () => {
    const port = await serverPort()
    await bindTo(port, 'h2')
    const put = await server.admin.put(at(port, '/h2'), { binding: { profile: { a: 1 } } })
    assert.deepEqual(answered(put, 200).binding.profile, { a: 1 })
    const moved = answered(await server.admin.put(at(port, '/h2'), { binding: { host: 'h3' } }), 200).binding
    assert.deepEqual([moved.host, moved.profile], ['h3', { a: 1 }])
    assert.deepEqual(await states(port), ['h1 ACTIVE ovs', 'h3 INACTIVE ovs'])
  })

  test('the active binding is the port’s own', async () => {
    const port = await serverPort()
    const put = await server.admin.put(at(port, '/h1'), { binding: { profile: { a: 1 } } })
    assert.equal(answered(put, 200).binding.status, 'ACTIVE')
    assert.deepEqual((await seen(port))['binding:profile'], { a: 1 })
    answered(await server.admin.delete(at(port, '/h1')), 204)
    const { 'binding:host_id': host, 'binding:vif_type': vif_type, status } = await seen(port)
    assert.deepEqual([host, vif_type, status], ['', 'unbound', 'DOWN'])
  })

  test('activation swaps: the port is where the binding was, and its former one waits unbound', async () => {
    const port = await serverPort({ 'binding:profile': { from: 1 } })
    await bindTo(port, 'h2', { profile: { to: 2 } })
    await server.database.query("update ports set status = 'ACTIVE' where id = $1", [port['id']])
    const active = answered(await server.admin.put(at(port, '/h2/activate'), { port_id: port['id'] }), 200)
    assert.deepEqual([active.host, active.status, active.vif_type, active.profile], ['h2', 'ACTIVE', 'ovs', { to: 2 }])
    const now = await seen(port)
    assert.deepEqual([now['binding:host_id'], now['status'], now['binding:profile']], ['h2', 'DOWN', { to: 2 }])
    assert.deepEqual(await states(port), ['h2 ACTIVE ovs', 'h1 INACTIVE unbound'])
    // And back: what waits unbound is bound then.
    answered(await server.admin.put(at(port, '/h1/activate')), 200)
    assert.deepEqual(await states(port), ['h1 ACTIVE ovs', 'h2 INACTIVE unbound'])
    answered(await server.admin.delete(at(port, '/h2')), 204)
    assert.deepEqual(await states(port), ['h1 ACTIVE ovs'])
  })

  test('every write of one is a change row of its own and one of the port', async () => {
    const port = await serverPort()
    await bindTo(port, 'h2')
    answered(await server.admin.put(at(port, '/h2/activate')), 200)
    answered(await server.admin.delete(at(port, '/h1')), 204)
    const rows = await server.database.query<{ kind: string; op: string; host: string }>(
      `/* once */ select kind, op, coalesce(after, before)->>'host' as host, xid, seq from change
        where (kind = 'port' and id = $1) or (kind = 'port_binding' and coalesce(after, before)->>'port_id' = $1::text) order by xid, seq`,
      [port['id']],
    )
    assert.deepEqual(
      rows.map(({ kind, op, host }) => `${kind} ${op} ${host ?? ''}`.trim()),
      [
        'port create',
        'port_binding create h2',
        'port update',
        'port_binding update h1',
        'port update',
        'port_binding delete h1',
        'port update',
      ],
    )
  })

  test('bindings that wait go with their port, and when it is bound elsewhere by hand', async () => {
    const count = async (port: Item): Promise<number> =>
      (await server.database.query('select 1 from port_bindings where port_id = $1', [port['id']])).length
    const gone = await serverPort()
    await bindTo(gone, 'h2')
    answered(await server.admin.delete(`ports/${gone['id']}`), 204)
    assert.equal(await count(gone), 0)
    for (const change of [{ 'binding:host_id': 'h2' }, { 'binding:host_id': '' }, { device_owner: '' }]) {
      const port = await serverPort()
      await bindTo(port, 'h2')
      await bindTo(port, 'h3')
      answered(await server.admin.put(`ports/${port['id']}`, { port: { name: 'same' } }), 200)
      assert.equal(await count(port), 2)
      answered(await server.admin.put(`ports/${port['id']}`, { port: change }), 200)
      assert.equal(await count(port), 0, JSON.stringify(change))
    }
  })
})

describe('below switches', () => {
  before(async () => {
    for (const rack of ['rack1', 'rack2']) {
      await hostOn(server, `in-${rack}`, [rack], false)
      await torOver(server, `tor-${rack}`, rack, [`in-${rack}`])
    }
  })

  test('segments are made for bindings that wait, go along when they are activated, and end with them', async () => {
    const within = await networkWith(server)
    const racks = async (): Promise<string[]> =>
      (await dynamicSegments(server, within)).map((one) => String(one['physical_network'])).toSorted()
    const port = await serverPort({ network_id: within['id'], 'binding:host_id': 'in-rack1' })
    assert.deepEqual(await racks(), ['rack1'])
    await bindTo(port, 'in-rack2')
    assert.deepEqual(await racks(), ['rack1', 'rack2'])
    answered(await server.admin.put(at(port, '/in-rack2/activate')), 200)
    assert.deepEqual(await racks(), ['rack1', 'rack2'], 'the host that was left delivers meanwhile')
    answered(await server.admin.put(at(port, '/in-rack1/activate')), 200)
    assert.deepEqual(await racks(), ['rack1', 'rack2'])
    answered(await server.admin.delete(at(port, '/in-rack2')), 204)
    assert.deepEqual(await racks(), ['rack1'], 'its end ends that')
    await bindTo(port, 'in-rack2')
    answered(await server.admin.put(at(port, '/in-rack2/activate')), 200)
    answered(await server.admin.put(at(port, '/in-rack1/activate')), 200)
    answered(await server.admin.put(at(port, '/in-rack2'), { binding: {} }), 200)
    assert.deepEqual(await racks(), ['rack1', 'rack2'], 'what waited unbound is bound by a PUT')
    answered(await server.admin.put(at(port, '/in-rack2'), { binding: { profile: { a: 1 } } }), 200)
    assert.deepEqual(await racks(), ['rack1', 'rack2'])
    answered(await server.admin.delete(at(port, '/in-rack2')), 204)
    assert.deepEqual(await racks(), ['rack1'])
    await bindTo(port, 'in-rack2')
    answered(await server.admin.delete(`ports/${port['id']}`), 204)
    assert.deepEqual(await racks(), [])
  })
})

describe('many at once', () => {
  test('100 activations between two hosts leave one active binding and one that waits', async () => {
    const port = await serverPort()
    await bindTo(port, 'h2')
    const replies = await Promise.all(
      Array.from({ length: 100 }, (_, n) => server.admin.put(at(port, `/${n % 2 ? 'h1' : 'h2'}/activate`))),
    )
    const taken = replies.filter(({ status }) => status === 200).length
    for (const reply of replies) if (reply.status !== 200) refused(reply, 'PortBindingAlreadyActive')
    assert.ok(taken >= 1)
    const [active, waiting, ...more] = await list(port)
    assert.deepEqual([active?.['host'], waiting?.['host']].sort(), ['h1', 'h2'])
    assert.deepEqual([active?.['status'], waiting?.['status'], more], ['ACTIVE', 'INACTIVE', []])
    // Each of them is two change rows, and revisions count them.
    const revisions = await server.database.query<{ generation: number }>(
      "/* once */ select generation from change where kind = 'port' and id = $1 order by generation",
      [port['id']],
    )
    assert.deepEqual(
      revisions.map(({ generation }) => Number(generation)),
      Array.from({ length: taken + 2 }, (_, n) => n + 1),
    )
  })

  test('activation, deletion, binding and moving by hand at once: never two, never none', async () => {
    const port = await serverPort()
    const hosts = ['h1', 'h2', 'h3']
    const some = (n: number): string => hosts[n % 3] as string
    const acts = [
      (n: number) => server.admin.post(at(port), { binding: { host: some(n) } }),
      (n: number) => server.admin.put(at(port, `/${some(n)}/activate`)),
      (n: number) => server.admin.delete(at(port, `/${some(n)}`)),
      (n: number) => server.admin.put(`ports/${port['id']}`, { port: { 'binding:host_id': some(n) } }),
    ]
    const replies = await Promise.all(Array.from({ length: 80 }, (_, n) => acts[(n * 7 + (n >> 2)) % 4]?.(n)))
    assert.deepEqual(
      replies.filter((one) => (one?.status ?? 500) >= 500).map((one) => one?.text),
      [],
    )
    const all = await list(port)
    assert.equal(all.filter(({ status }) => status === 'ACTIVE').length, 1)
    assert.equal(new Set(all.map(({ host }) => host)).size, all.length)
    assert.deepEqual(await problems(), [])
  })

  test('an activation that breaks off leaves everything as it was', async () => {
    const port = await serverPort()
    await bindTo(port, 'h2')
    const before = [await list(port), await seen(port)]
    for (const table of ['port_bindings', 'ports', 'change']) {
      await server.database.query(`/* once */ create function break_off() returns trigger language plpgsql as
        $$ begin raise exception 'the server dies here' using errcode = '57P01'; end $$`)
      await server.database.query(
        `/* once */ create trigger break_off before insert or update on ${table} for each row execute function break_off()`,
      )
      const reply = await server.admin.put(at(port, '/h2/activate'))
      await server.database.query('/* once */ drop function break_off cascade')
      assert.ok(reply.status >= 500, table)
      assert.deepEqual([await list(port), await seen(port)], before, table)
    }
    answered(await server.admin.put(at(port, '/h2/activate')), 200)
  })
})

describe('the lease', () => {
  const expire = (): Promise<readonly { port_id: string; host: string }[]> =>
    operateInternally(server.core, SYSTEM, 'leases of bindings', (unit) => expireBindings(unit.context))
  const late = (port: Item, host: string): Promise<unknown> =>
    server.database.query(
      "update port_bindings set expires_at = now() - interval '1 s' where port_id = $1 and host = $2",
      [port['id'], host],
    )

  test('ends bindings that nobody writes; those written are kept, the active one always', async () => {
    const port = await serverPort()
    await bindTo(port, 'h2')
    await bindTo(port, 'h3')
    assert.deepEqual(await expire(), [])
    for (const host of ['h2', 'h3']) await late(port, host)
    answered(await server.admin.put(at(port, '/h3'), { binding: { profile: {} } }), 200)
    assert.deepEqual(
      (await expire()).map(({ port_id, host }) => [port_id, host]),
      [[port['id'], 'h2']],
    )
    assert.deepEqual(await states(port), ['h1 ACTIVE ovs', 'h3 INACTIVE ovs'])
    const [row] = await server.database.query<{ actor: string; op: string }>(
      "/* once */ select actor, op from change where kind = 'port_binding' order by xid desc, seq desc limit 1",
    )
    assert.deepEqual(row, { actor: 'deuteron', op: 'delete' })
  })

  test('what it ended is counted, and logged with port and host', async () => {
    const port = await serverPort()
    await bindTo(port, 'h2')
    await late(port, 'h2')
    const lines: Item[] = []
    const log = pino({ level: 'warn' }, { write: (line: string) => void lines.push(JSON.parse(line)) })
    const registry = createRegistry()
    await leasesOf({ core: server.core, registry, log })()
    assert.match(await registry.metrics(), /^deuteron_port_bindings_expired_total 1$/m)
    assert.deepEqual(
      lines.map(({ port_id, host }) => [port_id, host]),
      [[port['id'], 'h2']],
    )
  })

  test('two servers that look at once find each one once', async () => {
    const port = await serverPort()
    for (const host of ['h2', 'h3']) {
      await bindTo(port, host)
      await late(port, host)
    }
    const found = (await Promise.all([expire(), expire(), expire()])).flat()
    assert.deepEqual(found.map(({ host }) => host).sort(), ['h2', 'h3'])
  })
})

test('a binding that waits for the port’s own host is found and put right', async () => {
  const port = await serverPort()
  await bindTo(port, 'h2')
  await inTransaction(server.database, async (tx) => {
    await tx.query("update port_bindings set host = 'h1' where port_id = $1", [port['id']])
    const found = await findProblems(tx, keptByModel(), true)
    assert.deepEqual(
      found.map(({ says }) => says),
      [`port ${port['id']} is bound to h1, and a binding to that host waits as well`],
    )
    assert.deepEqual(await findProblems(tx, keptByModel(), false), [])
    return { value: undefined, commit: false }
  })
})

test('Nova hears that the target is ready when its flows are proven', async () => {
  const rig = await outboxRig(server)
  const port = await serverPort()
  await bindTo(port, 'h2')
  await rig.derive()
  assert.deepEqual(await eventsOf(server, port['id']), [])
  const ready = [{ id: port['id'], host: 'h2' }]
  assert.deepEqual(await recordBindingsProven(server.core, ready, true), [port['id']])
  assert.deepEqual(await recordBindingsProven(server.core, ready, true), [])
  await rig.derive()
  assert.deepEqual(
    (await eventsOf(server, port['id'])).map(({ name }) => name),
    ['network-vif-plugged'],
  )
})
