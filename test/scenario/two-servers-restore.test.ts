/**
 * A backup is restored while hosts keep what they know of the history that is lost: their agents take the restored
 * state, remove nothing before they know all of it, and what is the same in both stays as it is.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { type Agent, createAgent } from '#agent/agent.ts'
import { createSimDataplane, createSimHost, type SimHost } from '#dataplane/sim/index.ts'
import { recompute } from '#feed/recompute.ts'
import { silentLogger } from '#kernel/log.ts'
import { startThrowawayPostgres } from '#launch/throwaway.ts'
import { openDatabase } from '#store/pool.ts'
import { eraOf } from '#wire/position.ts'
import { Client } from 'pg'
import { type Ask, askAny, type CloudServer, startServer, until } from '../lib/cloud.ts'
import { type Ground, makeGround } from '../lib/port-writers.ts'
import { REPOSITORY } from '../lib/installation.ts'
import { testDatabase } from '../lib/postgres.ts'
import { worldOf } from './feed-rig.ts'

/** A simulated machine: what stands on it outlives its agents; removals are noted with what the agent knew. */
interface Machine {
  readonly name: string
  readonly agent: Agent
  readonly standing: () => string[]
  readonly removals: { readonly key: string; readonly inSync: boolean }[]
  restart(): Promise<void>
  stop(): Promise<void>
}

async function machine(
  stack: AsyncDisposableStack,
  ask: Ask,
  name: string,
  server: CloudServer,
  folder: string,
): Promise<Machine> {
  const { body } = await ask('POST', 'agents/enrolments', { enrolment: { host: name } })
  const host = createSimHost()
  const removals: { key: string; inSync: boolean }[] = []
  const watched: SimHost = Object.create(host, {
    remove: {
      value: (key: never) => {
        if (host.standing.has(key)) removals.push({ key, inSync: agent.status().inSync })
        host.remove(key)
      },
    },
  })
  const stateDir = join(folder, name)
  mkdirSync(stateDir)
  const create = (): Agent =>
    createAgent({
      host: name,
      agentVersion: 'test',
      dataplane: createSimDataplane({ host: watched, autoPlug: true, tunnelingIp: `192.0.2.${name.slice(1)}` }),
      stateDir,
      servers: [`${server.feedUrl}/agent`],
      credential: body.enrolment.secret,
      log: silentLogger,
      heartbeatMs: 2000,
    })
  let agent = create()
  await agent.start()
  const stop = (): Promise<void> => agent.stop().catch(() => undefined)
  stack.defer(stop)
  return {
    name,
    get agent() {
      return agent
    },
    standing: () => [...host.standing.keys()].toSorted(),
    removals,
    restart: async () => {
      agent = create()
      await agent.start()
    },
    stop,
  }
}

async function makePort(ask: Ask, { networks, groups }: Ground, host: string): Promise<string> {
  const port = {
    network_id: networks[0],
    security_groups: [groups[0]],
    'binding:host_id': host,
    device_owner: 'compute:nova',
  }
  const answer = await ask('POST', 'ports', { port })
  assert.equal(answer.status, 201, JSON.stringify(answer.body))
  return answer.body.port.id
}

/** Agents know what SQL says, hosts report it in the generations of SQL, and every bound port is ACTIVE. */
async function settled(machines: readonly Machine[], url: string): Promise<void> {
  await using stack = new AsyncDisposableStack()
  const database = openDatabase({ url, size: 2, log: silentLogger, agentDownTime: 75 })
  stack.defer(() => database.close())
  const late = async (): Promise<string[]> => {
    const rows = await database.query<{ what: string }>(
      `select format('port %s is %s at %s', p.id, p.status, p.binding_host) as what from ports p
         where p.binding_host <> '' and p.status <> 'ACTIVE'
       union all select format('%s: port %s in generation %s of %s', p.binding_host, p.id, r.generation, p.revision_number)
         from ports p left join realizations r on r.host = p.binding_host and r.kind = 'port' and r.id = p.id
         where p.binding_host <> '' and (r.generation, r.state) is distinct from (p.revision_number::bigint, 'done')`,
    )
    const worlds = await Promise.all(
      machines.map(async ({ name, agent }) => {
        const want = [...(await recompute(database, name, 'openstacklocal'))].toSorted(([a], [b]) => (a < b ? -1 : 1))
        const same = JSON.stringify(sorted(want)) === JSON.stringify(sorted([...worldOf(agent)]))
        return same && agent.status().inSync && agent.status().connected ? [] : [`${name} does not know what it should`]
      }),
    )
    return [...rows.map(({ what }) => what), ...worlds.flat()]
  }
  let lateNow: string[] = []
  const none = async (): Promise<boolean> => (lateNow = await late()).length === 0
  await until('settled', none, 20_000).catch((error: Error) => assert.fail(`${error.message}: ${lateNow.join('; ')}`))
}

/** Members in one order, for comparing as text. */
const sorted = (value: unknown): unknown =>
  Array.isArray(value)
    ? value.map(sorted)
    : value && typeof value === 'object'
      ? Object.fromEntries(
          Object.entries(value)
            .toSorted(([a], [b]) => (a < b ? -1 : 1))
            .map(([key, member]) => [key, sorted(member)]),
        )
      : value

const deuteron = (...args: string[]): Promise<unknown> =>
  promisify(execFile)(process.execPath, [
    '--disable-warning=ExperimentalWarning',
    join(REPOSITORY, 'bin/ctl.ts'),
    ...args,
  ])

/** Lets the cluster's transaction numbers run ahead of those of a new one. */
async function age(url: string): Promise<void> {
  const client = new Client({ connectionString: url })
  await client.connect()
  for (let left = 3000; left > 0; left--) await client.query('select pg_current_xact_id()')
  await client.end()
}

test('agents follow a restored backup, whatever they knew before', { timeout: 120_000 }, async () => {
  await using original = await testDatabase()
  await using restored = await testDatabase()
  await using stack = new AsyncDisposableStack()
  const folder = mkdtempSync(join(tmpdir(), 'deuteron-restore-'))
  stack.defer(() => rmSync(folder, { recursive: true, force: true }))
  const server = await startServer(stack, { database: original.url })
  const ask = askAny([server])
  const machines = [await machine(stack, ask, 'h1', server, folder), await machine(stack, ask, 'h2', server, folder)]
  const [, sleeper] = machines as [Machine, Machine]
  await until(
    'agents',
    async () => (await ask('GET', 'agents?agent_type=Open%20vSwitch%20agent')).body.agents.length === 2,
  )
  const ground = await makeGround(ask, ['h1', 'h2'])
  const kept = await Promise.all(['h1', 'h1', 'h2', 'h2'].map((host) => makePort(ask, ground, host)))
  const deleted = await makePort(ask, ground, 'h2')
  await settled(machines, original.url)
  const backup = join(folder, 'backup')
  await deuteron('db', 'backup', backup, '--database', original.url)

  /** What the backup does not know. */
  const goOn = async (): Promise<string[]> => {
    for (const name of ['a', 'b', 'c']) await ask('PUT', `ports/${kept[0]}`, { port: { name } })
    await ask('DELETE', `ports/${deleted}`)
    return await Promise.all(['h1', 'h2'].map((host) => makePort(ask, ground, host)))
  }
  const follow = async (from: string, to: string, unknown: readonly string[]): Promise<void> => {
    await settled(machines, from)
    const before = machines.map(({ agent }) => eraOf(String(agent.status().position)))
    for (const { removals } of machines) removals.splice(0)
    await deuteron('db', 'restore', backup, '--database', to)
    await server.kill()
    await sleeper.stop()
    await server.start(to)
    await sleeper.restart()
    await settled(machines, to)
    const removed = machines.flatMap(({ removals }) => removals)
    assert.deepEqual(removed.map(({ key }) => key).toSorted(), unknown.map((id) => `port/${id}`).toSorted())
    assert.ok(
      removed.every(({ inSync }) => inSync),
      'nothing goes before all is known',
    )
    const ports = machines.flatMap(({ standing }) => standing().filter((key) => key.startsWith('port/')))
    assert.deepEqual(ports.toSorted(), [...kept, deleted].map((id) => `port/${id}`).toSorted())
    for (const [index, { agent }] of machines.entries())
      assert.notEqual(eraOf(String(agent.status().position)), before[index])
  }
  await follow(original.url, restored.url, await goOn())

  // The same backup once more, into a cluster whose transactions are younger than those the agents know.
  await age(restored.url)
  const { url } = await startThrowawayPostgres()
  await follow(restored.url, url, await goOn())
})
