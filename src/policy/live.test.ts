/** Policy files that change under a running server, and the folder of further files. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import type { Caller } from '#kernel/caller.ts'
import { silentLogger } from '#kernel/log.ts'
import { readPolicies } from './file.ts'
import { livePolicy, type LivePolicy, type LivePolicyOptions } from './live.ts'
import { PolicyError } from './load.ts'

const member: Caller = {
  userId: 'u',
  userName: 'user',
  projectId: 'p',
  projectName: 'project',
  domainId: null,
  systemScope: null,
  roles: ['member', 'reader'],
  serviceRoles: [],
  expiresAt: new Date(0),
}

interface Place extends Disposable {
  readonly file: string
  readonly dir: string
  live(more?: Partial<LivePolicyOptions>): LivePolicy
}

const place = (): Place => {
  const root = mkdtempSync(join(tmpdir(), 'policy-'))
  const [file, dir] = [join(root, 'policy.yaml'), join(root, 'policy.d')]
  const opened: LivePolicy[] = []
  return {
    file,
    dir,
    live: (more = {}) => {
      const live = livePolicy({
        sources: { file, dir },
        enforceNewDefaults: true,
        enforceScope: false,
        log: silentLogger,
        every: 3_600_000,
        ...more,
      })
      opened.push(live)
      return live
    },
    [Symbol.dispose]: () => {
      for (const live of opened) live[Symbol.dispose]()
      rmSync(root, { recursive: true })
    },
  }
}

const mayCreate = ({ policy }: LivePolicy): boolean => policy.allows('create_network', member, { project_id: 'p' })

test('a changed file is in force; a bad one changes nothing and is told once', () => {
  using at = place()
  const said: { level: number; msg: string; problems?: unknown }[] = []
  const log = pino({ level: 'warn' }, { write: (line: string) => said.push(JSON.parse(line)) })
  writeFileSync(at.file, 'create_network: "!"\n')
  const live = at.live({ log })
  assert.equal(mayCreate(live), false)
  assert.equal(live.refresh(), false)

  writeFileSync(at.file, 'create_network: "role:member"\n')
  assert.equal(live.refresh(), true)
  assert.equal(mayCreate(live), true)

  writeFileSync(at.file, 'create_network: "role:member and"\n')
  assert.equal(live.refresh(), false)
  assert.equal(live.refresh(), false)
  assert.equal(mayCreate(live), true)
  assert.equal(said.length, 1)
  assert.match(said[0]?.msg ?? '', /cannot be used/)
  assert.match(JSON.stringify(said[0]?.problems), /create_network/)

  rmSync(at.file)
  assert.equal(live.refresh(), false)
  assert.equal(mayCreate(live), true)

  writeFileSync(at.file, '{}')
  assert.equal(live.refresh(), true)
  assert.equal(mayCreate(live), true)
})

test('files of the folder come after the file, in order of name; others are left alone', () => {
  using at = place()
  writeFileSync(at.file, 'create_network: "@"\ncreate_subnet: "!"\n')
  const live = at.live()
  assert.equal(mayCreate(live), true)
  mkdirSync(at.dir)
  writeFileSync(join(at.dir, '20-b.yaml'), '\ncreate_network: "role:reader"\n')
  writeFileSync(join(at.dir, '10-a.json'), '{"create_network": "!"}')
  writeFileSync(join(at.dir, '.hidden.yaml'), 'create_network: "!"')
  writeFileSync(join(at.dir, '90-note.txt'), 'none')
  const { overrides, places } = readPolicies({ file: at.file, dir: at.dir })
  assert.deepEqual(overrides, { create_network: 'role:reader', create_subnet: '!' })
  assert.deepEqual(places.get('create_network'), { path: join(at.dir, '20-b.yaml'), line: 2 })
  assert.equal(live.refresh(), true)
  assert.equal(mayCreate(live), true)
  rmSync(join(at.dir, '20-b.yaml'))
  assert.equal(live.refresh(), true)
  assert.equal(mayCreate(live), false)
})

test('what is wrong in several files is told together', () => {
  using at = place()
  writeFileSync(at.file, 'a: 5\n')
  mkdirSync(at.dir)
  writeFileSync(join(at.dir, 'x.yaml'), '- b\n')
  assert.throws(
    () => readPolicies({ file: at.file, dir: at.dir }),
    (error) => error instanceof PolicyError && error.problems.length === 2,
  )
  assert.throws(() => at.live(), PolicyError)
})

test('the files are looked at without being asked', async () => {
  using at = place()
  writeFileSync(at.file, 'create_network: "!"\n')
  const live = at.live({ every: 10 })
  writeFileSync(at.file, 'create_network: "role:member"\n')
  for (let i = 0; i < 200 && !mayCreate(live); i++) await sleep(10)
  assert.equal(mayCreate(live), true)
})
