/** `deuteron up` from outside, with a stand-in server: what comes up, goes down, comes back, and what is refused. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { isAlive, processesIn, until } from '#launch/processes.ts'
import { freePort, installation, pidIn } from '../lib/installation.ts'
import { testDatabase } from '../lib/postgres.ts'

const STUB = join(import.meta.dirname, 'launch-stub-server.ts')
const root = process.getuid?.() === 0
const limit = { timeout: 60_000 }

const call = async (port: number, method = 'GET'): Promise<{ status: number; rows?: number; uid?: number }> => {
  const response = await fetch(`http://127.0.0.1:${port}/`, { method })
  const text = await response.text()
  return { status: response.status, ...(response.ok ? (JSON.parse(text) as object) : {}) }
}

test('up comes up from nothing, serves, stops cleanly and comes back with its data in under 3 s', limit, async (t) => {
  const { start, data } = installation(t, STUB)
  const port = await freePort()
  const first = start(['up', '--port', String(port), '--data', data])
  await first.says(/^ready /m)
  assert.deepEqual(first.stdout().match(/^ready .*$/gm), [`ready http://127.0.0.1:${port}`])
  const { rows, uid } = await call(port, 'POST')
  assert.equal(rows, 1)
  // Memory that long lists took is given back.
  const environment = readFileSync(`/proc/${pidIn(join(data, 'server.pid'))}/environ`, 'utf8')
  assert.match(environment, /(^|\0)MALLOC_TRIM_THRESHOLD_=1048576\0/)
  if (root) assert.notEqual(uid, 0, 'a server started by root drops its rights')
  for (const file of ['openrc', 'clouds.yaml']) assert.equal(statSync(join(data, file)).mode & 0o777, 0o600)
  const shown = execFileSync('sh', ['-c', `OS_TOKEN=old; export OS_TOKEN; . ${data}/openrc; env | grep ^OS_ | sort`], {
    encoding: 'utf8',
  })
  assert.match(shown, new RegExp(`OS_AUTH_URL=http://127.0.0.1:${port}/identity/v3\n`))
  assert.match(shown, /OS_PASSWORD=drawn\n/)
  assert.doesNotMatch(shown, /OS_TOKEN/)
  first.child.kill('SIGINT')
  assert.equal(await first.ended, 0)
  assert.deepEqual(processesIn(join(data, 'postgres'), 'postgres'), [])
  assert.equal(existsSync(join(data, 'up.lock')), false)

  // The best of three: other work on the machine is not ours to time.
  const took: number[] = []
  while (took.length < 3 && !took.some((ms) => ms < 3000)) {
    const began = performance.now()
    const again = start(['up', '--port', String(port), '--data', data])
    await again.says(/^ready /m)
    took.push(performance.now() - began)
    assert.equal((await call(port)).rows, 1)
    again.child.kill('SIGTERM')
    assert.equal(await again.ended, 0)
  }
  assert.ok(Math.min(...took) < 3000, `further starts took ${took.map(Math.round).join(', ')} ms`)
})

test('kill -9 of the launcher, then of PostgreSQL: the next up has every committed row', limit, async (t) => {
  const { start, data } = installation(t, STUB)
  const port = await freePort()
  const first = start(['up', '--port', String(port), '--data', data])
  await first.says(/^ready /m)
  for (let i = 0; i < 5; i++) await call(port, 'POST')
  first.child.kill('SIGKILL')
  await first.ended
  assert.equal((await call(port, 'POST')).rows, 6, 'the server outlives its launcher')
  const orphan = pidIn(join(data, 'server.pid'))
  const second = start(['up', '--port', String(port), '--data', data]) // adopts PostgreSQL
  await second.says(/^ready /m)
  assert.equal(isAlive(orphan), false)
  assert.equal((await call(port, 'POST')).rows, 7)
  second.child.kill('SIGKILL')
  await second.ended
  process.kill(pidIn(join(data, 'postgres/postmaster.pid')), 'SIGKILL')
  const third = start(['up', '--port', String(port), '--data', data])
  await third.says(/^ready /m)
  assert.equal((await call(port)).rows, 7)
})

test('PostgreSQL killed under a running up is started again', limit, async (t) => {
  const { start, data } = installation(t, STUB)
  const port = await freePort()
  const up = start(['up', '--port', String(port), '--data', data])
  await up.says(/^ready /m)
  await call(port, 'POST')
  process.kill(pidIn(join(data, 'postgres/postmaster.pid')), 'SIGKILL')
  const answers: number[] = []
  for (let i = 0; i < 100 && answers.at(-1) !== 200; i++) {
    await sleep(100)
    answers.push((await call(port)).status)
  }
  // The first answers may still come from the old connection's last moment.
  assert.equal(answers.at(-1), 200)
  await until(() => /starting it again/.test(up.stderr()), 5000)
  assert.match(up.stderr(), /PostgreSQL ended; starting it again/)
  assert.equal((await call(port)).rows, 1)
})

test('a second up on one data folder is refused and names the first', limit, async (t) => {
  const { start, run, data } = installation(t, STUB)
  const port = await freePort()
  const first = start(['up', '--port', String(port), '--data', data])
  await first.says(/^ready /m)
  const second = await run(['up', '--port', String(await freePort()), '--data', data])
  assert.equal(second.code, 1)
  assert.match(
    second.stderr,
    new RegExp(`^deuteron: Another deuteron \\(pid ${first.pid}\\) runs on ${data}: stop it first`),
  )
  assert.equal(second.stderr.trim().split('\n').length, 1)
})

test('a port in use is named, with the flag that changes it', limit, async (t) => {
  const { run, data } = installation(t, STUB)
  const taken = createServer()
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
  t.after(() => taken.close())
  const { port } = taken.address() as { port: number }
  const api = await run(['up', '--port', String(port), '--data', data])
  assert.equal(api.code, 1)
  assert.match(api.stderr, new RegExp(`^deuteron: Port ${port} is in use: .* choose another with --port\\.\n$`))
  const feed = await run(['up', '--port', String(await freePort()), '--feed-port', String(port), '--data', data])
  assert.match(feed.stderr, new RegExp(`^deuteron: Port ${port} is in use: .* choose another with --feed-port\\.\n$`))
})

test('a data folder that cannot be written is named', limit, async (t) => {
  const { run, folder } = installation(t, STUB)
  const closed = join(folder, 'closed')
  mkdirSync(closed, { mode: 0o555 })
  const nobody = root ? { uid: 65_534 } : {}
  for (const data of [closed, join(closed, 'below')]) {
    const { code, stderr } = await run(['up', '--port', String(await freePort()), '--data', data], nobody)
    assert.equal(code, 1)
    assert.match(stderr, /^deuteron: The data folder \S+ is not writable .*--data.*\n$/)
  }
  writeFileSync(join(folder, 'file'), '')
  const file = await run(['up', '--data', join(folder, 'file')])
  assert.match(file.stderr, /^deuteron: The data folder \S+ is not a folder: choose another with --data\.\n$/)
})

test('a folder the system user cannot reach is named', { ...limit, skip: root ? false : 'needs root' }, async (t) => {
  const { run, folder } = installation(t, STUB)
  const hidden = join(folder, 'hidden')
  mkdirSync(hidden)
  chmodSync(hidden, 0o700)
  const { code, stderr } = await run(['up', '--port', String(await freePort()), '--data', join(hidden, 'data')])
  assert.equal(code, 1)
  assert.match(
    stderr,
    /^deuteron: User "deuteron", .* cannot reach \S+\/hidden\/data: choose a folder below \/var\/lib .*\n$/,
  )
})

test('a socket the system user cannot make is named', { ...limit, skip: root ? false : 'needs root' }, async (t) => {
  const { run, folder, data } = installation(t, STUB)
  const hidden = join(folder, 'hidden')
  mkdirSync(hidden, { mode: 0o700 })
  const socket = join(hidden, 'feed.sock')
  const port = String(await freePort())
  const { code, stderr } = await run(['up', '--port', port, '--data', data, '--feed-socket', socket])
  assert.equal(code, 1)
  assert.match(stderr, /^deuteron: User "deuteron", .* cannot make the socket \S+\/feed\.sock: choose one in .*\n$/)
  assert.equal(existsSync(join(data, 'postgres')), false, 'refused before anything is made')
})

test("what a server left that ran as root becomes the system user's", {
  ...limit,
  skip: root ? false : 'needs root',
}, async (t) => {
  const { start, data } = installation(t, STUB)
  mkdirSync(data)
  const file = join(data, 'identity.json')
  writeFileSync(file, '{"initial":{"admin":"drawn"}}', { mode: 0o600 })
  const up = start(['up', '--port', String(await freePort()), '--data', data])
  await up.says(/^ready /m)
  assert.equal(statSync(file).uid, statSync(data).uid)
  assert.notEqual(statSync(file).uid, 0)
})

test('a full disk is named', { ...limit, skip: root ? false : 'needs root, to mount a small disk' }, async (t) => {
  const { run, folder } = installation(t, STUB)
  const disk = join(folder, 'disk')
  mkdirSync(disk)
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=8m,mode=755', 'deuteron-test', disk])
  if (mounted.status !== 0) return t.skip('this machine does not let us mount')
  try {
    const { code, stderr } = await run(['up', '--port', String(await freePort()), '--data', join(disk, 'data')])
    assert.equal(code, 1)
    assert.match(
      stderr,
      /deuteron: The data folder \S+ lies on a full disk: free some space or choose another with --data\.\n$/,
    )
    assert.equal(existsSync(join(disk, 'data/postgres.new')), false, 'what was half made is gone')
  } finally {
    execFileSync('umount', ['-l', disk])
  }
})

test('a data folder with a long path works', limit, async (t) => {
  const { start, folder } = installation(t, STUB)
  const data = join(folder, ...Array.from({ length: 4 }, () => 'a-rather-long-name-for-a-folder'))
  assert.ok(data.length > 107)
  const port = await freePort()
  const up = start(['up', '--port', String(port), '--data', data])
  await up.says(/^ready /m)
  assert.equal((await call(port, 'POST')).rows, 1)
})

test('a server that does not start: its last words, and PostgreSQL is stopped', limit, async (t) => {
  const { run, data } = installation(t, STUB)
  const { code, stderr } = await run(['up', '--port', String(await freePort()), '--data', data], {
    env: { DEUTERON_TEST_FAULT: 'the moon is full' },
  })
  assert.equal(code, 1)
  assert.match(stderr, /deuteron: The server did not start \(3\): the moon is full\n$/)
  assert.deepEqual(processesIn(join(data, 'postgres'), 'postgres'), [])
})

test('a server that dies later: up says so, stops PostgreSQL and fails', limit, async (t) => {
  const { start, data } = installation(t, STUB)
  const port = await freePort()
  const up = start(['up', '--port', String(port), '--data', data])
  await up.says(/^ready /m)
  await fetch(`http://127.0.0.1:${port}/`, { method: 'DELETE' }).catch(() => undefined)
  assert.equal(await up.ended, 1)
  assert.match(up.stderr(), /deuteron: The server ended by itself \(4\).*; its log is \S+\/server\.log\.\n$/)
  assert.deepEqual(processesIn(join(data, 'postgres'), 'postgres'), [])
})

test('a second Ctrl-C ends a server that does not listen to the first', limit, async (t) => {
  const { start, data } = installation(t, STUB)
  const port = await freePort()
  const up = start(['up', '--port', String(port), '--data', data], { env: { DEUTERON_TEST_FAULT: 'deaf' } })
  await up.says(/^ready /m)
  const server = pidIn(join(data, 'server.pid'))
  up.child.kill('SIGINT')
  await sleep(300)
  assert.equal(isAlive(server), true)
  up.child.kill('SIGINT')
  assert.equal(await Promise.race([up.ended, sleep(5000, 'late')]), 0)
  assert.equal(isAlive(server), false)
  assert.deepEqual(processesIn(join(data, 'postgres'), 'postgres'), [])
})

test('--database uses that PostgreSQL and makes none', limit, async (t) => {
  const { start, data } = installation(t, STUB)
  await using database = await testDatabase()
  const port = await freePort()
  const up = start(['up', '--port', String(port), '--data', data, '--database', database.url, '--identity', 'none'])
  await up.says(/^ready /m)
  assert.equal((await call(port, 'POST')).rows, 1)
  assert.equal(existsSync(join(data, 'postgres')), false)
  up.child.kill('SIGTERM')
  assert.equal(await up.ended, 0)
})

test('--identity none writes an openrc without a password', limit, async (t) => {
  const { start, data } = installation(t, STUB)
  const port = await freePort()
  const up = start(['up', '--port', String(port), '--data', data, '--identity=none'])
  await up.says(/^ready /m)
  assert.match(
    readFileSync(join(data, 'openrc'), 'utf8'),
    new RegExp(`OS_AUTH_TYPE='none'\nexport OS_ENDPOINT='http://127.0.0.1:${port}'`),
  )
  assert.match(readFileSync(join(data, 'clouds.yaml'), 'utf8'), /auth_type: none/)
})

test('wrong words on the command line are answered with a hint', limit, async (t) => {
  const { run } = installation(t, STUB)
  const [typo, flag, help, version, config] = await Promise.all([
    run(['pu']),
    run(['up', '--prot', '1']),
    run(['up', '--help']),
    run(['version']),
    run(['config', 'show', '--database', 'postgresql://u:hush@h/d'], { env: { DEUTERON_WORKERS: '2' } }),
  ])
  assert.deepEqual([typo.code, typo.stderr], [2, 'deuteron: There is no command "pu": did you mean "up"?\n'])
  assert.deepEqual([flag.code, flag.stderr], [1, 'deuteron: there is no flag --prot (did you mean --port?).\n'])
  assert.match(help.stdout, /^usage: deuteron up \[--port N\]/)
  assert.match(version.stdout, /^deuteron \d+\.\d+\.\d+\n$/)
  assert.match(config.stdout, /^workers +2 +DEUTERON_WORKERS$/m)
  assert.ok(!config.stdout.includes('hush') && !config.stdout.includes('\u001b'))
  assert.match(config.stdout, /^database_url +\(hidden\) +--database$/m)
})
