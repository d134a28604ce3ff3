/**
 * Two real servers, one outbox: whoever works on it is killed again and again while ports turn ACTIVE and DOWN and Nova
 * breaks; every event arrives at least once, those of a port in their order, and the other server takes over in seconds.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort, REPOSITORY } from '../lib/installation.ts'
import { type NovaEvent, novaStub } from '../lib/nova-stub.ts'
import { proves, serverPort } from '../lib/outbox.ts'
import { testServer } from '../lib/server.ts'

interface Running {
  readonly worksOnIt: () => boolean
  kill(): Promise<void>
}

async function start(stack: AsyncDisposableStack, database: string, nova: string): Promise<Running> {
  const [port, feedPort] = [await freePort(), await freePort()]
  const settings = { database, port, 'feed-port': feedPort, identity: 'none', 'nova-endpoint-override': nova }
  const flags = Object.entries({ ...settings, 'send-events-interval': '0s' }).map(
    ([name, value]) => `--${name}=${value}`,
  )
  const argv = ['--disable-warning=ExperimentalWarning', join(REPOSITORY, 'bin/server.ts'), ...flags]
  const child = spawn(process.execPath, argv, { cwd: '/', stdio: ['ignore', 'ignore', 'pipe'] })
  let log = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    log += chunk.toString('utf8')
  })
  const gone = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL')
    await gone
  }
  stack.defer(kill)
  return { kill, worksOnIt: () => log.includes('this server works on the outbox') }
}

/** Leaves out what came again: an event, or a run of them, that was told before. */
const isRepetitionOf = (wanted: readonly string[], heard: readonly string[]): boolean => {
  let reached = 0
  for (const name of heard) {
    if (name === wanted[reached]) reached++
    else if (name !== wanted[reached - 1]) return false
  }
  return reached === wanted.length
}

test('a server that is killed while it delivers loses nothing and overtakes nothing', async () => {
  await using stack = new AsyncDisposableStack()
  const server = stack.use(await testServer())
  const nova = stack.use(await novaStub())
  nova.fault = () => (Math.random() < 0.2 ? 'forget' : Math.random() < 0.1 ? 503 : null)
  nova.delayMs = 15
  const network = String((await server.admin.make('network', {}))['id'])
  await server.admin.make('subnet', { network_id: network, ip_version: 4, cidr: '10.0.0.0/16' })
  const ports: string[] = []
  for (let count = 0; count < 12; count++) ports.push((await serverPort(server, network)).port)
  let [worker, other] = [
    await start(stack, server.databaseUrl, nova.url),
    await start(stack, server.databaseUrl, nova.url),
  ]
  await until('one works on it', () => worker.worksOnIt() || other.worksOnIt())
  if (other.worksOnIt()) [worker, other] = [other, worker]
  assert.ok(!other.worksOnIt(), 'two work on it')
  const wanted: string[] = []
  for (let round = 0; round < 3; round++) {
    for (const up of [true, false]) {
      await proves(server, ports, up)
      wanted.push(up ? 'network-vif-plugged' : 'network-vif-unplugged')
    }
    const before = nova.taken.length
    await until('it delivers', () => nova.taken.length > before + Math.random() * 10)
    await worker.kill()
    const killed = performance.now()
    await until('the other takes over', () => other.worksOnIt(), 15_000)
    assert.ok(performance.now() - killed < 10_000)
    ;[worker, other] = [other, await start(stack, server.databaseUrl, nova.url)]
  }
  const heard = (port: string, events: readonly NovaEvent[] = nova.taken): string[] =>
    events.filter(({ tag }) => tag === port).map(({ name }) => name)
  await until('all is told', () => ports.every((port) => isRepetitionOf(wanted, heard(port))), 60_000)
  await until('and known to be', async () => {
    const [row] = await server.database.query("/* once */ select 1 from outbox_events where state <> 'done'")
    return row === undefined
  })
  for (const port of ports) assert.ok(isRepetitionOf(wanted, heard(port)), heard(port).join(' '))
})

async function until(what: string, is: () => boolean | Promise<boolean>, ms = 30_000): Promise<void> {
  for (const end = performance.now() + ms; !(await is()); await sleep(20))
    if (performance.now() > end) assert.fail(`not reached: ${what}`)
}
