/** The feed with real agents: random histories, server changes, silence, refusals, realizations. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { WebSocket } from 'ws'
import type { Agent } from '#agent/agent.ts'
import { createSimDataplane } from '#dataplane/sim/index.ts'
import { enrol, revoke } from '#feed/credentials.ts'
import type { Feed } from '#feed/feed.ts'
import { decodeFromServer, encode } from '#wire/codec.ts'
import type { Frame, Hello } from '#wire/messages.ts'
import type { PortObject } from '#wire/objects.ts'
import { goesBack } from '#wire/position.ts'
import { readableVersions } from '#wire/versions.ts'
import { createRig, idOf, type PortSpec, type Rig, type RigHost, until } from './feed-rig.ts'

const spec = (rig: Rig, host: string, more: Partial<PortSpec> = {}): PortSpec => ({
  network: 'red',
  groups: ['web'],
  address: rig.edits.fresh(),
  host,
  ...more,
})

async function cloud(heartbeatMs?: number): Promise<Rig> {
  await using stack = new AsyncDisposableStack()
  const rig = stack.use(await createRig(heartbeatMs))
  for (const network of ['red', 'blue']) await rig.edits.network(network)
  for (const group of ['web', 'db', 'ops']) await rig.edits.group(group)
  stack.move()
  return rig
}

interface Step {
  readonly what:
    | 'port'
    | 'drop'
    | 'move'
    | 'rule'
    | 'drop rule'
    | 'mtu'
    | 'domain'
    | 'bootfile'
    | 'router'
    | 'drop router'
    | 'serve'
    | 'away'
    | 'server'
    | 'restart'
  readonly who: number
  readonly where: number
}
const steps = fc.array(
  fc.record<Step>({
    what: fc.constantFrom(
      'port',
      'port',
      'port',
      'drop',
      'move',
      'move',
      'rule',
      'drop rule',
      'mtu',
      'domain',
      'bootfile',
      'router',
      'router',
      'drop router',
      'serve',
      'away',
      'server',
      'restart',
    ),
    who: fc.nat(7),
    where: fc.nat(3),
  }),
  { minLength: 5, maxLength: 40 },
)

const HOSTS = ['h1', 'h2', 'h3'] as const
const GROUPS = ['web', 'db', 'ops'] as const
const pick = <T>(list: readonly T[], index: number): T => list[index % list.length] as T

/** One random history on a fresh cloud with two servers. */
class History {
  readonly #rig: Rig
  readonly #ports = new Map<string, PortSpec>()
  readonly #feeds = new Map<string, Feed>()
  readonly #hosts = new Map<string, RigHost>()

  constructor(rig: Rig) {
    this.#rig = rig
  }

  async begin(): Promise<void> {
    for (const server of ['A', 'B']) this.#feeds.set(server, await this.#rig.feed(server))
    for (const name of HOSTS) await this.#arrive(name)
  }

  async #arrive(name: string): Promise<void> {
    const stateDir = `${this.#rig.folder}/state-${name}`
    this.#hosts.set(name, await this.#rig.host(name, ['A', 'B'], { stateDir }))
  }

  #agent(name: string): Agent {
    return (this.#hosts.get(name) as RigHost).agent
  }

  async step({ what, who, where }: Step): Promise<void> {
    const { edits } = this.#rig
    const name = `p${who}`
    const last = this.#ports.get(name)
    const group = pick(GROUPS, who)
    const set = async (next: PortSpec): Promise<void> => {
      await edits.port(name, next, last ?? null)
      this.#ports.set(name, next)
    }
    switch (what) {
      case 'port':
        if (!last)
          return set(
            spec(this.#rig, pick(['', ...HOSTS], where), { network: pick(['red', 'blue'], who), groups: [group] }),
          )
        return set({ ...last, groups: where === 0 ? [] : [pick(GROUPS, where), group] })
      case 'move':
        return last && set({ ...last, host: pick(['', ...HOSTS], where), failed: who === where })
      case 'drop':
        if (!last) return
        this.#ports.delete(name)
        return edits.dropPort(name, last)
      case 'rule':
        return edits.rule(`${group} ${where}`, group, where === 0 ? null : pick(GROUPS, where))
      case 'drop rule':
        return edits.dropRule(`${group} ${where}`, group)
      case 'bootfile':
        return last && set({ ...last, ...(where > 0 && { bootfile: `${where}.0` }) })
      case 'domain':
        return edits.network(pick(['red', 'blue'], who), 1450, where === 0 ? '' : `d${where}.example.`)
      case 'mtu':
        return edits.network(pick(['red', 'blue'], who), 1400 + where)
      case 'router':
        return edits.router(`r${who % 2}`, {
          inside: ['red', 'blue'].slice(0, where % 3),
          gateway: who > 3 ? pick(['red', 'blue'], where) : null,
          hosts: HOSTS.slice(0, who % 3),
        })
      case 'drop router':
        return edits.dropRouter(`r${who % 2}`)
      case 'serve':
        return edits.serve(pick(['red', 'blue'], who), HOSTS.slice(where))
      case 'away':
        await this.#hosts.get(pick(HOSTS, who))?.[Symbol.asyncDispose]()
        return this.#arrive(pick(HOSTS, who))
      case 'server':
        return this.#restart(pick(['A', 'B'], who))
      case 'restart':
        await Promise.all(['A', 'B'].map((server) => this.#restart(server)))
    }
  }

  async #restart(server: string): Promise<void> {
    await this.#feeds.get(server)?.close()
    this.#feeds.set(server, await this.#rig.feed(server))
  }

  async settle(): Promise<void> {
    const hosts = HOSTS.map((name) => ({ name, agent: this.#agent(name) }))
    await this.#rig.converged(hosts, [...this.#feeds.values()])
  }
}

test('whatever happens in whatever order, agents end with what SQL says, and never went back in time', {
  timeout: 120_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (history) => {
      await using rig = await cloud()
      const life = new History(rig)
      await life.begin()
      for (const step of history) await life.step(step)
      await life.settle()
      // Servers that go away are no surprise; anything else is.
      const surprises = rig.complaints.filter((line) => !line.includes('no connection to the server'))
      const backwards = rig.complaints.filter((line) => line.includes('known already'))
      assert.deepEqual([...surprises, ...backwards], [])
    }),
    { numRuns: 8, endOnFailure: true },
  )
})

/** A bare agent that records every frame; acknowledges unless told not to. */
async function listener(
  rig: Rig,
  server: string,
  host: string,
  more: Partial<Hello> & { acks?: boolean; secret?: string | null } = {},
) {
  const { acks = true, secret = (await enrol(rig.database, host)).secret, ...hello } = more
  const socket = new WebSocket(rig.urlOf(server), {
    headers: secret === null ? {} : { authorization: `Bearer ${secret}` },
  })
  const frames: Frame[] = []
  const refusals: string[] = []
  let versions = {}
  socket.on('open', () =>
    socket.send(
      encode({
        type: 'hello',
        protocol: 1,
        host,
        agent_version: 'test',
        versions: readableVersions(),
        have: {},
        position: null,
        ...hello,
      }),
    ),
  )
  let closed: number | null = null
  socket.on('close', (code) => {
    closed = code
  })
  socket.on('message', (data) => {
    const message = decodeFromServer(String(data), versions)
    if (message.type === 'welcome') versions = message.versions
    else if (message.type === 'refused') refusals.push(message.reason)
    else {
      frames.push(message)
      if (acks) socket.send(encode({ type: 'ack', frame: message.frame }))
    }
  })
  return {
    socket,
    frames,
    refusals,
    closed: () => closed,
    welcomed: () => Object.keys(versions).length > 0,
    report: (state: 'done' | 'pending' | 'error', id: string, generation: number) =>
      socket.send(
        encode({
          type: 'report',
          realizations: [
            { kind: 'port', id, generation, state, message: null, repaired: false, at: new Date().toISOString() },
          ],
        }),
      ),
    beat: () => socket.send(encode({ type: 'heartbeat', configurations: {}, started_at: new Date().toISOString() })),
    [Symbol.dispose]: () => socket.terminate(),
  }
}

test('a stream: positions never fall, nothing is said twice, and in_sync closes each burst', async () => {
  await using rig = await cloud()
  await rig.feed('A')
  using ear = await listener(rig, 'A', 'h1')
  const ports = new Map<string, PortSpec>()
  for (let n = 0; n < 60; n++) {
    const name = `p${n % 20}`
    const last = ports.get(name)
    const next = last ? { ...last, host: n % 3 === 0 ? '' : 'h1' } : spec(rig, n % 4 === 0 ? 'h2' : 'h1')
    await rig.edits.port(name, next, last ?? null)
    ports.set(name, next)
  }
  const bound = [...ports.values()].filter(({ host }) => host === 'h1').length
  const held = new Map<string, string>()
  await until('all ports', () => {
    held.clear()
    for (const { put, drop } of ear.frames) {
      for (const [key, print] of put) held.set(key, print)
      for (const key of drop) held.delete(key)
    }
    return [...held.keys()].filter((key) => key.startsWith('port/')).length === bound && ear.frames.at(-1)?.in_sync
  })
  const seen = new Map<string, string>()
  for (const [index, { position, put, drop, frame }] of ear.frames.entries()) {
    assert.equal(frame, index + 1)
    if (index > 0) assert.equal(goesBack((ear.frames[index - 1] as Frame).position, position), false)
    for (const [key, print] of put) {
      assert.notEqual(seen.get(key), print, `${key} said twice`)
      seen.set(key, print)
    }
    for (const key of drop) assert.ok(seen.delete(key), `${key} dropped and never put`)
  }
})

test('one unacknowledged frame at a time, however much changes', async () => {
  await using rig = await cloud()
  await rig.feed('A')
  using deaf = await listener(rig, 'A', 'h1', { acks: false })
  await until('the first frame', () => deaf.frames.length === 1)
  for (let n = 0; n < 10; n++) await rig.edits.port(`p${n}`, spec(rig, 'h1'), null)
  await sleep(300)
  assert.equal(deaf.frames.length, 1)
  deaf.socket.send(encode({ type: 'ack', frame: 1 }))
  await until('the rest at once', () => deaf.frames.length === 2)
  assert.equal(deaf.frames[1]?.put.filter(([key]) => key.startsWith('port/')).length, 10)
})

test('after convergence the feed is silent; heartbeats alone go up', async () => {
  await using rig = await cloud(100)
  const feed = await rig.feed('A')
  const hosts = await Promise.all(HOSTS.map(async (name) => ({ name, ...(await rig.host(name, ['A'])) })))
  for (let n = 0; n < 9; n++) await rig.edits.port(`p${n}`, spec(rig, pick(HOSTS, n)), null)
  const active = async (): Promise<boolean> => {
    const [row] = await rig.database.query<{ count: number }>(
      `select count(*)::int as count from ports where status = 'ACTIVE'`,
    )
    return row?.count === 9
  }
  await until('ports are ACTIVE', active)
  await rig.converged(hosts, [feed])
  await sleep(300)
  const frames = HOSTS.map((name) => feed.framesTo(name))
  const count = 'select count(*)::int as changes, (select max(heartbeat_timestamp) from agents) as beat from change'
  const [before] = await rig.database.query<{ changes: number; beat: Date }>(count)
  await sleep(1000)
  const [then] = await rig.database.query<{ changes: number; beat: Date }>(count)
  assert.deepEqual(
    HOSTS.map((name) => feed.framesTo(name)),
    frames,
  )
  assert.equal(then?.changes, before?.changes)
  assert.ok(Number(then?.beat) > Number(before?.beat), 'heartbeats go on')
})

test('a lone change arrives at once', async () => {
  await using rig = await cloud()
  await rig.feed('A')
  const { agent } = await rig.host('h1', ['A'])
  await until('in sync', () => agent.status().inSync)
  const took: number[] = []
  for (let n = 0; n < 20; n++) {
    await sleep(30)
    const start = performance.now()
    await rig.edits.port(`p${n}`, spec(rig, 'h1'), null)
    await until('the port', () => agent.world.world.port.has(idOf(`p${n}`)))
    took.push(performance.now() - start)
  }
  const median = took.toSorted((a, b) => a - b)[10] as number
  assert.ok(median < 100, `median ${median} ms`)
})

test('realizations are kept, ports turn ACTIVE when proven and DOWN when not', async () => {
  await using rig = await cloud()
  await rig.feed('A')
  const statusOf = async (name: string): Promise<string | undefined> =>
    (await rig.database.query<{ status: string }>('select status from ports where id = $1', [idOf(name)]))[0]?.status
  const first = spec(rig, 'h1')
  await rig.edits.port('p', first, null)
  using ear = await listener(rig, 'A', 'h1')
  await until('the port', () => ear.frames.some(({ put }) => put.some(([key]) => key === `port/${idOf('p')}`)))
  ear.report('done', idOf('p'), 0)
  ear.report('done', idOf('elsewhere'), 9)
  await sleep(150)
  assert.equal(await statusOf('p'), 'DOWN', 'an older generation proves nothing')
  ear.report('done', idOf('p'), 1)
  await until('ACTIVE', async () => (await statusOf('p')) === 'ACTIVE')
  const rows = await rig.database.query(`select host, kind, id, generation, state from realizations`)
  assert.deepEqual(rows, [{ host: 'h1', kind: 'port', id: idOf('p'), generation: 1, state: 'done' }])
  ear.report('pending', idOf('p'), 9)
  const told = (generation: number): boolean =>
    ear.frames.some(({ put }) => put.some(([, , object]) => (object as PortObject).generation === generation))
  await until('what an ACTIVE port is', () => told(2))
  assert.equal(await statusOf('p'), 'ACTIVE', 'a generation of another history says nothing')
  ear.report('pending', idOf('p'), 2)
  await until('DOWN', async () => (await statusOf('p')) === 'DOWN')
  await rig.edits.port('p', { ...first, host: 'h2' }, first)
  await until('forgotten', async () => (await rig.database.query('select 1 from realizations')).length === 0)
})

test('a plugged port is ACTIVE, an unplugged one DOWN, with a real agent', async () => {
  await using rig = await cloud()
  const feed = await rig.feed('A')
  const dataplane = createSimDataplane()
  const { agent } = await rig.host('h1', ['A'], { dataplane })
  await rig.edits.port('p', spec(rig, 'h1'), null)
  const status = async (want: string): Promise<boolean> =>
    (await rig.database.query('select 1 from ports where id = $1 and status = $2', [idOf('p'), want])).length === 1
  await until('the port is known', () => agent.world.world.port.size === 1)
  assert.ok(await status('DOWN'))
  dataplane.host.plug(idOf('p'))
  await until('ACTIVE', () => status('ACTIVE'))
  dataplane.host.unplug(idOf('p'))
  await until('DOWN', () => status('DOWN'))
  await rig.converged([{ name: 'h1', agent }], [feed])
})

test('agents that read older versions of ports and networks beside one that reads the newest', async () => {
  await using rig = await cloud()
  const feed = await rig.feed('A')
  const oldest = await rig.host('h1', ['A'], { versions: { port: [1] } })
  const newest = { name: 'h2', ...(await rig.host('h2', ['A'])) }
  const middle = await rig.host('h4', ['A'], { versions: { port: [1, 2], network: [1] } })
  using old = await listener(rig, 'A', 'h3', { versions: { ...readableVersions(), port: [1] } })
  for (const name of HOSTS) await rig.edits.port(`p ${name}`, spec(rig, name, { pairs: ['10.7.0.0/24'] }), null)
  await rig.edits.network('red', 1450, 'red.example.')
  const inMiddle = spec(rig, 'h4', { bootfile: 'x.0' })
  await rig.edits.port('p h4', inMiddle, null)
  await rig.converged([newest], [feed])
  const known = (): PortObject | undefined => oldest.agent.world.world.port.get(idOf('p h1'))
  await until('the oldest has its port', () => known() !== undefined)
  assert.deepEqual(known()?.allowed_address_pairs, [{ ip_address: '10.7.0.0/24', mac_address: known()?.mac_address }])
  assert.deepEqual(known()?.segment_ids, [])
  assert.equal(newest.agent.world.world.port.get(idOf('p h2'))?.segment_ids.length, 2)
  const { world } = middle.agent.world
  await until('the one in between has its port', () => world.port.has(idOf('p h4')) && world.network.has(idOf('red')))
  assert.deepEqual(world.port.get(idOf('p h4'))?.extra_dhcp_opts, [])
  assert.equal(world.network.get(idOf('red'))?.dns_domain, 'openstacklocal')
  assert.equal(newest.agent.world.world.network.get(idOf('red'))?.dns_domain, 'red.example')
  await until('the old one has its port', () =>
    old.frames.some(({ put }) => put.some(([key]) => key.startsWith('port/'))),
  )
  const sent = old.frames.flatMap(({ put }) => put).find(([key]) => key.startsWith('port/'))?.[2] as PortObject
  assert.deepEqual(sent.allowed_address_pairs, [{ ip_address: '10.7.0.0/24', mac_address: sent.mac_address }])
})

test('an agent that knows no ports but those on its host is not told of those that are expected there', async () => {
  await using rig = await cloud()
  const feed = await rig.feed('A')
  const old = await rig.host('h1', ['A'], { versions: { port: [1, 2, 3] } })
  const newest = { name: 'h2', ...(await rig.host('h2', ['A'])) }
  const before = spec(rig, 'h3', { expected: ['h1', 'h2'] })
  await rig.edits.port('p', before, null)
  await rig.converged([newest], [feed])
  const id = idOf('p')
  assert.equal(newest.agent.world.world.port.get(id)?.active, false)
  await until('it has the network', () => old.agent.world.world.neighbor.has(id))
  assert.ok(!old.agent.world.world.port.has(id))
  const here = { ...before, host: 'h1', expected: ['h2'] }
  await rig.edits.port('p', here, before)
  await until('the port came', () => old.agent.world.world.port.get(id)?.active === true)
  await rig.edits.port('p', { ...here, host: 'h2', expected: ['-h1'] }, here)
  await until('the port left', () => !old.agent.world.world.port.has(id))
  await rig.converged([newest], [feed])
  assert.equal(newest.agent.world.world.port.get(id)?.active, true)
})

test('a DHCP option of a port and the domain of a network are one object each to whom they concern', async () => {
  await using rig = await cloud()
  const feed = await rig.feed('A')
  const plain = spec(rig, 'h1')
  await rig.edits.port('p', plain, null)
  using near = await listener(rig, 'A', 'h1')
  await until('the port is there', () => near.frames.some(({ put }) => put.some(([key]) => key.startsWith('port/'))))
  await until('in sync', () => near.frames.at(-1)?.in_sync)
  const network = feed.worldOf('h1').get(`network/${idOf('red')}`)
  assert.equal((network as { dns_domain?: string } | undefined)?.dns_domain, 'rig.example', 'the setting')
  const told = async (edit: () => Promise<void>): Promise<unknown> => {
    const before = near.frames.length
    await edit()
    await until('a frame', () => near.frames.length > before)
    await sleep(100)
    return near.frames
      .slice(before)
      .flatMap(({ put, drop }) => [...put.map(([key, , object]) => [key, object]), ...drop])
  }
  const options = (object: unknown): unknown => (object as PortObject).extra_dhcp_opts
  const [port] = (await told(() => rig.edits.port('p', { ...plain, bootfile: 'x.0' }, plain))) as [string, unknown][]
  assert.equal(port?.[0], `port/${idOf('p')}`)
  assert.deepEqual(options(port?.[1]), [{ opt_name: '67', opt_value: 'x.0', ip_version: 4 }])
  const domain = (await told(() => rig.edits.network('red', 1450, 'red.example.'))) as [string, unknown][]
  assert.deepEqual(
    domain.map(([key, object]) => [key, (object as { dns_domain: string }).dns_domain]),
    [[`network/${idOf('red')}`, 'red.example']],
  )
})

test('who may not connect is refused with the reason, and the list of agents shows it', async () => {
  await using rig = await cloud()
  await rig.feed('A')
  const noted = async (host: string): Promise<string | undefined> =>
    (
      await rig.database.query<{ reason: string }>(`select refused->>'reason' as reason from agents where host = $1`, [
        host,
      ])
    )[0]?.reason
  const refusedAs = async (reason: string, host: string, more: Parameters<typeof listener>[3]): Promise<void> => {
    using ear = await listener(rig, 'A', host, more)
    await until(`${host} is refused`, () => ear.refusals.length === 1)
    assert.deepEqual(ear.refusals, [reason])
    await until(`${host} is noted`, async () => (await noted(host)) === reason)
    await until('the connection ends', () => ear.closed() === 4003)
  }
  const foreign = (await enrol(rig.database, 'h9')).secret
  await refusedAs('credential_missing', 'h1', { secret: null })
  await refusedAs('credential_bad', 'h1', { secret: 'dtn_guess' })
  await refusedAs('credential_foreign', 'h1', { secret: foreign })
  await refusedAs('versions_unknown', 'h2', { versions: { ...readableVersions(), port: [99] } })
  await refusedAs('protocol_unknown', 'h3', { protocol: 2 })
  const revoked = (await enrol(rig.database, 'h4')).secret
  assert.equal(await revoke(rig.database, 'h4'), 1)
  await refusedAs('credential_revoked', 'h4', { secret: revoked })

  using well = await listener(rig, 'A', 'h1')
  await until('welcome', () => well.welcomed())
  well.beat()
  await until('refused no longer', async () => (await noted('h1')) === undefined || (await noted('h1')) === null)
  using stranger = await listener(rig, 'A', 'h1', { secret: 'dtn_guess' })
  await until('refused', () => stranger.refusals.length === 1)
  await sleep(100)
  assert.equal(await noted('h1'), null, 'a stranger does not darken an agent that is well')
})

test('two agents of one name do not take turns; a dead connection gives way', async () => {
  await using rig = await cloud()
  const feed = await rig.feed('A')
  using first = await listener(rig, 'A', 'h1')
  await until('the first', () => first.frames.length > 0)
  using second = await listener(rig, 'A', 'h1')
  await until('refused', () => second.refusals[0] === 'host_taken')
  assert.deepEqual(feed.hosts(), ['h1'])
  first.socket.pause()
  using third = await listener(rig, 'A', 'h1')
  await until('the third took over', () => third.frames.length > 0)
})

test('a credential revoked under an open connection ends it', async () => {
  await using rig = await cloud()
  await rig.feed('A')
  using ear = await listener(rig, 'A', 'h1')
  await until('in sync', () => ear.frames.length > 0)
  await revoke(rig.database, 'h1')
  await until('refused', () => ear.refusals[0] === 'credential_revoked')
})

test('what is no message ends the connection, and the feed lives on', async () => {
  await using rig = await cloud()
  await rig.feed('A')
  for (const bad of [
    '{',
    '{"type":"ack","frame":1}',
    '{"type":"hello"}',
    JSON.stringify({ type: 'report', realizations: 7 }),
  ]) {
    const socket = new WebSocket(rig.urlOf('A'))
    const code = new Promise((resolve) => socket.on('close', resolve))
    socket.on('open', () => socket.send(bad))
    assert.equal(await code, 4002, bad)
  }
  using ear = await listener(rig, 'A', 'h1')
  await until('in sync', () => ear.frames.length > 0)
})
