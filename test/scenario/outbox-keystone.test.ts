/** The server's own outbox with a Keystone: Nova is found in its catalogue, tokens are its own and renewed, metrics say what waits. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { silentLogger } from '#kernel/log.ts'
import { createRegistry } from '#kernel/metrics.ts'
import { createNotifier } from '#store/notify.ts'
import { serveOutbox } from '../../bin/outbox.ts'
import { novaStub } from '../lib/nova-stub.ts'
import { proves, serverPort } from '../lib/outbox.ts'
import { testServer } from '../lib/server.ts'

/** Gives out tokens t1, t2, … and a catalogue to whoever has one. */
async function keystone(stack: AsyncDisposableStack, nova: string): Promise<{ url: string; issued: () => number }> {
  let issued = 0
  const server = createServer((request, response) => {
    if (request.method === 'POST') {
      response.writeHead(201, { 'x-subject-token': `t${++issued}` })
      response.end(JSON.stringify({ token: { expires_at: new Date(Date.now() + 3_600_000).toISOString() } }))
      return
    }
    const known = request.url === '/v3/auth/catalog' && /^t\d+$/.test(String(request.headers['x-auth-token']))
    response.writeHead(known ? 200 : 401)
    const endpoints = [{ interface: 'internal', region_id: 'here', url: `${nova}/v2.1/` }]
    response.end(JSON.stringify({ catalog: [{ type: 'compute', endpoints }] }))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  stack.defer(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, issued: () => issued }
}

test('found in the catalogue, told within seconds, told again with a new token', async () => {
  await using stack = new AsyncDisposableStack()
  const server = stack.use(await testServer())
  const nova = stack.use(await novaStub())
  nova.tokens = new Set(['t2'])
  const { url, issued } = await keystone(stack, nova.url)
  const registry = createRegistry()
  const notifier = createNotifier(server.databaseUrl, silentLogger)
  stack.defer(() => notifier.close())
  const credential = { kind: 'application credential', id: 'id', secret: 'secret' } as const
  const settings = { ...server.settings, novaEndpointType: 'internal', novaRegionName: 'here' } as const
  serveOutbox(
    {
      database: server.database,
      notifier,
      settings,
      keystone: { authUrl: url, cafile: null, insecure: false, credential },
      registry,
      log: silentLogger,
    },
    stack,
  )
  await until('it began', async () => (await server.database.query('select 1 from outbox_readers')).length > 0)
  const network = String((await server.admin.make('network', {}))['id'])
  await server.admin.make('subnet', { network_id: network, ip_version: 4, cidr: '10.0.0.0/24' })
  const { port } = await serverPort(server, network)
  await proves(server, [port])
  const committed = performance.now()
  await until('Nova has heard', async () => nova.taken.some(({ tag }) => tag === port))
  assert.ok(performance.now() - committed < 3000, `${performance.now() - committed} ms`)
  assert.deepEqual(
    nova.taken.map(({ name }) => name),
    ['network-vif-plugged'],
  )
  assert.equal(issued(), 2, 'a token that Nova refused is given back, once')
  await until('it is known to be told', async () => /outcome="done"\} 1/.test(await registry.metrics()))
  assert.match(await registry.metrics(), /deuteron_outbox_pending\{destination="placement"\} 0/)
})

async function until(what: string, is: () => Promise<boolean>, ms = 15_000): Promise<void> {
  for (const end = performance.now() + ms; !(await is()); await sleep(10))
    if (performance.now() > end) assert.fail(`not reached: ${what}`)
}
