/** Decisions: the language's meaning, its agreement with residuals and explanations, and loading. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Caller } from '#kernel/caller.ts'
import { callers, checks, targets } from './arbitrary.test-support.ts'
import { print } from './ast.ts'
import { parsePolicyFile } from './file.ts'
import { PolicyError } from './load.ts'
import { createPolicy, type Policy } from './policy.ts'
import { holdsFor } from './residual.ts'

const caller = (roles: readonly string[], more: Partial<Caller> = {}): Caller => ({
  userId: 'u',
  userName: 'user',
  projectId: 'p',
  projectName: 'project',
  domainId: null,
  systemScope: null,
  roles,
  serviceRoles: [],
  expiresAt: new Date(0),
  ...more,
})
const admin = caller(['admin', 'manager', 'member', 'reader'])
const member = caller(['member', 'reader'])
const reader = caller(['reader'])

const withRule = (x: string, more: Record<string, string> = {}): Policy =>
  createPolicy({ overrides: { x, ...more }, enforceNewDefaults: true, enforceScope: false })
const old = createPolicy({ enforceNewDefaults: false, enforceScope: false })
const fresh = createPolicy({ enforceNewDefaults: true, enforceScope: false })

const threeRules = fc.record({ x: checks(['y', 'z']), y: checks(['z']), z: checks([]) })

test('residual, decision and explanation agree', () => {
  fc.assert(
    fc.property(
      threeRules,
      callers,
      fc.array(targets, { minLength: 1, maxLength: 4 }),
      fc.boolean(),
      fc.boolean(),
      (trees, who, objects, enforceNewDefaults, enforceScope) => {
        const overrides = { x: print(trees.x), y: print(trees.y), z: print(trees.z), get_port: 'rule:x' }
        const policy = createPolicy({ overrides, enforceNewDefaults, enforceScope })
        for (const target of objects)
          for (const rule of ['x', 'get_port', 'no_such_rule']) {
            const allowed = policy.allows(rule, who, target)
            assert.equal(holdsFor(policy.residual(rule, who), target), allowed)
            assert.equal(policy.explain(rule, who, target).allowed, allowed)
          }
      },
    ),
    { numRuns: 800 },
  )
})

const meanings: readonly [string, Caller, Record<string, unknown>, boolean][] = [
  ['role:ADMIN', admin, {}, true],
  ['role:admin', member, {}, false],
  ['role:%(wanted)s', member, { wanted: 'Member' }, true],
  ['role:%(wanted)s', member, {}, false],
  ['tenant_id:%(tenant_id)s', member, { project_id: 'p' }, true],
  ['project_id:%(tenant_id)s', member, { project_id: 'q' }, false],
  ['tenant_id:%(network:tenant_id)s', member, { 'network:project_id': 'p' }, true],
  ['user_id:%(user_id)s', member, { user_id: 'u' }, true],
  ['project_id:p', member, {}, true],
  ['project_id:%(project_id)s', caller(['member'], { projectId: null }), { project_id: null }, false],
  ['project_id:None', caller(['member'], { projectId: null }), {}, true],
  ['field:networks:shared=True', member, { shared: true }, true],
  ['field:networks:shared=True', member, { shared: false, 'network:shared': true }, false],
  ['field:networks:shared=True', member, { 'network:shared': true }, true],
  ['field:networks:shared=True', member, {}, false],
  ['field:networks:router:external=true', member, { 'router:external': true }, true],
  ['field:port:device_owner=~^network:', member, { device_owner: 'network:dhcp' }, true],
  ['field:port:device_owner=~network:', member, { device_owner: 'x network:dhcp' }, false],
  ['field:port:device_owner=~^network:', member, { device_owner: null }, false],
  ['is_admin:True', admin, {}, true],
  ['is_admin:True', member, {}, false],
  ['is_admin:False', member, {}, true],
  ['system_scope:all', caller(['reader'], { systemScope: 'all', projectId: null }), {}, true],
  ['system_scope:all', member, {}, false],
  ['None:%(tenant_id)s', member, { project_id: null }, true],
  ['None:%(tenant_id)s', member, { project_id: 'p' }, false],
  ['True:%(admin_state_up)s', member, { admin_state_up: true }, true],
  ['True:%(admin_state_up)s', member, { admin_state_up: false }, false],
  ["'bare_metal':%(x)s", member, { x: 'bare_metal' }, true],
  ['5:%(x)s', member, { x: 5 }, true],
  ['service_roles:service', caller([], { serviceRoles: ['service'] }), {}, true],
  ['roles:reader', member, {}, true],
  ['!', admin, {}, false],
  ['not !', reader, {}, true],
  ['not role:admin and not role:member', reader, {}, true],
]
for (const [rule, who, target, expected] of meanings)
  test(`${rule} is ${expected} for roles [${who.roles.join()}] on ${JSON.stringify(target)}`, () => {
    assert.equal(withRule(rule).allows('x', who, target), expected)
  })

test('every problem of a policy file is told, together and with its place', () => {
  assert.throws(
    () =>
      withRule('rule:a and', {
        get_network: 'rule:missing or projct_id:%(project_id)s',
        loop: 'not rule:pool',
        pool: 'rule:loop',
        context_is_admin: 'is_admin:True',
        remote: 'http://x',
      }),
    (error) => {
      assert.ok(error instanceof PolicyError)
      assert.deepEqual(
        error.problems.map(({ rule, column }) => [rule, column]),
        [
          ['x', 11],
          ['remote', 1],
          ['get_network', null],
          ['get_network', null],
          ['context_is_admin', null],
          ['loop', null],
        ],
      )
      assert.match(error.message, /missing.*does not exist[\s\S]*projct_id[\s\S]*loop → pool → loop/)
      return true
    },
  )
})

test('a member acts within its own project, a reader looks, others see nothing', () => {
  for (const policy of [old, fresh]) {
    assert.equal(policy.allows('create_network', member, { project_id: 'p' }), true)
    assert.equal(policy.allows('get_network', reader, { project_id: 'p' }), true)
    assert.equal(policy.allows('get_network', member, { project_id: 'q', shared: false }), false)
    assert.equal(policy.allows('get_network', member, { project_id: 'q', shared: true }), true)
    assert.equal(policy.allows('create_network:shared', member, { project_id: 'p' }), false)
    assert.equal(policy.allows('create_network:provider:network_type', admin, { project_id: 'q' }), true)
    assert.equal(policy.allows('get_network:provider:segmentation_id', member, { project_id: 'p' }), false)
    assert.equal(policy.allows('create_port:binding:host_id', member, { project_id: 'p' }), false)
    assert.equal(
      policy.allows('create_port:mac_address', member, { project_id: 'p', 'network:project_id': 'q' }),
      false,
    )
    assert.equal(policy.allows('create_port:mac_address', member, { project_id: 'p', 'network:project_id': 'p' }), true)
    assert.equal(policy.allows('create_port:device_owner', member, { device_owner: 'compute:nova' }), true)
    assert.equal(policy.allows('create_port:device_owner', member, { device_owner: 'network:dhcp' }), false)
    assert.equal(policy.allows('delete_security_group', admin, { project_id: 'q' }), true)
  }
})

test('the switch takes the former defaults away', () => {
  assert.equal(old.allows('delete_network', reader, { project_id: 'p' }), true)
  assert.equal(fresh.allows('delete_network', reader, { project_id: 'p' }), false)
  assert.equal(old.allows('update_port', reader, { project_id: 'p' }), true)
  assert.equal(fresh.allows('update_port', reader, { project_id: 'p' }), false)
})

test('an admin passes every rule while the old defaults hold, and none but its own afterwards', () => {
  const overrides = { create_network: '!' }
  const lenient = createPolicy({ overrides, enforceNewDefaults: false, enforceScope: false })
  const strict = createPolicy({ overrides, enforceNewDefaults: true, enforceScope: false })
  assert.equal(lenient.allows('create_network', admin, {}), true)
  assert.equal(lenient.explain('create_network', admin, {}).rule, 'context_is_admin')
  assert.equal(strict.allows('create_network', admin, {}), false)
  assert.equal(lenient.allows('create_network', member, {}), false)
})

test('a system token is refused by a project rule where scopes are enforced', () => {
  const scoped = createPolicy({ enforceNewDefaults: true, enforceScope: true })
  const system = caller(['admin'], { projectId: null, systemScope: 'all' })
  assert.equal(fresh.allows('get_agent', system, {}), true)
  assert.equal(scoped.allows('get_agent', system, {}), false)
  assert.match(scoped.explain('get_agent', system, {}).because.text, /system/)
  assert.equal(scoped.residual('get_agent', system), false)
  assert.equal(scoped.isAdmin(system), true)
})

test('a residual is small enough to become SQL', () => {
  assert.equal(old.residual('get_network', admin), true)
  assert.deepEqual(fresh.residual('get_subnet', member), {
    op: 'or',
    of: [
      { op: 'equals', attribute: 'project_id', value: 'p' },
      { op: 'equals', attribute: 'shared', value: true },
    ],
  })
  assert.deepEqual(old.residual('get_port', member), {
    op: 'or',
    of: [
      { op: 'equals', attribute: 'project_id', value: 'p' },
      { op: 'equals', attribute: 'network:project_id', value: 'p' },
    ],
  })
})

test('residuals are remembered by what a rule can read of the caller', () => {
  const first = fresh.residual('get_network', member)
  assert.equal(fresh.residual('get_network', { ...member, expiresAt: new Date() }), first)
  assert.notDeepEqual(fresh.residual('get_network', { ...member, projectId: 'q' }), first)
})

test('an explanation shows the whole tree, references followed', () => {
  const { because, text, rule } = fresh.explain('get_network', member, { project_id: 'p' })
  assert.equal(rule, 'get_network')
  assert.match(text, /^rule:admin_only or role:reader and/)
  assert.deepEqual(because.of[0], {
    text: 'rule:admin_only',
    holds: false,
    of: [{ text: 'rule:context_is_admin', holds: false, of: [{ text: 'role:admin', holds: false, of: [] }] }],
  })
  assert.equal(because.of[1]?.holds, true)
})

test('the effective rules name their source and operations', () => {
  const policy = createPolicy({
    overrides: { get_network: '@', mine: '!' },
    enforceNewDefaults: true,
    enforceScope: false,
  })
  const of = (name: string) => policy.effective().find((rule) => rule.name === name)
  assert.equal(of('get_network')?.source, 'file')
  assert.deepEqual(
    of('get_network')?.operations.map(({ method, path }) => `${method} ${path}`),
    ['GET /networks', 'GET /networks/{id}'],
  )
  assert.equal(of('get_port')?.source, 'default')
  assert.deepEqual(policy.unused(), ['mine'])
  assert.ok(old.effective().every((rule) => rule.description !== ''))
})

test('a rule without a name of its own falls to the default rule', () => {
  assert.equal(fresh.has('update_network:name'), false)
  assert.equal(fresh.allows('update_network:name', member, { project_id: 'p' }), true)
  assert.equal(fresh.explain('update_network:name', member, { project_id: 'q' }).rule, 'default')
})

test('a policy file is YAML; what is not a rule is refused by name', () => {
  const text = '# mine\n"get_network": "rule:admin_only"\n"old": [["role:admin"], ["rule:owner", "role:x"]]\n'
  const { overrides, places } = parsePolicyFile(text, 'policy.yaml')
  const policy = createPolicy({ overrides, enforceNewDefaults: true, enforceScope: false })
  assert.equal(policy.allows('get_network', member, { project_id: 'p' }), false)
  assert.deepEqual(places.get('old'), { path: 'policy.yaml', line: 3 })
  assert.deepEqual(parsePolicyFile('', 'policy.yaml').overrides, {})
  assert.throws(() => parsePolicyFile('a: 5\nb: {c: d}', 'policy.yaml'), /'a' is neither[\s\S]*'b' is neither/)
  assert.throws(() => parsePolicyFile('- a', 'policy.yaml'), /maps rule names/)
  assert.throws(
    () => parsePolicyFile('a: "@"\nb: [', 'policy.yaml'),
    /^PolicyError: .*policy\.yaml: line 2, column \d+: [^\n]*$/,
  )
})

test('thirty attribute rules cost less than a millisecond', () => {
  const rules = fresh.effective().slice(0, 30)
  const target = {
    project_id: 'p',
    'network:project_id': 'q',
    shared: false,
    'router:external': false,
    device_owner: '',
  }
  const round = (): void => {
    for (const rule of rules) fresh.allows(rule.name, member, target)
  }
  for (let i = 0; i < 200; i++) round()
  const began = process.cpuUsage()
  for (let i = 0; i < 200; i++) round()
  const spent = process.cpuUsage(began)
  assert.ok((spent.user + spent.system) / 200 < 1000, `${(spent.user + spent.system) / 200} µs`)
})
