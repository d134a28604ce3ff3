/**
 * How a server gets its port, with real processes: Nova hears that it is plugged when the host has proven its flows, and
 * not before; the host's agent is killed, the server is killed, and Nova hears all the same.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { silentLogger } from '#kernel/log.ts'
import { openDatabase } from '#store/pool.ts'
import { askAny, startAgent, startServer, until } from '../lib/cloud.ts'
import { type NovaEvent, novaStub, witness } from '../lib/nova-stub.ts'
import { REPOSITORY } from '../lib/installation.ts'
import { testDatabase } from '../lib/postgres.ts'

test('plugged is told when the host has proven the port, whoever dies between', async () => {
  await using stack = new AsyncDisposableStack()
  const db = await testDatabase()
  stack.defer(() => db.drop())
  const nova = stack.use(await novaStub())
  const server = await startServer(stack, {
    database: db.url,
    flags: [`--nova-endpoint-override=${nova.url}`, '--send-events-interval=0s'],
  })
  const ask = askAny([server])
  const database = openDatabase({ url: db.url, size: 2, log: silentLogger, agentDownTime: 75 })
  stack.defer(() => database.close())
  /** Of each event that it is plugged: what the port's host had reported by then. */
  const told = witness(nova, 'network-vif-plugged', (port) =>
    database.query("select state from realizations where kind = 'port' and id = $1 and host = 'h1'", [port]),
  )
  const proofs = (): Promise<unknown[]> => Promise.all(told.map(({ seen }) => seen))

  const folder = mkdtempSync(join(tmpdir(), 'deuteron-plug-'))
  stack.defer(() => rmSync(folder, { recursive: true, force: true }))
  const credentials = join(folder, 'credentials')
  const { body } = await ask('POST', 'agents/enrolments', { enrolment: { host: 'h1' } })
  writeFileSync(credentials, `h1 ${body.enrolment.secret}`, { mode: 0o600 })
  const agent = () => startAgent(stack, { host: 'h1', servers: [server], credentials, state: join(folder, 'h1') })
  const first = agent()
  await until('the agent is known', async () => (await ask('GET', 'agents?host=h1')).body.agents.length > 0)
  await first.end('SIGKILL')

  const network = (await ask('POST', 'networks', { network: {} })).body.network.id
  await ask('POST', 'subnets', { subnet: { network_id: network, ip_version: 4, cidr: '10.0.0.0/24' } })
  const wish = { device_owner: 'compute:nova', device_id: randomUUID(), 'binding:host_id': 'h1' }
  const { port } = (await ask('POST', 'ports', { port: { network_id: network, ...wish } })).body
  assert.equal(port['binding:vif_type'], 'ovs')
  // Nova asks again when it did not hear the answer: the port is bound there already, and nothing changes.
  const again = await ask('PUT', `ports/${port.id}`, { port: wish })
  assert.equal(again.body.port.revision_number, port.revision_number)
  await sleep(1500)
  assert.deepEqual(nova.taken, [], 'bound is not plugged')

  const plugged = (): NovaEvent[] =>
    nova.taken.filter(({ name, tag }) => name === 'network-vif-plugged' && tag === port.id)
  agent()
  await until('Nova hears it', () => plugged().length > 0)
  assert.deepEqual(await proofs(), [[{ state: 'done' }]])

  // A second port: Nova takes the event, and the server dies before it can hear so.
  const look = nova.fault
  let dying: Promise<void> | null = null
  nova.fault = (events) => {
    look?.(events)
    if (dying || events.every(({ tag }) => tag === port.id)) return null
    dying = server.kill()
    return 'forget'
  }
  const second = (await ask('POST', 'ports', { port: { network_id: network, ...wish } })).body.port
  await until('the server is killed', () => dying !== null)
  await dying
  const heard = (): number => nova.taken.filter(({ tag }) => tag === second.id).length
  assert.equal(heard(), 1)
  await server.start()
  await until('it is told, and known to be', async () => {
    const { body: seen } = await ask('GET', `outbox-events?subject=${second.id}`)
    return seen.outbox_events.some(
      (one: { name: string; state: string }) => one.name === 'network-vif-plugged' && one.state === 'done',
    )
  })
  assert.ok(heard() >= 2, 'nobody knew that Nova had taken it')
  for (const proof of await proofs()) assert.deepEqual(proof, [{ state: 'done' }])
})

test('each arrow of the sequence in docs/design/binding.md has a test where it says', () => {
  const read = (file: string): string => readFileSync(join(REPOSITORY, file), 'utf8')
  const [, table = ''] = read('docs/design/binding.md').split('| lost | file | test |')
  const rows = [...table.matchAll(/^\| ([\d, ]+) \| `(\S+)` \| (.+) \|$/gm)]
  const arrows = new Set(rows.flatMap(([, lost = '']) => lost.split(', ')))
  assert.deepEqual(
    [...arrows],
    Array.from({ length: 13 }, (_, index) => String(index + 1)),
  )
  for (const [, , file = '', name = ''] of rows) assert.ok(read(file).includes(name), `${file}: ${name}`)
})
