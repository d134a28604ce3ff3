/** Random rules, callers and targets for property tests; small alphabets, so that they often meet. */
import fc from 'fast-check'
import type { Caller } from '#kernel/caller.ts'
import type { Check, Template } from './ast.ts'
import type { Target } from './values.ts'

const ATTRIBUTES = [
  'project_id',
  'tenant_id',
  'network:project_id',
  'network:tenant_id',
  'shared',
  'device_owner',
  'up',
  'user_id',
]
const TEXTS = ['a', 'b', 'ab', 'True', 'None', '5', 'network:dhcp', 'admin', 'Member', '100%']

const hole = fc.constantFrom(...ATTRIBUTES).map((attribute) => ({ attribute }))
/** Never two literals side by side, at most two holes, as the parser makes them. */
const template: fc.Arbitrary<Template> = fc.oneof(
  fc.constantFrom(...TEXTS).map((text): Template => [text]),
  hole.map((one): Template => [one]),
  fc.tuple(fc.constantFrom(...TEXTS), hole).map((parts): Template => parts),
  fc.tuple(hole, fc.constantFrom(...TEXTS)).map((parts): Template => parts),
  fc.tuple(hole, hole).map((parts): Template => parts),
)

/** `rules`: names that `rule:` may refer to. */
export const checks = (rules: readonly string[]): fc.Arbitrary<Check> =>
  fc.letrec<{ check: Check }>((tie) => ({
    check: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom<Check>({ kind: 'always' }, { kind: 'never' }),
      template.map((role): Check => ({ kind: 'role', role })),
      fc
        .tuple(
          fc.constantFrom(
            'project_id',
            'tenant_id',
            'roles',
            'system_scope',
            'is_admin',
            'True',
            'None',
            '5',
            "'ab'",
            '"a"',
          ),
          template,
        )
        .map(([left, right]): Check => ({ kind: 'equal', left, right })),
      fc
        .tuple(fc.constantFrom(...ATTRIBUTES), fc.constantFrom('True', 'false', 'a', 'None', '5', '~^network:', '~b|5'))
        .map(([attribute, value]): Check => ({ kind: 'field', resource: 'networks', attribute, value })),
      ...(rules.length > 0 ? [fc.constantFrom(...rules).map((name): Check => ({ kind: 'rule', name }))] : []),
      tie('check').map((of): Check => ({ kind: 'not', of })),
      fc
        .tuple(fc.constantFrom<'all' | 'any'>('all', 'any'), fc.array(tie('check'), { minLength: 2, maxLength: 3 }))
        .map(([kind, of]): Check => ({ kind, of })),
    ),
  })).check

const nullable = fc.constantFrom('a', 'b', 'ab', null)

export const callers: fc.Arbitrary<Caller> = fc.record({
  userId: fc.constantFrom('a', 'b'),
  userName: fc.constantFrom('a', 'b'),
  projectId: nullable,
  projectName: nullable,
  domainId: nullable,
  systemScope: fc.constantFrom('all' as const, null),
  roles: fc.subarray(['admin', 'member', 'reader', 'advsvc', 'data_plane_integrator', 'a', 'ab']),
  serviceRoles: fc.subarray(['service']),
  expiresAt: fc.constant(new Date(0)),
})

/** Whatever the default rules ask of an object and those above it, and more. */
export const targets: fc.Arbitrary<Target> = fc.dictionary(
  fc.constantFrom(
    'project_id',
    'network:project_id',
    'security_group:project_id',
    'ext_parent:project_id',
    'ext_parent:shared',
    'shared',
    'network:shared',
    'router:external',
    'external:mine',
    'target_tenant',
    'target_project',
    'device_owner',
    'up',
    'user_id',
  ),
  fc.constantFrom<unknown>('a', 'b', 'ab', '', 'Admin', 'True', true, false, null, 5, 'network:dhcp', 'None', '*'),
)
