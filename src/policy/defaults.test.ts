/** The default rules: residuals that mean what they mean, parents that count, and the line around what a project sees. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Caller } from '#kernel/caller.ts'
import { callers, checks, targets } from './arbitrary.test-support.ts'
import { print, walk } from './ast.ts'
import { defaultRules } from './defaults/index.ts'
import { parsePolicyFile } from './file.ts'
import { parse } from './parse.ts'
import { createPolicy, type Policy } from './policy.ts'
import { holdsFor } from './residual.ts'
import { samplePolicy } from './sample.ts'
import type { Target } from './values.ts'

const who = (roles: readonly string[], projectId: string | null = 'p'): Caller => ({
  userId: 'u',
  userName: 'user',
  projectId,
  projectName: projectId,
  domainId: null,
  systemScope: null,
  roles,
  serviceRoles: [],
  expiresAt: new Date(0),
})
const admin = who(['admin', 'member', 'reader'], 'admins')
const member = who(['member', 'reader'])
const reader = who(['reader'])

const policies: readonly (readonly [string, Policy])[] = [true, false].flatMap((enforceNewDefaults) =>
  [true, false].map((enforceScope): readonly [string, Policy] => [
    `new defaults ${enforceNewDefaults}, scope ${enforceScope}`,
    createPolicy({ enforceNewDefaults, enforceScope }),
  ]),
)
const fresh = createPolicy({ enforceNewDefaults: true, enforceScope: true })
const old = createPolicy({ enforceNewDefaults: false, enforceScope: true })
const both = [fresh, old]
const names = defaultRules.map(({ name }) => name)

for (const [title, policy] of policies)
  test(`every default rule agrees with its residual: ${title}`, () => {
    fc.assert(
      fc.property(callers, fc.array(targets, { minLength: 1, maxLength: 3 }), (caller, objects) => {
        for (const name of names) {
          const residual = policy.residual(name, caller)
          for (const target of objects)
            assert.equal(holdsFor(residual, target), policy.allows(name, caller, target), name)
        }
      }),
      { numRuns: 150 },
    )
  })

test('the generated targets know every attribute that a default rule asks for', () => {
  const asked = new Set(
    defaultRules
      .flatMap(({ check, formerly, within }) => [check, formerly ?? '', within ?? ''])
      .flatMap((text) => [...text.matchAll(/%\(([^)]+)\)s|field:\w+:([\w:]+)=/g)])
      .map(([, hole, field]) => (hole ?? field ?? '').replace(/tenant_id$/, 'project_id')),
  )
  const known = new Set(fc.sample(targets, 400).flatMap((target) => Object.keys(target)))
  assert.deepEqual(
    [...asked].filter((name) => !known.has(name)),
    [],
  )
})

test('whatever a policy file says, nobody sees more than the line around a rule lets in', () => {
  const confined = defaultRules.filter(({ within }) => within !== undefined)
  assert.ok(confined.length > 20)
  fc.assert(
    fc.property(fc.constantFrom(...confined), checks([]), callers, targets, (rule, tree, caller, target) => {
      const overrides = { [rule.name]: print(tree), line: rule.within as string }
      const policy = createPolicy({ overrides, enforceNewDefaults: true, enforceScope: false })
      const told = createPolicy({ overrides: { x: print(tree) }, enforceNewDefaults: true, enforceScope: false })
      const expected = told.allows('x', caller, target) && policy.allows('line', caller, target)
      assert.equal(policy.allows(rule.name, caller, target), expected)
      assert.equal(holdsFor(policy.residual(rule.name, caller), target), expected)
    }),
    { numRuns: 300 },
  )
})

const FOREIGN: Target = {
  project_id: 'q',
  'network:project_id': 'q',
  'security_group:project_id': 'q',
  'ext_parent:project_id': 'q',
  'ext_parent:shared': false,
  shared: false,
  'router:external': false,
  'external:mine': false,
}

test('of another project’s objects a member sees nothing, shared or not by the former defaults', () => {
  const seen = (policy: Policy): string[] =>
    names.filter((name) => /^(get|list)_[^:]+$/.test(name) && policy.allows(name, member, FOREIGN))
  // Of no project, or a view of what is seen anyway: subports are asked for through a trunk that is seen.
  const open = [
    'get_availability_zone',
    'get_default_security_group_rule',
    'get_extension',
    'get_flavor',
    'get_flavor_service_profile',
    'get_floatingip_pool',
    'get_rule_type',
    'get_service_provider',
  ]
  assert.deepEqual(seen(fresh).sort(), open)
  assert.deepEqual(seen(old).sort(), [...open, 'get_subports'].sort())
})

test('every rule that shows objects of projects has a line around it; these show none, or parts of what is seen', () => {
  const bare = defaultRules.filter(({ name, within }) => /^(get|list)_[^:]+$/.test(name) && within === undefined)
  assert.deepEqual(bare.map(({ name }) => name).sort(), [
    'get_advertised_routes',
    'get_agent',
    'get_availability_zone',
    'get_default_security_group_rule',
    'get_dhcp-agents',
    'get_dhcp-networks',
    'get_extension',
    'get_flavor',
    'get_flavor_service_profile',
    'get_floatingip_pool',
    'get_l3-agents',
    'get_l3-routers',
    'get_loggable_resource',
    'get_metering_label_rule',
    'get_network_ip_availability',
    'get_network_segment_range',
    'get_outbox_driver',
    'get_outbox_event',
    'get_port_binding',
    'get_port_binding_explanation',
    'get_quota',
    'get_rule_type',
    'get_segment',
    'get_service_profile',
    'get_service_provider',
    'get_subports',
    'list_bgp_speaker_on_dragent',
    'list_dragent_hosting_bgp_speaker',
  ])
})

test('an administrator may do everything for any project, before and after the switch', () => {
  for (const policy of both)
    assert.deepEqual(
      defaultRules.filter(({ name, operations }) => operations.length > 0 && !policy.allows(name, admin, FOREIGN)),
      [],
    )
})

test('a reader changes nothing of its project once the former defaults are gone', () => {
  const own = { ...FOREIGN, project_id: 'p' }
  const writes = defaultRules.filter(
    ({ name, operations }) => !name.includes(':') && operations.some(({ method }) => method !== 'GET'),
  )
  assert.ok(writes.length > 100)
  assert.deepEqual(
    writes.filter(({ name }) => fresh.allows(name, reader, own)),
    [],
  )
})

const cases: readonly (readonly [rule: string, target: Target, allowed: boolean])[] = [
  ['create_floatingip_port_forwarding', { ...FOREIGN, 'ext_parent:project_id': 'p' }, true],
  ['get_floatingip_port_forwarding', { ...FOREIGN, 'ext_parent:project_id': 'p' }, true],
  ['delete_router_conntrack_helper', { ...FOREIGN, 'ext_parent:project_id': 'p' }, true],
  ['create_local_ip_port_association', FOREIGN, false],
  ['get_security_group_rule', { ...FOREIGN, 'security_group:project_id': 'p' }, true],
  ['create_subnet', { ...FOREIGN, 'network:project_id': 'p' }, true],
  ['create_port:mac_address', { ...FOREIGN, 'network:project_id': 'p' }, true],
  ['create_port:fixed_ips', { ...FOREIGN, shared: true }, true],
  ['get_subnet', { project_id: 'q', 'network:shared': true }, true],
  ['get_network', { ...FOREIGN, 'router:external': true, 'external:mine': true }, true],
  ['get_address_scope', { ...FOREIGN, shared: true }, true],
  ['get_policy', { ...FOREIGN, shared: true }, true],
  ['get_policy_bandwidth_limit_rule', { 'ext_parent:project_id': 'p', 'ext_parent:shared': false }, true],
  ['get_alias_dscp_marking_rule', { 'ext_parent:project_id': 'q', 'ext_parent:shared': true }, true],
  ['get_alias_minimum_packet_rate_rule', { 'ext_parent:project_id': 'q', 'ext_parent:shared': false }, false],
  ['create_policy', { ...FOREIGN, project_id: 'p' }, false],
  ['create_rbac_policy', { project_id: 'p' }, true],
  ['create_rbac_policy:target_tenant', { project_id: 'p', target_tenant: 'q' }, true],
  ['create_rbac_policy:target_tenant', { project_id: 'p', target_tenant: '*' }, false],
  ['update_rbac_policy:target_tenant', { project_id: 'p', target_project: '*' }, false],
  ['create_router:external_gateway_info:network_id', { project_id: 'p' }, true],
  ['create_router:external_gateway_info:enable_snat', { project_id: 'p' }, false],
  ['add_router_interface', { project_id: 'p' }, true],
  ['create_trunk', { project_id: 'p' }, true],
  ['get_metering_label', { project_id: 'p' }, true],
  ['get_network_segment_range', { project_id: 'p' }, false],
]
for (const [rule, target, allowed] of cases)
  test(`a member ${allowed ? 'may' : 'may not'} ${rule} on ${JSON.stringify(target)}`, () => {
    assert.equal(fresh.allows(rule, member, target), allowed)
    assert.equal(holdsFor(fresh.residual(rule, member), target), allowed)
  })

test('the line costs a list nothing where the rule is as strict: its residual is the rule’s own', () => {
  const own = { op: 'equals', attribute: 'project_id', value: 'p' }
  for (const name of ['get_router', 'get_trunk', 'get_floatingip'])
    assert.deepEqual(fresh.residual(name, member), own, name)
  const onOwn = { op: 'equals', attribute: 'network:project_id', value: 'p' }
  assert.deepEqual(fresh.residual('get_port', member), { op: 'or', of: [own, onOwn] })
  assert.deepEqual(old.residual('get_security_group', member), {
    op: 'or',
    of: [own, { op: 'equals', attribute: 'shared', value: true }],
  })
  for (const name of names.filter((one) => one.startsWith('get_')))
    assert.equal(fresh.residual(name, admin), true, name)
})

test('an override under a former name counts under the present one, which has the last word', () => {
  const rule = (name: string, check: string, formerNames: readonly string[] = []) => ({
    name,
    check,
    formerNames,
    description: '',
    operations: [],
  })
  const defaults = [rule('context_is_admin', 'role:admin'), rule('default', '!'), rule('see_x', '!', ['get_x'])]
  const load = (overrides: Record<string, string>): Policy =>
    createPolicy({ defaults, overrides, enforceNewDefaults: true, enforceScope: false })
  const former = load({ get_x: 'role:member' })
  assert.equal(former.allows('see_x', member, {}), true)
  assert.equal(former.has('get_x'), false)
  assert.deepEqual(former.renamed(), [{ formerly: 'get_x', name: 'see_x' }])
  assert.equal(load({ see_x: '!', get_x: '@' }).allows('see_x', member, {}), false)
  assert.deepEqual(load({ see_x: '@' }).renamed(), [])
})

test('the sample is a policy file that, uncommented, says what the defaults say', () => {
  const text = samplePolicy()
  assert.deepEqual(parsePolicyFile(text, 'sample').overrides, {})
  const { overrides } = parsePolicyFile(text.replaceAll(/^#"/gm, '"'), 'sample')
  assert.deepEqual(Object.keys(overrides).sort(), [...names].sort())
  const uncommented = createPolicy({ overrides, enforceNewDefaults: true, enforceScope: false })
  for (const { name, text: inForce, source } of uncommented.effective()) {
    assert.equal(source, 'file')
    assert.equal(inForce, print(parse(defaultRules.find((rule) => rule.name === name)?.check ?? '')))
  }
})

test('every default is described, and refers to nothing that is not there', () => {
  assert.equal(new Set(names).size, names.length)
  for (const { name, description, check, formerly, within } of defaultRules) {
    assert.match(description, /^[A-Z].*\.$/, name)
    for (const text of [check, formerly ?? check, within ?? check])
      for (const part of walk(parse(text))) if (part.kind === 'rule') assert.ok(names.includes(part.name), part.name)
  }
})
