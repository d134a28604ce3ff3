/** Drivers that follow: every committed change once it stands, in order for each object, whatever fails or stops. */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'node:test'
import type { BindingChange, MechanismDriver } from '#core/contracts.ts'
import { silentLogger } from '#kernel/log.ts'
import { createRegistry, type Registry } from '#kernel/metrics.ts'
import { type FollowOptions, startFollowers } from '#outbox/follow.ts'
import { answered } from '../lib/refused.ts'
import { type TestServer, testServer } from '../lib/server.ts'

const driver = (name: string, follow: NonNullable<MechanismDriver['follow']>): MechanismDriver => ({
  name,
  connectivity: 'l2',
  bind: () => ({ refused: 'binds_nothing', facts: {} }),
  follow,
})

const started = ({ database }: TestServer, drivers: readonly MechanismDriver[], more: Partial<FollowOptions> = {}) =>
  startFollowers({
    database,
    drivers,
    hint: () => sleep(20),
    log: silentLogger,
    leaseSeconds: 1,
    delayMs: () => 10,
    ...more,
  })

interface Standing {
  readonly change: string | null
  readonly failures: number
  readonly error: string | null
  readonly [name: string]: unknown
}

/** What administrators see of a driver. */
const standingOf = async ({ admin }: TestServer, name: string): Promise<Standing> =>
  answered(await admin.get(`outbox-drivers/${name}`), 200).outbox_driver

const skip = ({ admin }: TestServer, name: string, change: unknown) =>
  admin.put(`outbox-drivers/${name}/skip`, { change })

const lagOf = async (registry: Registry, driver: string): Promise<number | undefined> => {
  const text = await registry.getSingleMetricAsString('deuteron_driver_follow_lag_seconds')
  const value = new RegExp(`driver="${driver}"} (\\S+)`).exec(text)?.[1]
  return value === undefined ? undefined : Number(value)
}

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let waited = 0; !(await holds()); waited += 10) {
    if (waited > 10_000) assert.fail(`never: ${what}`)
    await sleep(10)
  }
}

/** The place is durable only once it is there: a change before it is none of the driver's. */
const begun = async ({ database }: TestServer, name: string): Promise<void> => {
  for (let tries = 0; tries < 500; tries++) {
    if ((await database.query('select 1 from outbox_readers where name = $1', [`driver ${name}`])).length > 0) return
    await sleep(10)
  }
  assert.fail(`${name} never began`)
}

const brief = ({ kind, op, generation }: BindingChange): string => `${kind} ${op} ${generation}`

test('a driver that fails is told again and keeps no other waiting', async () => {
  await using server = await testServer()
  const good: BindingChange[] = []
  const bad: BindingChange[] = []
  let broken = true
  const followers = started(server, [
    driver('good', async (change) => void good.push(change)),
    driver('bad', async (change) => {
      if (broken && change.kind === 'port') throw new Error('the controller is down')
      bad.push(change)
    }),
    { name: 'silent', connectivity: 'l2', bind: () => ({ refused: 'binds_nothing', facts: {} }) },
  ])
  await Promise.all([begun(server, 'good'), begun(server, 'bad')])
  const network = await server.admin.make('network', { name: 'n' })
  const port = await server.admin.make('port', { network_id: network['id'], name: 'a' })
  await server.admin.put(`ports/${port['id']}`, { port: { name: 'b' } })
  await server.admin.delete(`ports/${port['id']}`)
  const whole = ['port create 1', 'port update 2', 'port delete 3']
  const ofPort = (told: readonly BindingChange[]) => told.filter(({ id }) => id === port['id']).map(brief)
  await until('the good one hears all', () => ofPort(good).length === 3)
  assert.deepEqual(ofPort(good), whole)
  assert.deepEqual(ofPort(bad), [], 'and the bad one stands at the first')
  assert.ok(good.some(({ kind, op }) => kind === 'network' && op === 'create'))
  assert.deepEqual([good.find(({ op }) => op === 'update')?.before?.['name']], ['a'])
  broken = false
  await until('the bad one hears all', () => ofPort(bad).length === 3)
  assert.deepEqual(ofPort(bad), whole)
  await followers.close()
  const places = await server.database.query<{ name: string }>(
    "select name from outbox_readers where name like 'driver %' order by name",
  )
  assert.deepEqual(
    places.map(({ name }) => name),
    ['driver bad', 'driver good'],
  )
})

test('what was taken is not told again after a restart, what was not is; one server tells at a time', async () => {
  await using server = await testServer()
  const told: string[] = []
  let stuck = true
  let once = 0
  let most = 0
  const make = (): MechanismDriver =>
    driver('one', async (change) => {
      most = Math.max(most, ++once)
      await sleep(1)
      once--
      if (change.kind !== 'network') return
      if (stuck && change.after?.['name'] === 'n3') throw new Error('not yet')
      told.push(String(change.after?.['name']))
    })
  const first = started(server, [make()])
  await begun(server, 'one')
  await server.admin.make('network', { name: 'n1' })
  await until('n1 is taken', () => told.includes('n1'))
  // The place moves behind what was taken.
  await sleep(200)
  const second = started(server, [make()])
  for (const name of ['n2', 'n3', 'n4']) await server.admin.make('network', { name })
  await until('it stands before n3', () => told.includes('n2'))
  await first.close()
  stuck = false
  await until('the second goes on', () => told.includes('n4'))
  await second.close()
  const order = told.filter((name, index) => told.indexOf(name) === index)
  assert.deepEqual(order, ['n1', 'n2', 'n3', 'n4'])
  assert.equal(told.filter((name) => name === 'n1').length, 1)
  assert.equal(most, 1, 'never two at once')
})

test('a driver that never answers does not keep the server from stopping, and is told again', async () => {
  await using server = await testServer()
  const asked: string[] = []
  const hanging = started(server, [
    driver('slow', async ({ after }) => {
      asked.push(String(after?.['name']))
      await new Promise(() => undefined)
    }),
  ])
  await begun(server, 'slow')
  await server.admin.make('network', { name: 'waits' })
  await until('it is asked', () => asked.length > 0)
  await hanging.close()
  const heard: string[] = []
  const next = started(server, [driver('slow', async ({ after }) => void heard.push(String(after?.['name'])))])
  await until('it is told again', () => heard.includes('waits'))
  await next.close()
})

test('what a driver never takes is seen, counted, and skipped when it is named; nothing else is', async () => {
  await using server = await testServer()
  const taken: string[] = []
  const registry = createRegistry()
  const throws = driver('throws', async ({ kind, after }) => {
    const name = String(after?.['name'])
    if (kind === 'network' && name.startsWith('bad')) throw new Error(`the controller knows no ${name}`)
    if (kind === 'network') taken.push(name)
  })
  const followers = started(server, [throws], { registry })
  await begun(server, 'throws')
  const bad = await server.admin.make('network', { name: 'bad1' })
  await server.admin.make('network', { name: 'good' })
  await server.admin.make('network', { name: 'bad2' })
  await until('it failed more than once', async () => (await standingOf(server, 'throws')).failures > 2)
  const standing = await standingOf(server, 'throws')
  const { change, kind, op, object_id, error, generation, told, failing } = standing
  assert.deepEqual(
    { kind, op, object_id, error, generation, told, failing },
    {
      kind: 'network',
      op: 'create',
      object_id: bad['id'],
      error: 'the controller knows no bad1',
      generation: 1,
      told: true,
      failing: true,
    },
  )
  const [logged] = await server.database.query<{ cursor: string }>(
    "/* once */ select concat_ws('.', era, xid, seq) as cursor from change where kind = 'network' and id = $1",
    [bad['id']],
  )
  assert.equal(change, logged?.cursor)
  assert.ok(Date.parse(String(standing['failing_since'])) <= Date.parse(String(standing['tried_at'])))
  assert.ok(Number(await lagOf(registry, 'throws')) > 0)
  const counted = await registry.getSingleMetricAsString('deuteron_driver_follow_failures_total')
  assert.match(counted, /driver="throws"} [1-9]/)

  const elsewhere = await skip(server, 'throws', '1.2.3')
  assert.equal(elsewhere.status, 409)
  assert.equal(elsewhere.body.NeutronError.type, 'OutboxDriverStandsElsewhere')
  assert.match(elsewhere.body.NeutronError.message, new RegExp(`is ${change}\\.$`))
  assert.equal((await skip(server, 'throws', undefined)).status, 400)
  assert.equal((await skip(server, 'nobody', change)).status, 404)
  assert.equal((await server.as('somebody').put('outbox-drivers/throws/skip', { change })).status, 404)
  assert.equal(taken.length, 0)

  answered(await skip(server, 'throws', change), 202)
  await until('it goes on, to the next it fails at', async () => {
    const { change: at, error: why } = await standingOf(server, 'throws')
    return at !== change && why === 'the controller knows no bad2'
  })
  assert.deepEqual(taken, ['good'])
  assert.equal((await skip(server, 'throws', change)).status, 409, 'the first is behind it')
  answered(await skip(server, 'throws', (await standingOf(server, 'throws')).change), 202)
  await server.admin.make('network', { name: 'last' })
  await until('it takes what comes', () => taken.includes('last'))
  await until('nothing is left of it', async () => (await standingOf(server, 'throws'))['behind_since'] === null)
  const over = await standingOf(server, 'throws')
  assert.deepEqual([over.change, over.failures, over.error, over['failing']], [null, 0, null, false])
  await until('nor of its lag', async () => (await lagOf(registry, 'throws')) === 0)
  const asked = await server.database.query<{ change: string }>(
    "/* once */ select after ->> 'change' as change from change where kind = 'outbox_skip' and actor <> '' order by era, xid, seq",
  )
  assert.equal(asked.length, 2)
  assert.equal(asked[0]?.change, change)
  await followers.close()
  assert.equal(await lagOf(registry, 'throws'), undefined, 'who does not tell it says nothing of it')
})

test('a driver that hangs counts as failing, hears that it is too late, and can be skipped while it hangs', async () => {
  await using server = await testServer()
  const signals: AbortSignal[] = []
  const taken: string[] = []
  const hangs = driver('hangs', async ({ after }, signal) => {
    if (after?.['name'] !== 'stuck') return void taken.push(String(after?.['name']))
    signals.push(signal)
    await new Promise(() => undefined)
  })
  const followers = started(server, [hangs], { limitMs: 300 })
  await begun(server, 'hangs')
  await server.admin.make('network', { name: 'stuck' })
  await server.admin.make('network', { name: 'next' })
  await until('it failed twice', async () => (await standingOf(server, 'hangs')).failures >= 2)
  const { error, change } = await standingOf(server, 'hangs')
  assert.match(error ?? '', /^it did not answer within (0\.6|1\.2|2\.4|3) s$/)
  assert.equal(signals[0]?.aborted, true)
  await until('it is asked again', () => signals.at(-1)?.aborted === false)
  answered(await skip(server, 'hangs', change), 202)
  await until('the next one is told', () => taken.includes('next'))
  await followers.close()
})

test('a driver that is slow gets more time each time, until it is done', async () => {
  await using server = await testServer()
  const heard: string[] = []
  const slow = driver('slow', async ({ after }, signal) => {
    await sleep(250, undefined, { signal })
    heard.push(String(after?.['name']))
  })
  const followers = started(server, [slow], { limitMs: 50 })
  await begun(server, 'slow')
  await server.admin.make('network', { name: 'heavy' })
  await until('it is done', () => heard.includes('heavy'))
  await until('and nothing is left of it', async () => (await standingOf(server, 'slow')).failures === 0)
  await followers.close()
})

test('another server that takes over goes on counting, and knows what was skipped', async () => {
  await using server = await testServer()
  const heard: string[] = []
  let last = ''
  const make = (by: string): MechanismDriver =>
    driver('both', async ({ after }) => {
      const name = String(after?.['name'])
      last = by
      if (name === 'stuck') throw new Error(`not by ${by}`)
      heard.push(`${by} ${name}`)
    })
  const first = started(server, [make('first')])
  await begun(server, 'both')
  const second = started(server, [make('second')])
  await server.admin.make('network', { name: 'stuck' })
  await server.admin.make('network', { name: 'next' })
  await until('the first fails', async () => (await standingOf(server, 'both')).failures >= 3)
  assert.equal(last, 'first')
  const before = await standingOf(server, 'both')
  await first.close()
  await until('the second fails', async () => (await standingOf(server, 'both')).error === 'not by second')
  const after = await standingOf(server, 'both')
  assert.ok(after.failures > before.failures)
  assert.equal(after['failing_since'], before['failing_since'])
  await second.close()
  assert.equal((await standingOf(server, 'both'))['told'], false)
  answered(await skip(server, 'both', after.change), 202)
  const third = started(server, [make('third')])
  await until('it goes past', () => heard.includes('third next'))
  await until('and says so', async () => (await standingOf(server, 'both')).change === null)
  await third.close()
})

test('changes that the log lost before a driver took them are lost loudly; what is left is told', async () => {
  await using server = await testServer()
  const heard: string[] = []
  let stuck = true
  const slow = driver('slow', async ({ after }) => {
    if (stuck) throw new Error('not yet')
    heard.push(String(after?.['name']))
  })
  const followers = started(server, [slow])
  await begun(server, 'slow')
  for (const name of ['first', 'lost', 'left']) await server.admin.make('network', { name })
  await until('it fails', async () => (await standingOf(server, 'slow')).failures > 0)
  await followers.close()
  assert.equal((await standingOf(server, 'slow'))['lost_at'], null)
  // As retention does it.
  await server.database.query(
    `insert into change_horizon (era, xid, seq, at) select era, xid, seq, now() from change
      where kind = 'network' and after ->> 'name' = 'lost' order by xid desc, seq desc limit 1`,
  )
  await server.database.query(
    'delete from change c using change_horizon h where (c.era, c.xid, c.seq) <= (h.era, h.xid, h.seq)',
  )
  stuck = false
  const next = started(server, [slow])
  await until('it hears what is left', () => heard.includes('left'))
  await next.close()
  assert.ok(!heard.includes('lost'))
  const { lost_at, change } = await standingOf(server, 'slow')
  assert.ok(Math.abs(Date.now() - Date.parse(String(lost_at))) < 60_000)
  assert.equal(change, null)
})
