/** The executor against a real ovsdb-server: restarts, foreign hands, refusals, and a server that knows only `monitor`. */
import assert from 'node:assert/strict'
import { connect, createServer, type Server } from 'node:net'
import { after, afterEach, before, test } from 'node:test'
import { silentLogger } from '#kernel/log.ts'
import type { OvsdbClient } from '#protocol/ovsdb/client.ts'
import { insert, remove } from '#protocol/ovsdb/ops.ts'
import { createTor, type Tor } from './tor.ts'
import { missing as skip, physicalSwitch, startVtepDatabase, type VtepDatabase } from './vtep.test-support.ts'
import type { TorWant } from './want.ts'

let database: VtepDatabase
let client: OvsdbClient
const opened: Tor[] = []

before(async () => {
  if (skip !== false) return
  database = await startVtepDatabase()
  client = await database.connect()
  const [global] = await client.transact([insert('Global', {})])
  await client.transact(physicalSwitch(global?.uuid ?? '', 'tor1', '192.0.2.1', ['p1']))
})
afterEach(async () => {
  for (const tor of opened.splice(0)) await tor.close()
})
after(async () => {
  client?.close()
  await database?.stop()
})

const want = (...macs: string[]): TorWant => ({
  version: 1,
  switch: 'tor1',
  networks: [
    {
      id: 'a',
      vni: 100,
      bindings: [{ port: 'p1', vlan: 8 }],
      macs: macs.map((mac) => ({ mac, tunnelIp: '192.0.2.3' })),
      flood: ['192.0.2.3'],
    },
  ],
})
const open = (target = database.target): Tor => {
  const tor = createTor({ connection: { target, retry: { firstMs: 20, maxMs: 100 } }, log: silentLogger })
  opened.push(tor)
  return tor
}
async function until(tor: Tor, what: (status: ReturnType<Tor['status']>) => boolean): Promise<void> {
  const deadline = Date.now() + 5_000
  while (!what(tor.status())) {
    assert.ok(Date.now() < deadline, JSON.stringify(tor.status()))
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

test('foreign hands and a killed database are put right', { skip }, async () => {
  const tor = open()
  await until(tor, ({ state }) => state === 'idle')
  tor.want(want('02:00:00:00:00:01'))
  await until(tor, ({ state }) => state === 'in_sync')
  await client.transact([remove('Ucast_Macs_Remote', [])])
  await until(tor, ({ repaired }) => repaired === 1)
  client.close()
  await database.kill()
  await until(tor, ({ state, reason }) => state === 'unreachable' && reason !== null)
  tor.want(want('02:00:00:00:00:02'))
  await database.start()
  client = await database.connect()
  await until(tor, ({ state }) => state === 'in_sync')
  const [left] = await client.transact([{ op: 'select', table: 'Ucast_Macs_Remote', where: [], columns: ['MAC'] }])
  assert.deepEqual(
    left?.rows?.map((row) => row['MAC']),
    ['02:00:00:00:00:02'],
  )
})

test('what the ToR refuses is named and keeps no other network waiting', { skip }, async () => {
  const tor = open()
  const [good] = want().networks
  assert.ok(good)
  const bad = { ...good, id: 'bad', vni: 101, bindings: [{ port: 'p1', vlan: 5_000 }] }
  tor.want({ version: 1, switch: 'tor1', networks: [bad, good] })
  await until(tor, ({ state }) => state === 'failing')
  const { problems, reason } = tor.status()
  assert.deepEqual(
    problems.map((problem) => [problem.network, problem.reason]),
    [['bad', 'refused']],
  )
  assert.match(reason ?? '', /constraint violation/)
  const [there] = await client.transact([{ op: 'select', table: 'Logical_Switch', where: [], columns: ['name'] }])
  assert.deepEqual(
    there?.rows?.map((row) => row['name']),
    ['deuteron-a'],
  )
})

/** Passes everything on but `monitor_cond_since`, which it answers as a server that has never heard of it. */
function oldServer(path: string): Promise<Server> {
  const server = createServer((socket) => {
    const behind = connect(path)
    behind.pipe(socket)
    socket.on('data', (chunk) =>
      behind.write(chunk.toString().replaceAll('"monitor_cond_since"', '"monitor_unheard_of"')),
    )
    socket.on('close', () => behind.destroy())
    behind.on('error', () => socket.destroy())
    socket.on('error', () => behind.destroy())
  })
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)))
}

test('a ToR that knows only the monitor of RFC 7047 is kept the same', { skip }, async () => {
  const server = await oldServer(database.target.slice('unix:'.length))
  const tor = open(`tcp:127.0.0.1:${(server.address() as { port: number }).port}`)
  tor.want(want('02:00:00:00:00:03'))
  await until(tor, ({ state }) => state === 'in_sync')
  await client.transact([remove('Mcast_Macs_Remote', [])])
  await until(tor, ({ repaired, state }) => repaired === 1 && state === 'in_sync')
  tor.want({ version: 1, switch: 'tor1', networks: [] })
  await until(tor, ({ state }) => state === 'in_sync')
  const [left] = await client.transact([{ op: 'select', table: 'Logical_Switch', where: [] }])
  assert.deepEqual(left?.rows, [])
  await tor.close()
  server.close()
})
