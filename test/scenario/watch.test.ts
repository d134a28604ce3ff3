/** `GET /v2.0/watch`: nothing missed, nothing twice, nothing that the caller may not see. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createApi } from '#api/server.ts'
import { silentLogger } from '#kernel/log.ts'
import { createRegistry } from '#kernel/metrics.ts'
import { createNotifier } from '#store/notify.ts'
import { hostsIn } from '../../bin/feed.ts'
import { callerOf, direct, type Direct, workers } from '../lib/direct.ts'
import { testServer, type TestServer } from '../lib/server.ts'
import { type SseEvent, subscribe } from '../lib/sse.ts'
import { readWhole } from '../lib/verify-log.ts'

let server: TestServer
let admin: Direct
before(async () => {
  server = await testServer({ settings: { databasePool: 30, quotaPort: -1, quotaNetwork: -1 } })
  admin = direct(server.core)
})
after(() => server?.close())

const memberOf = (project: string) => ({
  'x-project-id': project,
  'x-user-id': `user-of-${project}`,
  'x-roles': 'member',
})
const changes = (events: readonly SseEvent[]): SseEvent[] =>
  events.filter(({ event }) => ['create', 'update', 'delete'].includes(event))

test('a subscriber that comes and goes while 50 writers commit misses nothing and gets nothing twice', async () => {
  const first = await subscribe(server.url)
  await first.until(({ event }) => event === 'start')
  const made: string[] = []
  let writing = true
  const writers = Promise.all(
    Array.from({ length: 50 }, async (_, writer) => {
      const { id } = await admin.make('network', { name: `w${writer}` })
      made.push(id)
      for (let step = 0; step < 3; step++) await admin.update('network', id, { name: `w${writer}-${step}` })
      await admin.remove('network', id)
    }),
  ).finally(() => (writing = false))
  const got: SseEvent[] = []
  let current = first
  let visits = 1
  for (; writing; visits++) {
    await sleep(5 + Math.random() * 60)
    current.leave()
    await current.ended
    got.push(...changes(current.events))
    current = await subscribe(server.url, { from: current.lastId() })
  }
  await writers
  const end = await admin.make('network', { name: 'end' })
  await current.until(({ data }) => data.id === end['id'])
  current.leave()
  got.push(...changes(current.events))
  assert.ok(visits > 3, `${visits} visits`)
  assert.equal(new Set(got.map(({ id }) => id)).size, got.length, 'an event came twice')
  const logged = (await readWhole(server.database)).filter((row) => row.kind === 'network')
  const here = new Set([...made, end['id']])
  assert.deepEqual(
    got.filter(({ data }) => here.has(data.id)).map(({ id }) => id),
    logged.filter((row) => here.has(row.id)).map((row) => row.cursor),
  )
})

test('a member sees its own; a share appears and, revoked, goes without a word', async () => {
  const member = await subscribe(server.url, { headers: memberOf('tenant') })
  await member.until(({ event }) => event === 'start')
  const tenant = direct(server.core, 'tenant', ['member'])
  const hidden = await admin.make('network', { name: 'hidden' })
  const secret = await admin.make('subnet', { network_id: hidden['id'], cidr: '10.66.0.0/24', ip_version: 4 })
  await admin.update('network', hidden['id'], { shared: true })
  const appeared = await member.until(({ data }) => data.id === hidden['id'])
  assert.equal(appeared.event, 'create')
  assert.equal(appeared.data.before, null)
  assert.equal(appeared.data.after.name, 'hidden')
  assert.equal('provider:segmentation_id' in appeared.data.after, false)
  assert.equal((await member.until(({ data }) => data.id === secret['id'])).event, 'create')
  await admin.update('network', hidden['id'], { shared: false })
  const gone = await member.until(({ event, data }) => event === 'delete' && data.id === hidden['id'])
  assert.deepEqual([gone.data.before, gone.data.after], [null, null])
  const subnetGone = await member.until(({ event, data }) => event === 'delete' && data.id === secret['id'])
  assert.deepEqual([subnetGone.data.before, subnetGone.data.after], [null, null])
  const seen = member.events.length
  await admin.update('subnet', secret['id'], { name: 'classified' })
  await admin.update('network', hidden['id'], { name: 'classified' })
  await admin.make('port', { network_id: hidden['id'], name: 'classified' })
  const own = await tenant.make('network', { name: 'own' })
  await member.until(({ data }) => data.id === own['id'])
  assert.deepEqual(
    changes(member.events.slice(seen)).filter(({ data }) => data.id !== own['id']),
    [],
  )
  assert.equal(JSON.stringify(member.events).includes('classified'), false)
  member.leave()
})

for (const { when, project, removed } of [
  { when: 'of the time between', project: 'absent', removed: false },
  { when: 'when the object is gone as well', project: 'late', removed: true },
]) {
  test(`a share revoked while the subscriber was away leaks nothing ${when}`, async () => {
    const member = await subscribe(server.url, { headers: memberOf(project) })
    await member.until(({ event }) => event === 'start')
    const net = await admin.make('network', { name: 'lent', shared: true })
    await member.until(({ data }) => data.id === net['id'])
    const from = member.lastId()
    member.leave()
    await admin.update('network', net['id'], { name: 'renamed' })
    await admin.update('network', net['id'], { shared: false })
    await admin.update('network', net['id'], { name: 'unseen' })
    if (removed) await admin.remove('network', net['id'])
    const back = await subscribe(server.url, { headers: memberOf(project), from })
    await back.until(({ event, data }) => event === 'delete' && data.id === net['id'])
    const own = await direct(server.core, project, ['member']).make('network', {})
    await back.until(({ data }) => data.id === own['id'])
    const text = JSON.stringify(back.events)
    assert.equal(text.includes('renamed') || text.includes('unseen'), false)
    back.leave()
  })
}

test('kinds are filtered, and an unknown one is refused', async () => {
  const ports = await subscribe(server.url, { query: '?kind=port&kind=subnet' })
  const net = await admin.make('network', {})
  const port = await admin.make('port', { network_id: net['id'] })
  await ports.until(({ data }) => data.id === port['id'])
  assert.deepEqual([...new Set(changes(ports.events).map(({ data }) => data.kind))], ['port'])
  ports.leave()
  const refused = await subscribe(server.url, { query: '?kind=cow' })
  await refused.ended
  assert.equal(refused.status, 400)
})

test('an unreadable position is refused; one of another time is answered with a reset', async () => {
  const bad = await subscribe(server.url, { from: 'yesterday' })
  await bad.ended
  assert.equal(bad.status, 400)
  const { era, xmax } = await fence()
  for (const from of [`${era}.${xmax + 1_000_000n}.1`, `${era + 1}.1.1`, `${era - 1}.1.1`]) {
    const strange = await subscribe(server.url, { from })
    const reset = await strange.until(({ event }) => event === 'reset')
    assert.equal(reset.data.reason, 'era_changed')
    const net = await admin.make('network', {})
    await strange.until(({ data }) => data.id === net['id'])
    strange.leave()
  }
})

const fence = async () => {
  const { readFence } = await import('#store/change-reader.ts')
  return readFence(server.database)
}

/** An API of its own on the server's core, for callers whose token ends soon. */
async function shortLived(milliseconds: number) {
  const notifier = createNotifier(server.databaseUrl, silentLogger)
  const identity = {
    authenticate: async () => ({ ...callerOf('p1'), expiresAt: new Date(Date.now() + milliseconds) }),
  }
  const app = createApi({
    core: { ...server.core, notifier },
    identity,
    ...hostsIn(server.database),
    hint: () => notifier.hint(),
    metrics: createRegistry(),
    log: silentLogger,
    maxBodySize: 1e6,
    requestTimeout: 60,
    maxLimit: 1000,
  })
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  return { url, close: () => app.close().then(() => notifier.close()) }
}

test('the stream ends with the token, also for a client that does not read', async () => {
  const { url, close } = await shortLived(600)
  const began = Date.now()
  const watcher = await subscribe(url)
  const stuck = await subscribe(url)
  stuck.response.pause()
  const end = await watcher.until(({ event }) => event === 'end')
  assert.equal(end.data.reason, 'token_expired')
  await watcher.ended
  assert.ok(Date.now() - began >= 590 && Date.now() - began < 5000)
  // What comes after the end is written to nobody, and breaks nothing.
  const { id } = await admin.make('network', { name: 'x'.repeat(200) })
  for (let step = 0; step < 5; step++) await admin.update('network', id, { name: `after ${step}` })
  stuck.leave()
  await close()
})

test('a client that stops reading costs neither memory nor other clients', async () => {
  const slow = await subscribe(server.url)
  await slow.until(({ event }) => event === 'start')
  slow.response.pause()
  const quick = await subscribe(server.url)
  await quick.until(({ event }) => event === 'start')
  const { id } = await admin.make('network', {})
  const description = 'd'.repeat(255)
  let left = 40
  const values = Array.from({ length: 50 }, (_, index) => ({
    network_id: id,
    name: 'n'.repeat(200),
    description,
    device_id: `${index}`,
  }))
  await workers(4, async () => {
    if (left-- <= 0) return false
    await admin.makeMany('port', values)
    return true
  })
  const last = await admin.make('network', { name: 'last' })
  await quick.until(({ data }) => data.id === last['id'], 20_000)
  const connections = await sockets()
  // Events of some 4 MB are waiting; what the server holds of them is its sockets' buffers and one batch.
  assert.ok(
    connections.every((length) => length < 200_000),
    String(connections),
  )
  slow.response.resume()
  await slow.until(({ data }) => data.id === last['id'], 20_000)
  assert.equal(new Set(slow.events.map((one) => one.id)).size, new Set(quick.events.map((one) => one.id)).size)
  slow.leave()
  quick.leave()
})

/** Bytes queued in this process for each connection of the API. */
const sockets = async (): Promise<number[]> => {
  const handles = (
    process as unknown as { _getActiveHandles(): { writableLength?: number; server?: unknown }[] }
  )._getActiveHandles()
  return handles.filter((one) => one.server === server.app.server).map((one) => one.writableLength ?? 0)
}

test('kinds without changes of their own are refused with the reason, all others can be watched', async () => {
  const views = await server.database.query<{ relname: string }>(
    `select relname from pg_class where relkind = 'v' and relnamespace = 'public'::regnamespace`,
  )
  const computed = new Set(views.map(({ relname }) => relname))
  for (const { name, table, operations } of server.core.model.resources.values()) {
    if (operations.length === 0) continue
    const url = `${server.url}/v2.0/watch?kind=${name}`
    const stop = new AbortController()
    const { status, body } = await fetch(url, { signal: stop.signal })
    if (status === 200) {
      assert.ok(!computed.has(table), name)
      stop.abort()
      continue
    }
    assert.equal(status, 400, name)
    const { NeutronError } = (await new Response(body).json()) as { NeutronError: { message: string; facts: object } }
    assert.match(NeutronError.message, new RegExp(`'${name}' is computed from other objects`))
  }
  const unknown = await server.admin.get('watch?kind=nothing')
  assert.equal(unknown.status, 400)
  assert.match(unknown.body.NeutronError.message, /'nothing' is no kind/)
})
