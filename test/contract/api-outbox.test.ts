/** The outbox through the API: seen and steered by administrators, every wish on the record. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createOutput, type Output } from '#cli/output.ts'
import { outboxCommand } from '#cli/outbox.ts'
import type { Builtin } from '#identity/builtin.ts'
import { type NovaStub, novaStub } from '../lib/nova-stub.ts'
import { outboxRig, type Plugged, proves, type Rig, serverPort } from '../lib/outbox.ts'
import { answered } from '../lib/refused.ts'
import { type Client, type TestServer, testServer } from '../lib/server.ts'

let server: TestServer
let nova: NovaStub
let rig: Rig
let one: Plugged

before(async () => {
  server = await testServer()
  nova = await novaStub()
  rig = await outboxRig(server)
  const network = String((await server.admin.make('network', {}))['id'])
  await server.admin.make('subnet', { network_id: network, ip_version: 4, cidr: '10.0.0.0/16' })
  one = await serverPort(server, network)
  await proves(server, [one.port])
  await rig.derive()
})
after(async () => {
  await nova[Symbol.asyncDispose]()
  await server.close()
})

/** As a follower keeps it. */
const FAILING = {
  change: '1.9.10',
  kind: 'port',
  id: '00000000-0000-4000-8000-000000000001',
  op: 'update',
  generation: 2,
  failures: 4,
  error: 'no cable is free',
  since: '2026-01-01T00:00:00Z',
  at: '2026-01-01T00:01:00Z',
}

const openrcOf = ({ identity, url }: TestServer): Record<string, string> => ({
  OS_AUTH_URL: `${url}/identity/v3`,
  OS_USERNAME: 'admin',
  OS_PASSWORD: (identity as Builtin).adminPassword() ?? '',
  OS_PROJECT_NAME: 'admin',
})

// biome-ignore lint/suspicious/noExplicitAny: answers of every shape.
const list = async (query = ''): Promise<any[]> =>
  answered(await server.admin.get(`outbox-events?subject=${one.port}${query}`), 200).outbox_events
const deliver = async (ms?: number): Promise<void> => {
  await rig.derive()
  await rig.settle(rig.deliverer(rig.nova(nova.url)), ms)
}

test('administrators see what waits and why; others see nothing of it', async () => {
  nova.fault = () => 500
  await deliver(10_000)
  const [event] = await list('&failing=true')
  assert.deepEqual(
    [event.destination, event.name, event.state, event.failing, event.body.server_uuid],
    ['nova', 'network-vif-plugged', 'pending', true, one.server],
  )
  assert.match(event.answer, /broken for a test/)
  assert.deepEqual(answered(await server.admin.get(`outbox-events/${event.id}`), 200).outbox_event.id, event.id)
  const member = server.as('somebody')
  assert.deepEqual(answered(await member.get('outbox-events'), 200).outbox_events, [])
  assert.equal((await member.get(`outbox-events/${event.id}`)).status, 404)
  await server.database.query(`insert into outbox_readers (name, era, xid, seq) values ('driver panel', 1, '7', 8)`)
  const drivers = async (client: Client): Promise<string[]> =>
    answered(await client.get('outbox-drivers'), 200).outbox_drivers.map(({ name }: { name: string }) => name)
  assert.deepEqual([await drivers(server.admin), await drivers(member)], [['panel'], []])
  assert.equal((await member.put(`outbox-events/${event.id}/retry`)).status, 404)
  assert.equal((await member.post('outbox-events/replay', { since: '2026-01-01T00:00:00Z' })).status, 403)
})

test('retried at once, given up, replayed; each on the record', async () => {
  nova.fault = () => 500
  await deliver(60_000)
  const [{ id, attempts }] = await list()
  answered(await server.admin.put(`outbox-events/${id}/retry`), 202)
  await deliver(1)
  assert.ok((await list())[0].attempts > attempts)
  answered(await server.admin.put(`outbox-events/${id}/give-up`), 202)
  await rig.derive()
  assert.equal((await list())[0].state, 'dead')
  nova.fault = null
  await proves(server, [one.port], false)
  await deliver()
  assert.deepEqual(
    nova.taken.map(({ name }) => name),
    ['network-vif-unplugged'],
  )
  answered(await server.admin.post('outbox-events/replay', { since: '2026-01-01T00:00:00Z', destination: 'nova' }), 202)
  await deliver()
  assert.deepEqual(
    nova.taken.map(({ name }) => name),
    ['network-vif-unplugged', 'network-vif-plugged', 'network-vif-unplugged'],
  )
  const wishes = await server.database.query<{ after: { wish: string }; actor: string }>(
    "/* once */ select after, actor from change where kind = 'outbox_request' order by xid, seq",
  )
  assert.deepEqual(
    wishes.map(({ after: { wish } }) => wish),
    ['retry', 'give_up', 'replay'],
  )
  assert.equal((await server.admin.post('outbox-events/replay', {})).status, 400)
  assert.equal((await server.admin.post('outbox-events/replay', { since: 'yesterday' })).status, 400)
  assert.equal((await server.admin.put('outbox-events/00000000-0000-4000-8000-000000000000/retry')).status, 404)
})

test('the command line asks the API', async () => {
  const identified = await testServer({ identity: 'builtin' })
  try {
    const lines: string[] = []
    const out: Output = { ...createOutput({}, false), line: (text = '') => lines.push(text) }
    const context = { env: openrcOf(identified), root: '/', out }
    assert.equal(await outboxCommand.run(['list'], context), 0)
    assert.deepEqual(lines, ['Nothing waits.'])
    await identified.database.query(
      `insert into outbox_events (id, destination, subject, name, body, attempts, answer) values (gen_random_uuid(), 'nova', $1, 'network-changed', '{}', 3, '500: why')`,
      [one.port],
    )
    await outboxCommand.run(['list', '--failed'], context)
    assert.match(lines.at(-1) ?? '', /nova +network-changed +\S+ +failing +3 +\S+ +500: why/)
    await outboxCommand.run(['retry', '--all-failed'], context)
    await outboxCommand.run(['replay', '--since', '2h'], context)
    const [{ count }] = (await identified.database.query('/* once */ select count(*) from outbox_requests')) as [
      { count: number },
    ]
    assert.equal(count, 2)
    await outboxCommand.run(['drivers'], context)
    assert.match(lines.at(-1) ?? '', /No mechanism driver follows/)
    await identified.database.query(
      `insert into outbox_readers (name, era, xid, seq, trouble) values ('driver panel', 1, '7', 8, $1)`,
      [FAILING],
    )
    lines.length = 0
    await outboxCommand.run(['list'], context)
    assert.match(
      lines.at(-1) ?? '',
      /^panel +failing +1\.7\.8 .+ 1\.9\.10 +update of port \S+ +4 +\S+ +no cable is free$/,
    )
    await assert.rejects(outboxCommand.run(['skip', 'panel'], context), /Which driver, and which change/)
    await assert.rejects(outboxCommand.run(['skip', 'panel', '1.9.11'], context), /409.*1\.9\.10/s)
    await outboxCommand.run(['skip', 'panel', '1.9.10'], context)
    assert.equal(lines.at(-1), 'Driver panel goes past change 1.9.10.')
    await assert.rejects(outboxCommand.run(['replay'], context), /Since when/)
    await assert.rejects(outboxCommand.run(['show', 'nothing'], context), /404/)
  } finally {
    await identified.close()
  }
})
