/** Client and replica against a real ovsdb-server. */
import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import { silentLogger } from '#kernel/log.ts'
import { ovsMissing, type PrivateOvs, startOvs } from '../../../test/lib/ovs.ts'
import { connectOvsdb, OvsdbError } from './client.ts'
import { byUuid, insert, mutate, named, remove, select, setKeys, update, wait } from './ops.ts'
import { createReplica, type OvsdbReplica, type ReplicaEvent } from './replica.ts'

const skip = ovsMissing() ?? false
let ovs: PrivateOvs
before(async () => {
  if (skip === false) ovs = await startOvs()
})
after(() => ovs?.stop())

const tables = {
  Bridge: ['name', 'ports'],
  Port: ['name', 'tag', 'interfaces'],
  Interface: ['name', 'ofport', 'external_ids'],
} as const
const open = (): OvsdbReplica => {
  const options = { target: ovs.dbSock, database: 'Open_vSwitch', tables, log: silentLogger }
  const replica = createReplica({ ...options, retry: { firstMs: 20, maxMs: 100 } })
  opened.push(replica)
  return replica
}
const rootUuid = async (): Promise<string> => (await ovs.vsctl('get', 'Open_vSwitch', '.', '_uuid')).trim()

async function until(what: string, check: () => boolean): Promise<void> {
  const deadline = Date.now() + 5_000
  while (!check()) {
    assert.ok(Date.now() < deadline, `never: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

const opened: OvsdbReplica[] = []
afterEach(async () => {
  for (const replica of opened.splice(0)) await replica.close()
})

test('a bridge inserted with named rows appears with its ofport, changes, and goes', { skip }, async () => {
  const replica = open()
  await replica.ready
  const events: ReplicaEvent[] = []
  replica.onChange((event) => events.push(event))
  const root = await rootUuid()
  const done = await replica.transact([
    insert('Interface', { name: 'br-a', type: 'internal', external_ids: { 'iface-id': 'p1', gone: 'x' } }, 'iface'),
    insert('Port', { name: 'br-a', tag: 7, interfaces: named('iface') }, 'port'),
    insert('Bridge', { name: 'br-a', datapath_type: 'netdev', ports: [named('port')] }, 'bridge'),
    mutate('Open_vSwitch', byUuid(root), ['bridges', 'insert', [named('bridge')]]),
  ])
  const uuid = done[0]?.uuid ?? ''
  assert.equal(replica.table('Interface').get(uuid)?.['name'], 'br-a')
  await until('ofport is set', () => replica.table('Interface').get(uuid)?.['ofport'] === 65534)
  assert.equal(replica.table('Port').get(done[1]?.uuid ?? '')?.['tag'], 7)
  assert.deepEqual(replica.table('Bridge').get(done[2]?.uuid ?? '')?.['ports'], [done[1]?.uuid])

  await replica.transact([
    setKeys('Interface', byUuid(uuid), 'external_ids', { 'iface-id': 'p2' }),
    mutate('Interface', byUuid(uuid), ['external_ids', 'delete', ['gone']]),
    update('Port', [['name', '==', 'br-a']], { tag: null }),
  ])
  assert.deepEqual(replica.table('Interface').get(uuid)?.['external_ids'], new Map([['iface-id', 'p2']]))
  assert.equal(replica.table('Port').get(done[1]?.uuid ?? '')?.['tag'], null)
  const change = events.flatMap((event) => event.changes).findLast((one) => one.uuid === uuid)
  assert.deepEqual(
    change?.before?.['external_ids'],
    new Map([
      ['iface-id', 'p1'],
      ['gone', 'x'],
    ]),
  )
  assert.ok(Object.isFrozen(change?.after))

  await replica.transact([mutate('Open_vSwitch', byUuid(root), ['bridges', 'delete', [done[2]?.uuid ?? '']])])
  assert.equal(replica.table('Interface').has(uuid), false)
})

test('a failing operation is named and nothing of the transaction stays', { skip }, async () => {
  const client = await connectOvsdb({ target: ovs.dbSock, database: 'Open_vSwitch', log: silentLogger })
  const where = [['name', '==', 'nobody']] as const
  const failing = client.transact([
    insert('Manager', { target: 'ptcp:1:127.0.0.1' }),
    wait('Bridge', where, ['name'], '==', [{ name: 'nobody' }]),
  ])
  await assert.rejects(
    failing,
    (error) => error instanceof OvsdbError && error.index === 1 && error.error === 'timed out',
  )
  await assert.rejects(client.transact([insert('Port', { name: 'p', interfaces: [] })]), OvsdbError)
  await assert.rejects(client.transact([remove('Bridge', [['nme', '==', 'x']])]), /no column Bridge\.nme/)
  assert.deepEqual((await client.transact([select('Manager', [])]))[0]?.rows, [])
  client.close()
  assert.equal(await client.closed, null)
  await assert.rejects(
    connectOvsdb({ target: ovs.dbSock, database: 'nope', log: silentLogger }),
    /does not serve database nope/,
  )
  await assert.rejects(
    connectOvsdb({ target: 'unix:/nonexistent', database: 'x', log: silentLogger }),
    /cannot connect to unix:\/nonexistent/,
  )
})

test('after a restart of the server the replica holds what it missed and tells only that', { skip }, async () => {
  await ovs.vsctl('add-br', 'br-k', '--', 'set', 'bridge', 'br-k', 'datapath_type=netdev')
  await ovs.vsctl('add-br', 'br-g', '--', 'set', 'bridge', 'br-g', 'datapath_type=netdev')
  const replica = open()
  await replica.ready
  const events: ReplicaEvent[] = []
  const downs: Error[] = []
  replica.onDown((reason) => downs.push(reason))
  await until('both are up', () => [...replica.table('Interface').values()].every((row) => row['ofport'] === 65534))
  replica.onChange((event) => events.push(event))
  await ovs.stopSwitch()
  await ovs.stopDb()
  await until('the loss is noticed', () => downs.length === 1 && !replica.connected)
  await assert.rejects(replica.transact([]), /no connection/)
  await ovs.startDb()
  await ovs.vsctl('--no-wait', 'del-br', 'br-g')
  await until('it is back', () => replica.connected && replica.table('Bridge').size === 1)
  assert.ok(events.some((event) => event.kind !== 'update'))
  const bridges = events.flatMap((event) => event.changes).filter(({ table }) => table === 'Bridge')
  assert.deepEqual(
    bridges.map(({ before, after }) => [before?.['name'], after]),
    [['br-g', null]],
  )
  await ovs.startSwitch()
})
