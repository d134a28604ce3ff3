/** `deuteron policy …` as its user sees it: lines and exit codes. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { UserError } from '#launch/user-error.ts'
import { defaultRules } from '#policy/defaults/index.ts'
import { parse as parseYaml } from 'yaml'
import { policyCommand } from './policy.ts'

const folder = mkdtempSync(join(tmpdir(), 'policy-cli-'))
after(() => rmSync(folder, { recursive: true }))

/** A policy file with these lines; answers its path. */
const file = (name: string, ...lines: string[]): string => {
  const path = join(folder, name)
  writeFileSync(path, lines.map((line) => `${line}\n`).join(''))
  return path
}

const run = async (...args: string[]): Promise<{ code: number; lines: string[]; notes: string[] }> => {
  const lines: string[] = []
  const notes: string[] = []
  const out = {
    line: (text = '') => void lines.push(...text.split('\n')),
    note: (text: string) => void notes.push(text),
    paint: (_: string, text: string) => text,
  }
  const code = await policyCommand.run(args, { env: { DEUTERON_DATA_DIR: folder }, root: folder, out })
  return { code, lines, notes }
}

test('show: the rules in force, chosen by name, with the place of those from a file', async () => {
  const path = file('show.yaml', '# mine', 'get_subnet: "role:auditor"')
  const { code, lines } = await run('show', '--rule', 'get_sub?et', '--policy-file', path)
  assert.equal(code, 0)
  assert.deepEqual(lines, [
    `get_subnet  ${path}:2`,
    '    See a subnet.',
    '    role:auditor',
    '    within rule:sees_every_project or rule:owner or rule:network_owner or rule:shared',
  ])
  const changed = await run('show', '--changed', '--policy-file', path, '--format', 'json')
  assert.deepEqual(
    JSON.parse(changed.lines.join('\n')).map((rule: { name: string }) => rule.name),
    ['get_subnet'],
  )
  const all = parseYaml((await run('show', '--format', 'yaml')).lines.join('\n')) as { name: string }[]
  assert.deepEqual(
    all.map(({ name }) => name),
    defaultRules.map(({ name }) => name).sort(),
  )
  assert.deepEqual((await run('show', '--changed')).notes, ['No rule matches.'])
})

test('show: the switch decides whether the former text holds besides', async () => {
  const text = async (...more: string[]): Promise<string | undefined> =>
    (await run('show', '--rule', 'create_trunk', ...more)).lines[2]?.trim()
  const present = 'rule:admin_only or role:member and project_id:%(project_id)s'
  assert.equal(await text(), present)
  assert.equal(await text('--no-enforce-new-defaults'), `${present} or rule:regular_user`)
})

test('explain: the answer, by which rule, and what was compared; the exit code says it too', async () => {
  const caller = ['--roles', 'member,reader', '--project', 'p']
  const own = await run('explain', 'delete_router', ...caller)
  assert.equal(own.code, 0)
  assert.deepEqual(own.lines, [
    'allowed: delete_router, by the rule delete_router',
    '  caller  roles member, reader; project p',
    '  target  project_id=p',
    '',
    '✔ rule:admin_only or role:member and project_id:%(project_id)s',
    '  ✘ rule:admin_only',
    '    ✘ rule:context_is_admin',
    '      ✘ role:admin',
    '  ✔ role:member and project_id:%(project_id)s',
    '    ✔ role:member',
    "    ✔ project_id:%(project_id)s   (the caller's project_id is p; the target's project_id is p)",
  ])
  const foreign = await run('explain', 'delete_router', ...caller, '--target', 'tenant_id=q')
  assert.equal(foreign.code, 1)
  assert.match(foreign.lines[0] ?? '', /^denied/)
  const parent = ['--target', 'network:tenant_id=q', 'device_owner=network:dhcp', '--target=shared=true']
  assert.equal((await run('explain', 'create_port:fixed_ips', ...caller, ...parent)).code, 0)
  assert.equal((await run('explain', 'create_port:device_owner', ...caller, ...parent)).code, 1)
  const json = await run('explain', 'get_network', ...caller, '--format', 'json', 'project_id=q', 'shared=false')
  const { allowed, target, within } = JSON.parse(json.lines.join('\n'))
  assert.deepEqual([allowed, target.shared, within.holds], [false, false, false])
})

test('explain: a rule that does not exist, the scope of a token, a line that a file does not move', async () => {
  const unknown = await run('explain', 'get_netwrk', '--roles', 'reader', '--project', 'p')
  assert.ok(unknown.lines.some((line) => line.includes('did you mean get_network?')))
  const system = await run('explain', 'get_agent', '--roles', 'admin', '--system')
  assert.equal(system.code, 1)
  assert.ok(system.lines.some((line) => line.includes('scope of the token (system)')))
  const path = file('open.yaml', 'get_router: "@"')
  const open = await run('explain', 'get_router', '--project', 'p', 'project_id=q', '--policy-file', path)
  assert.equal(open.code, 1)
  assert.ok(open.lines.includes('✔ @') && open.lines.includes('and within'))
})

test('check: every error with its line, and what may not be meant', async () => {
  const path = file(
    'bad.yaml',
    'create_netwrk: "role:x"',
    'update_port: "rule:admin_only or"',
    'delete_port: "rule:admin_onyl"',
    'loop: "rule:pool"',
    'pool: "not rule:loop"',
    'create_router: "https://auth.example/x"',
  )
  const { code, lines, notes } = await run('check', path)
  assert.equal(code, 1)
  assert.deepEqual(
    lines.map((line) => line.replace(`${path}:`, '')),
    [
      '1: warning: create_netwrk: there is no such rule: did you mean create_network?',
      '2: error: update_port: column 19: the rule ends where a check is expected',
      "3: error: delete_port: it refers to the rule 'admin_onyl', which does not exist (did you mean admin_only?)",
      '4: error: loop: it refers to itself: loop → pool → loop',
      '6: error: create_router: column 1: http checks are not supported: a policy is decided here, never by another server',
    ],
  )
  assert.deepEqual(notes, ['4 errors, 1 warning'])
})

test('check: a warning fails only when asked to; a good file is said to be good', async () => {
  const path = file('idle.yaml', 'admin_or_network_owner: "role:x"', 'create_flavor: "rule:admin_only"', 'mine: "@"')
  const { code, lines } = await run('check', path)
  assert.equal(code, 0)
  assert.equal(lines.length, 3)
  assert.match(lines.join('\n'), /only former defaults did[\s\S]*what the default says[\s\S]*nothing refers to it/)
  assert.equal((await run('check', path, '--strict')).code, 1)
  const former = await run('check', path, '--no-enforce-new-defaults')
  assert.equal(former.lines.length, 2)
  const good = file('good.yaml', 'get_router: "rule:mine"', 'mine: "role:reader and rule:owner"')
  assert.deepEqual(await run('check', good, '--strict'), { code: 0, lines: [`${good} can be used.`], notes: [] })
  const broken = await run('check', file('broken.yaml', 'a: ['))
  assert.equal(broken.code, 1)
})

test('what cannot be done is said in one sentence', async () => {
  const refused: readonly (readonly [RegExp, ...string[]])[] = [
    [/^Say "deuteron policy show"/],
    [/which rule/, 'explain'],
    [/which file/, 'check'],
    [/"more" has no place/, 'sample', 'more'],
    [/--format is one of text, yaml, json/, 'show', '--format', 'xml'],
    [/is not NAME=VALUE/, 'explain', 'get_port', '--target', 'x'],
    [/give --project or --system/, 'explain', 'get_port', '--project', 'p', '--system'],
    [/cannot be used[\s\S]*nowhere\.yaml/, 'show', '--policy-file', '/nowhere.yaml'],
  ]
  for (const [sentence, ...args] of refused)
    await assert.rejects(
      () => run(...args),
      (error) => error instanceof UserError && sentence.test(error.message),
      args.join(' '),
    )
})
