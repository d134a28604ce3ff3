/** Targets, and peers that say nothing or the wrong thing. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { silentLogger } from '#kernel/log.ts'
import { connectSwitch } from './openflow/client.ts'
import { connectRpc } from './ovsdb/rpc.ts'
import { keepConnected, parseTarget, retryDelay } from './socket.ts'

const dir = mkdtempSync(join(tmpdir(), 'socket-'))
after(() => rmSync(dir, { recursive: true, force: true }))

/** Listens at a path of its own and hands every connection to `behave`. */
async function peer(name: string, behave: (socket: Socket) => void): Promise<{ target: string; close(): void }> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    behave(socket)
  })
  await new Promise<void>((resolve) => server.listen(join(dir, name), resolve))
  const close = (): void => {
    for (const socket of sockets) socket.destroy()
    server.close()
  }
  return { target: `unix:${join(dir, name)}`, close }
}

test('targets', () => {
  assert.deepEqual(parseTarget('unix:/run/db.sock'), { path: '/run/db.sock' })
  assert.deepEqual(parseTarget('tcp:192.0.2.1:6640'), { host: '192.0.2.1', port: 6640 })
  assert.deepEqual(parseTarget('tcp:[fd00::1]:6640'), { host: 'fd00::1', port: 6640 })
  assert.deepEqual(parseTarget('ssl:192.0.2.1:6640'), { host: '192.0.2.1', port: 6640, secure: true })
  for (const bad of ['', 'unix:', 'tcp:host', 'tcp:host:99999', 'ssl:host', '/run/db.sock'])
    assert.throws(() => parseTarget(bad), /not a target/)
})

test('a database that falls silent is given up', async () => {
  const { target, close } = await peer('db', () => undefined)
  const rpc = await connectRpc({ target, log: silentLogger, probeMs: 30, onNotification: () => undefined })
  const call = rpc.call('list_dbs', [])
  await assert.rejects(call, /did not answer an echo within 30 ms/)
  assert.match((await rpc.closed)?.message ?? '', /did not answer an echo/)
  await assert.rejects(rpc.call('list_dbs', []), /is closed/)
  close()
})

test('a database that talks nonsense is given up', async () => {
  const { target, close } = await peer('nonsense', (socket) => void socket.write('{"id": oops}'))
  const rpc = await connectRpc({ target, log: silentLogger, onNotification: () => undefined })
  assert.match((await rpc.closed)?.message ?? '', /cannot understand/)
  close()
})

test('a switch of another version is refused, one that hangs up is told apart', async () => {
  const old = await peer('of13', (socket) => void socket.write(Buffer.from('0400000800000001', 'hex')))
  await assert.rejects(connectSwitch({ target: old.target, log: silentLogger }), /speaks OpenFlow version 4, wanted 6/)
  old.close()
  const gone = await peer('gone', (socket) => void socket.end())
  await assert.rejects(connectSwitch({ target: gone.target, log: silentLogger }), /closed the connection/)
  gone.close()
  const hello = Buffer.from('0600000800000001', 'hex')
  const silent = await peer('silent', (socket) => void socket.write(hello))
  const client = await connectSwitch({ target: silent.target, log: silentLogger, probeMs: 30 })
  await assert.rejects(client.barrier(), /did not answer an echo/)
  silent.close()
})

test('attempts come further and further apart, and start anew after a connection that worked', async () => {
  const retry = { firstMs: 2, maxMs: 16 }
  for (const attempt of [0, 1, 2, 3, 40]) {
    const full = Math.min(16, 2 * 2 ** attempt)
    const delay = retryDelay(retry, attempt)
    assert.ok(delay <= full && delay >= full * 0.75, `${attempt}: ${delay}`)
  }
  const stop = new AbortController()
  const failures: string[] = []
  let sessions = 0
  const session = async (): Promise<void> => {
    sessions++
    if (sessions === 6) stop.abort()
    if (sessions % 3 !== 0) throw new Error(`no ${sessions}`)
  }
  await keepConnected(session, { retry, signal: stop.signal, onFailure: ({ message }) => failures.push(message) })
  assert.equal(sessions, 6)
  assert.deepEqual(failures, ['no 1', 'no 2', 'no 4', 'no 5'])
})
