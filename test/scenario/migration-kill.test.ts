/**
 * A server that is killed in the middle of migrations: whenever it dies, every port has exactly one active binding, one
 * that waits, and what the change log says.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { keptByModel } from '#cli/db-verify.ts'
import { inTransaction } from '#store/transaction.ts'
import { findProblems } from '#store/verify.ts'
import { hostReports } from '../lib/agents.ts'
import { startServer } from '../lib/cloud.ts'
import { answered } from '../lib/refused.ts'
import { type TestServer, testServer } from '../lib/server.ts'
import { verify } from '../lib/verify.ts'

type Item = Record<string, any>

const PORTS = 6
const KILLS = 5

test('wherever a server dies while ports move, each is in one place', async () => {
  await using stack = new AsyncDisposableStack()
  const server = stack.use(await testServer())
  for (const host of ['h1', 'h2']) await hostReports(server, host)
  const network = await server.admin.make('network', {})
  await server.admin.make('subnet', { network_id: network['id'], ip_version: 4, cidr: '10.0.0.0/24' })
  const ports: string[] = []
  for (let n = 0; n < PORTS; n++) {
    const values = { network_id: network['id'], device_owner: 'compute:nova', device_id: randomUUID() }
    const port = await server.admin.make('port', { ...values, 'binding:host_id': 'h1' })
    answered(await server.admin.post(`ports/${port['id']}/bindings`, { binding: { host: 'h2' } }), 201)
    ports.push(String(port['id']))
  }
  const killed = await startServer(stack, { database: server.databaseUrl })
  let done = 0
  let over = false
  const moving = ports.map(async (id) => {
    for (let n = 0; !over; n++) {
      const url = `${killed.url}/v2.0/ports/${id}/bindings/${n % 2 ? 'h1' : 'h2'}/activate`
      const status = await fetch(url, { method: 'PUT' }).then(
        (reply) => reply.status,
        () => 0,
      )
      if (status === 200) done++
      else await sleep(20)
    }
  })
  for (let kill = 0; kill < KILLS; kill++) {
    const before = done
    for (const end = Date.now() + 20_000; done < before + 10; await sleep(1)) assert.ok(Date.now() < end, 'they move')
    await sleep(Math.random() * 20)
    await killed.kill()
    for (const id of ports) assert.deepEqual(await placesOf(server, id), ['h1', 'h2'])
    const problems = await inTransaction(server.database, async (tx) => ({
      value: (await findProblems(tx, keptByModel(), false)).map(({ says }) => says),
    }))
    assert.deepEqual(problems, [])
    if (kill < KILLS - 1) await killed.start()
  }
  over = true
  await Promise.all(moving)
  assert.deepEqual(await verify(server.core), [])
})

/** Both hosts, after it was seen that one is active and the other waits. */
async function placesOf(server: TestServer, id: string): Promise<string[]> {
  const all = answered(await server.admin.get(`ports/${id}/bindings`), 200).bindings as Item[]
  assert.deepEqual(
    all.map(({ status }) => status),
    ['ACTIVE', 'INACTIVE'],
  )
  const { port } = answered(await server.admin.get(`ports/${id}`), 200)
  assert.equal(port['binding:host_id'], all[0]?.['host'])
  return all.map(({ host }) => String(host)).toSorted()
}
