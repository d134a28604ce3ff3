/** Drivers that follow: every committed change once it stands, in order for each object, whatever fails or stops. */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'node:test'
import type { BindingChange, MechanismDriver } from '#core/contracts.ts'
import { silentLogger } from '#kernel/log.ts'
import { startFollowers } from '#outbox/follow.ts'
import { type TestServer, testServer } from '../lib/server.ts'

const driver = (name: string, follow: NonNullable<MechanismDriver['follow']>): MechanismDriver => ({
  name,
  connectivity: 'l2',
  bind: () => ({ refused: 'binds_nothing', facts: {} }),
  follow,
})

const started = ({ database }: TestServer, drivers: readonly MechanismDriver[]) =>
  startFollowers({
    database,
    drivers,
    hint: () => sleep(20),
    log: silentLogger,
    leaseSeconds: 1,
    delayMs: () => 10,
  })

async function until(what: string, holds: () => boolean): Promise<void> {
  for (let waited = 0; !holds(); waited += 10) {
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
