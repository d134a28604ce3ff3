/** An agent against a scripted server: what it keeps, what it removes and when, and how it comes back. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type WebSocket, WebSocketServer } from 'ws'
import { createSimDataplane, createSimHost } from '#dataplane/sim/index.ts'
import { fingerprint } from '#kernel/fingerprint.ts'
import { silentLogger } from '#kernel/log.ts'
import { decodeFromAgent, encodeFrame, encodePut } from '#wire/codec.ts'
import type { FromAgent, Hello } from '#wire/messages.ts'
import type { NetworkObject, PortObject, RouterObject, WireKey } from '#wire/objects.ts'
import { plainPort } from '#wire/objects.testlib.ts'
import type { Realization } from '#wire/realization.ts'
import { type AgentOptions, createAgent } from './agent.ts'

const network: NetworkObject = {
  id: 'n1',
  generation: 1,
  project_id: 'p',
  admin_state_up: true,
  mtu: 1450,
  segments: [],
  subnets: [],
  dhcp: null,
  dns_domain: 'openstacklocal',
}
const port = (id: string, generation = 1): PortObject =>
  plainPort({
    id,
    generation,
    mac_address: 'fa:16:3e:00:00:01',
  })

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

const until = async (what: string, is: () => unknown): Promise<void> => {
  for (const end = Date.now() + 4000; !is(); await sleep(5)) if (Date.now() > end) assert.fail(`not reached: ${what}`)
}

type Objects = Readonly<Record<WireKey, NetworkObject | PortObject>>

/** A server that says what the test tells it to. */
function scriptedServer(versions = { port: 3, network: 2 } as Record<string, number>) {
  const folder = mkdtempSync(join(tmpdir(), 'deuteron-agent-'))
  const path = join(folder, 's')
  const server = new WebSocketServer({ noServer: true })
  const http = new Promise<import('node:http').Server>((resolve) => {
    void import('node:http').then(({ createServer }) => {
      const listener = createServer().listen(path, () => resolve(listener))
      listener.on('upgrade', (request, socket, head) =>
        server.handleUpgrade(request, socket, head, (client) => {
          sockets.push(client)
          authorizations.push(request.headers.authorization)
          client.on('message', (data) => received.push(decodeFromAgent(String(data))))
        }),
      )
    })
  })
  const sockets: WebSocket[] = []
  const received: FromAgent[] = []
  const authorizations: (string | undefined)[] = []
  let frames = 0
  cleanups.push(async () => {
    for (const socket of sockets) socket.terminate()
    ;(await http).close()
    rmSync(folder, { recursive: true })
  })
  const last = (): WebSocket => sockets.at(-1) as WebSocket
  return {
    ready: http,
    url: `ws+unix:${path}:/agent`,
    folder,
    sockets,
    received,
    authorizations,
    hellos: () => received.filter((message): message is Hello => message.type === 'hello'),
    realizations: (): Realization[] =>
      received.flatMap((message) => (message.type === 'report' ? message.realizations : [])),
    say: (message: object) => last().send(JSON.stringify(message)),
    welcome: () =>
      last().send(JSON.stringify({ type: 'welcome', server: 's', versions, heartbeat_interval_ms: 60_000 })),
    frame: (objects: Objects, drop: WireKey[] = [], position = `1.1.${frames}`, in_sync = true) => {
      const put = Object.entries(objects).map(([key, object]) => encodePut(key as WireKey, fingerprint(object), object))
      last().send(encodeFrame({ frame: ++frames, put, drop, position, in_sync }))
    },
  }
}

type Server = ReturnType<typeof scriptedServer>

async function agentOf(server: Server, more: Partial<AgentOptions> & Pick<AgentOptions, 'dataplane'>) {
  await server.ready
  const agent = createAgent({
    host: 'h1',
    agentVersion: '0.1.0',
    stateDir: null,
    servers: [server.url],
    credential: 'secret',
    log: silentLogger,
    timing: { pauseMs: [10, 40], refusedMs: [300, 300] },
    retry: { firstMs: 10, maxMs: 40 },
    ...more,
  })
  await agent.start()
  let stopped = false
  const stop = async (): Promise<void> => {
    if (stopped) return
    stopped = true
    await agent.stop()
  }
  cleanups.push(stop)
  return { ...agent, world: agent.world, status: () => agent.status(), idle: () => agent.idle(), stop }
}

const connected = async (server: Server, count = 1): Promise<void> => {
  await until('a hello', () => server.hellos().length >= count)
  server.welcome()
}

test('a frame becomes a realized host, acknowledged and reported', async () => {
  const server = scriptedServer()
  const dataplane = createSimDataplane({ autoPlug: true })
  await agentOf(server, { dataplane })
  await connected(server)
  assert.deepEqual(server.authorizations, ['Bearer secret'])
  server.frame({ 'network/n1': network, 'port/p1': port('p1') })
  await until('a report', () => server.realizations().some(({ kind, state }) => kind === 'port' && state === 'done'))
  assert.ok(server.received.some((message) => message.type === 'ack' && message.frame === 1))
  const beat = server.received.find((message) => message.type === 'heartbeat')
  assert.ok(beat?.type === 'heartbeat' && 'tunneling_ip' in beat.configurations)
  assert.deepEqual([...dataplane.host.standing.keys()].toSorted(), ['network/n1', 'port/p1'])
})

test('without a server the agent starts from disk, keeps everything and repairs', async () => {
  const server = scriptedServer()
  const stateDir = join(server.folder, 'state')
  const host = createSimHost()
  const first = await agentOf(server, { dataplane: createSimDataplane({ host, autoPlug: true }), stateDir })
  await connected(server)
  server.frame({ 'network/n1': network, 'port/p1': port('p1'), 'port/p2': port('p2') })
  await until('two ports', () => host.standing.size === 3)
  server.frame({}, ['port/p2'])
  await until('one port', () => host.standing.size === 2)
  await first.stop()
  const { writes } = host

  const second = await agentOf(server, {
    dataplane: createSimDataplane({ host, autoPlug: true }),
    stateDir,
    servers: ['ws+unix:/nonexistent/s:/agent'],
  })
  await second.idle()
  assert.equal(host.writes, writes, 'a restart writes nothing')
  assert.deepEqual([...second.world.world.port.keys()], ['p1'])
  assert.deepEqual(second.status(), { connected: false, refusal: null, inSync: false, position: '1.1.1' })
  host.tamper('port/p1')
  await until('the repair', () => host.standing.has('port/p1'))
})

test('nothing is removed before the first in-sync frame of this life, then what nobody wants goes', async () => {
  const server = scriptedServer()
  const host = createSimHost()
  host.install('port/stale', { kind: 'port', id: 'stale', content: '' })
  const agent = await agentOf(server, { dataplane: createSimDataplane({ host, autoPlug: true }) })
  await connected(server)
  server.frame({ 'network/n1': network, 'port/p1': port('p1') }, [], '1.1.1', false)
  await until('the port', () => host.standing.has('port/p1'))
  server.frame({}, ['port/p1'], '1.1.2', false)
  await until('the drop', () => agent.world.world.port.size === 0)
  await agent.idle()
  assert.deepEqual([...host.standing.keys()].toSorted(), ['network/n1', 'port/p1', 'port/stale'])
  server.frame({}, [], '1.1.3', true)
  await until('the sweep', () => host.standing.size === 1)
  assert.deepEqual([...host.standing.keys()], ['network/n1'])
})

test('a resumed stream names what it has; states are said again on the new connection', async () => {
  const server = scriptedServer()
  const agent = await agentOf(server, { dataplane: createSimDataplane({ autoPlug: true }) })
  await connected(server)
  server.frame({ 'network/n1': network, 'port/p1': port('p1') }, [], '1.5.0')
  await until('reports', () => server.realizations().length === 2)
  server.sockets[0]?.terminate()
  await connected(server, 2)
  const [empty, resumed] = server.hellos()
  assert.deepEqual([empty?.have, empty?.position], [{}, null])
  const have = { 'network/n1': fingerprint(network), 'port/p1': fingerprint(port('p1')) }
  assert.deepEqual([resumed?.have, resumed?.position], [have, '1.5.0'])
  await until('the same reports', () => server.realizations().length === 4)
  assert.equal(agent.status().inSync, true)
})

test('a server that would take the agent back in time is left', async () => {
  const server = scriptedServer()
  const agent = await agentOf(server, { dataplane: createSimDataplane({ autoPlug: true }) })
  await connected(server)
  server.frame({ 'network/n1': network }, [], '1.9.0')
  await until('the frame', () => agent.status().position === '1.9.0')
  server.frame({ 'network/n1': { ...network, mtu: 9000 } }, [], '1.8.7')
  await until('another try', () => server.hellos().length === 2)
  assert.equal(agent.world.world.network.get('n1')?.mtu, 1450)
  server.welcome()
  server.frame({ 'network/n1': { ...network, mtu: 1400 } }, [], '2.1.0')
  await until('a new era', () => agent.world.world.network.get('n1')?.mtu === 1400)
})

test('a refusal is kept for the operator and retried slowly', async () => {
  const server = scriptedServer()
  const agent = await agentOf(server, { dataplane: createSimDataplane() })
  await until('a hello', () => server.hellos().length === 1)
  server.say({ type: 'refused', reason: 'credential_bad', message: 'no such credential' })
  server.sockets[0]?.close()
  await until('the refusal', () => agent.status().refusal?.reason === 'credential_bad')
  await sleep(150)
  assert.equal(server.hellos().length, 1)
  await connected(server, 2)
  await until('welcome', () => agent.status().refusal === null)
})

test('what fails is tried again and reported each way', async () => {
  const server = scriptedServer()
  const dataplane = createSimDataplane({ autoPlug: true })
  dataplane.host.failNext('port/p1', 'the switch said no', 2)
  await agentOf(server, { dataplane })
  await connected(server)
  server.frame({ 'network/n1': network, 'port/p1': port('p1') })
  await until('success', () => server.realizations().some(({ id, state }) => id === 'p1' && state === 'done'))
  const [error] = server.realizations().filter(({ id }) => id === 'p1')
  assert.deepEqual([error?.state, error?.message], ['error', 'the switch said no'])
})

test('an agent that reads only version 1 of ports holds current objects', async () => {
  const server = scriptedServer({ port: 1, network: 2 })
  const agent = await agentOf(server, { dataplane: createSimDataplane(), versions: { port: [1] } })
  await connected(server)
  assert.deepEqual(server.hellos()[0]?.versions.port, [1])
  const { dns_name: _name, extra_dhcp_opts: _options, ...rest } = port('p1')
  server.frame({ 'port/p1': { ...rest, allowed_address_pairs: ['fa:16:3e:00:00:09 10.0.0.9'] } as never })
  await until('the port', () => agent.world.world.port.size === 1)
  assert.equal(agent.world.world.port.get('p1')?.dns_name, '')
  assert.deepEqual(agent.world.world.port.get('p1')?.extra_dhcp_opts, [])
  assert.deepEqual(agent.world.world.port.get('p1')?.allowed_address_pairs, [
    { ip_address: '10.0.0.9', mac_address: 'fa:16:3e:00:00:09' },
  ])
})

test('what a newer server told is not reported to one that does not know such objects', async () => {
  const router: RouterObject = {
    id: 'r1',
    generation: 1,
    project_id: 'p',
    name: '',
    admin_state_up: true,
    distributed: false,
    interfaces: [],
    gateway: null,
    routes: [],
    hosts: ['h1'],
  }
  const newer = scriptedServer({ port: 3, network: 2, router: 1 })
  const stateDir = join(newer.folder, 'state')
  const first = await agentOf(newer, { dataplane: createSimDataplane({ autoPlug: true }), stateDir })
  await connected(newer)
  newer.frame({ 'network/n1': network, 'router/r1': router as never })
  await until('its report', () => newer.realizations().some(({ kind }) => kind === 'router'))
  await first.stop()
  const older = scriptedServer({ port: 3, network: 2 })
  const agent = await agentOf(older, { dataplane: createSimDataplane({ autoPlug: true }), stateDir })
  await connected(older)
  await until('another report', () => older.realizations().some(({ kind }) => kind === 'network'))
  assert.equal(agent.world.world.router.size, 1)
  assert.deepEqual(
    older.realizations().filter(({ kind }) => kind === 'router'),
    [],
  )
})

test('a second agent with the same folder refuses to start; a broken file is set aside', async () => {
  const server = scriptedServer()
  const stateDir = join(server.folder, 'state')
  const first = await agentOf(server, { dataplane: createSimDataplane(), stateDir })
  await assert.rejects(agentOf(server, { dataplane: createSimDataplane(), stateDir }), /another agent \(process \d+\)/)
  await first.stop()
  writeFileSync(join(stateDir, 'world.db'), 'this is no database, and long enough to be looked at as one'.repeat(9))
  const third = await agentOf(server, { dataplane: createSimDataplane(), stateDir })
  assert.equal(third.status().position, null)
})

test('a server that says nothing any more is left for the next', async () => {
  const server = scriptedServer()
  await agentOf(server, {
    dataplane: createSimDataplane(),
    timing: { pauseMs: [10, 40], refusedMs: [300, 300], livenessMs: 50 },
  })
  await connected(server)
  await sleep(300)
  assert.equal(server.hellos().length, 1, 'a server that answers pings is kept')
  server.sockets[0]?.pause()
  await until('another try', () => server.hellos().length === 2)
})
