/**
 * Servers that are killed under load, with real processes all around: nothing written is lost, agents move over and
 * never go back in time, every port becomes ACTIVE, and then the feed is silent.
 */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { recompute } from '#feed/recompute.ts'
import { silentLogger } from '#kernel/log.ts'
import { type Database, openDatabase } from '#store/pool.ts'
import { splitKey } from '#wire/objects.ts'
import { type Ask, askAny, type CloudServer, type Program, startAgent, startServer, until } from '../lib/cloud.ts'
import { makeGround, type PortWriters, writePorts } from '../lib/port-writers.ts'
import { testDatabase } from '../lib/postgres.ts'

/** s-1 to s-8 live in one process and keep nothing; d1 and d2 have a process and a disk each. */
const SIMULATED = Array.from({ length: 8 }, (_, index) => `s-${index + 1}`)
const ON_DISK = ['d1', 'd2']
const HOSTS = [...SIMULATED, ...ON_DISK]

interface Agents {
  readonly all: readonly Program[]
  readonly disks: ReadonlyMap<string, { readonly program: Program; readonly state: string }>
}

/** Enrols every host and starts its agent; resolves when the servers know them all. */
async function startAgents(stack: AsyncDisposableStack, ask: Ask, servers: readonly CloudServer[]): Promise<Agents> {
  const folder = mkdtempSync(join(tmpdir(), 'deuteron-cloud-'))
  stack.defer(() => rmSync(folder, { recursive: true, force: true }))
  const credentials = join(folder, 'credentials')
  const lines = await Promise.all(
    HOSTS.map(
      async (host) =>
        `${host} ${(await ask('POST', 'agents/enrolments', { enrolment: { host } })).body.enrolment.secret}`,
    ),
  )
  writeFileSync(credentials, lines.join('\n'), { mode: 0o600 })
  const many = startAgent(stack, { host: 's', hosts: SIMULATED.length, servers, credentials, state: join(folder, 's') })
  const disks = ON_DISK.map((host, index) => {
    const state = join(folder, host)
    mkdirSync(state)
    const program = startAgent(stack, { host, servers, credentials, state, tunnelingIp: `192.0.2.${index + 1}` })
    return [host, { program, state }] as const
  })
  await until(
    'all agents reported',
    async () => (await ask('GET', 'agents?agent_type=Open%20vSwitch%20agent')).body.agents.length === HOSTS.length,
  )
  return { all: [many, ...disks.map(([, { program }]) => program)], disks: new Map(disks) }
}

/** Every port that was promised exists where it was put, and is ACTIVE; no other exists. */
async function portsAreRight(ask: Ask, { ports }: PortWriters): Promise<void> {
  type Row = { id: string; status: string; 'binding:host_id': string }
  const wrong = async (): Promise<string[]> => {
    const { body } = await ask('GET', 'ports?fields=id&fields=status&fields=binding:host_id&device_owner=compute:nova')
    const rows = new Map((body.ports as Row[]).map((row) => [row.id, row]))
    const lost = [...ports]
      .filter(([id, host]) => rows.get(id)?.['binding:host_id'] !== host)
      .map(([id]) => `${id} lost`)
    const surplus = [...rows.keys()].filter((id) => !ports.has(id)).map((id) => `${id} came back`)
    const down = [...rows.values()]
      .filter(({ status }) => status !== 'ACTIVE')
      .map(({ id, status }) => `${id} ${status}`)
    return [...lost, ...surplus, ...down]
  }
  await until('every port ACTIVE', async () => (await wrong()).length === 0).catch(() => undefined)
  assert.deepEqual(await wrong(), [])
}

type Report = Readonly<{ kind: string; id: string; generation: number; state: string }>
const REALIZED = new Set(['port', 'network', 'security_group'])
const line = ({ kind, id, generation, state }: Report): string => `${kind}/${id} ${generation} ${state}`

/** What each host reports is what SQL says it must have, generation by generation. */
async function realizationsAreRight(database: Database): Promise<void> {
  for (const host of HOSTS) {
    const want = [...(await recompute(database, host, 'openstacklocal'))].flatMap(([key, object]) => {
      const { type: kind, id } = splitKey(key)
      return REALIZED.has(kind)
        ? [line({ kind, id, generation: (object as { generation: number }).generation, state: 'done' })]
        : []
    })
    const said = async (): Promise<string[]> =>
      (
        await database.query<Report>('select kind, id, generation, state from realizations where host = $1', [host])
      ).map(line)
    const same = async (): Promise<boolean> => String((await said()).toSorted()) === String(want.toSorted())
    await until(`${host} has reported all`, same, 10_000).catch(() => undefined)
    assert.deepEqual((await said()).toSorted(), want.toSorted(), host)
  }
}

/** Stops the agents with a disk and compares what it holds, attribute by attribute. */
async function disksAreRight(database: Database, { disks }: Agents): Promise<void> {
  for (const [host, { program, state }] of disks) {
    await program.end('SIGTERM')
    const file = new DatabaseSync(join(state, 'world.db'))
    const rows = file.prepare('select key, body from object order by key').all()
    file.close()
    const want = [...(await recompute(database, host, 'openstacklocal'))].toSorted(([a], [b]) => (a < b ? -1 : 1))
    assert.ok(want.length > 0)
    assert.deepEqual(
      Object.fromEntries(rows.map(({ key, body }) => [key, JSON.parse(String(body))])),
      Object.fromEntries(want),
    )
  }
}

function agentsAreCalm({ all }: Agents): void {
  const log = all.flatMap((program) => program.log)
  assert.ok(log.filter(({ msg }) => msg === 'connected').length > HOSTS.length, 'somebody moved')
  const grave = log.filter(
    ({ level, msg, why }) =>
      level === 'error' || level === 'fatal' || level === 'text' || /known already/.test(`${msg} ${why}`),
  )
  assert.deepEqual(grave, [])
}

/** How long each host was without a server each time it lost one, in ms, from its agent's log. */
function outages({ all }: Agents): number[] {
  const lostAt = new Map<unknown, number>()
  const found: number[] = []
  for (const { msg, host, time } of all.flatMap((program) => program.log)) {
    const at = Date.parse(String(time))
    const since = lostAt.get(host)
    if (msg.startsWith('no connection')) lostAt.set(host, since ?? at)
    else if (msg === 'connected' && since !== undefined) {
      found.push(at - since)
      lostAt.delete(host)
    }
  }
  return found
}

/** Messages that a server has sent to agents since it started. */
async function messagesOf({ url }: CloudServer): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  return Number(/^deuteron_feed_messages_total (\d+)/m.exec(text)?.[1])
}

/** Heartbeats go on for 20 s, and nothing is sent to anybody. */
async function feedIsSilent(servers: readonly CloudServer[]): Promise<void> {
  const before = await Promise.all(servers.map(messagesOf))
  assert.ok(before.every(Number.isFinite) && before.some((count) => count > 0), String(before))
  await sleep(20_000)
  assert.deepEqual(await Promise.all(servers.map(messagesOf)), before)
}

const databaseOf = (stack: AsyncDisposableStack, url: string): Database => {
  const database = openDatabase({ url, size: 2, log: silentLogger, agentDownTime: 75 })
  stack.defer(() => database.close())
  return database
}

test('two servers, killed in turn under load: nothing lost, agents never go back, then silence', {
  timeout: 180_000,
}, async (t) => {
  await using db = await testDatabase()
  await using stack = new AsyncDisposableStack()
  const servers = await Promise.all([1, 2].map(() => startServer(stack, { database: db.url })))
  const ask = askAny(servers)
  const agents = await startAgents(stack, ask, servers)
  const writers = writePorts(ask, await makeGround(ask, HOSTS), 6)
  for (let kills = 0; kills < 8; kills++) {
    await sleep(500 + Math.random() * 2000)
    const victim = servers[kills < 2 ? kills : Math.floor(Math.random() * 2)] as CloudServer
    await victim.kill()
    await sleep(Math.random() * 1500)
    await victim.start()
  }
  await writers.stop()
  t.diagnostic(`${JSON.stringify(writers.done)}, ${writers.ports.size} ports stand`)
  const database = databaseOf(stack, db.url)
  await portsAreRight(ask, writers)
  await realizationsAreRight(database)
  await feedIsSilent(servers)
  agentsAreCalm(agents)
  const longest = Math.max(...outages(agents))
  t.diagnostic(`${outages(agents).length} moves, the longest ${longest} ms without a server`)
  assert.ok(longest < 3000, 'the other server is found at once')
  await disksAreRight(database, agents)
})

test('a worker of a server is killed, the API’s or the feed’s: it is replaced and nothing is lost', {
  timeout: 120_000,
}, async (t) => {
  await using db = await testDatabase()
  await using stack = new AsyncDisposableStack()
  const server = await startServer(stack, { database: db.url, workers: 2 })
  const ask = askAny([server])
  const agents = await startAgents(stack, ask, [server])
  const writers = writePorts(ask, await makeGround(ask, HOSTS), 6)
  const workers = (msg: string): number[] =>
    server.running.log.filter((one) => one.msg === msg).map(({ pid = 0 }) => pid)
  for (const served of ['the API is served', 'agents are served', 'the API is served', 'agents are served']) {
    await sleep(1500)
    const before = workers(served)
    process.kill(before.at(-1) as number, 'SIGKILL')
    await until('a worker in its place', () => workers(served).length === before.length + 1)
  }
  await writers.stop()
  t.diagnostic(`${JSON.stringify(writers.done)}, ${writers.ports.size} ports stand`)
  const database = databaseOf(stack, db.url)
  await portsAreRight(ask, writers)
  await realizationsAreRight(database)
  agentsAreCalm(agents)
  await disksAreRight(database, agents)
})
