/**
 * Our decisions against Neutron's: the fixture holds what Neutron 21 decides by each of its default rules for some
 * callers and objects, under both switches. Rules whose text differs (docs/deviations.md) allow what Neutron allows, and
 * more; and of what a project may not see here at all, Neutron's database shows nothing either.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import type { Caller } from '#kernel/caller.ts'
import { walk } from '#policy/ast.ts'
import { defaultRules } from '#policy/defaults/index.ts'
import type { RuleDefault } from '#policy/defaults/rule.ts'
import { parse } from '#policy/parse.ts'
import { createPolicy, type Policy } from '#policy/policy.ts'
import { holdsFor } from '#policy/residual.ts'
import fixture from './fixture-policy-decisions.json' with { type: 'json' }

const page = readFileSync(new URL('../../docs/deviations.md', import.meta.url), 'utf8')
const [, section = ''] = page.split('\n## Policy rules that differ\n')
const listed = new Set([...(section.split('\n## ')[0] ?? '').matchAll(/`(\w[\w:-]*)`/g)].map(([, name]) => name))

const byName = new Map(defaultRules.map((rule) => [rule.name, rule]))
const callers = fixture.callers.map(
  ({ project_id, roles, system_scope }): Caller => ({
    userId: 'u',
    userName: 'user',
    projectId: project_id,
    projectName: project_id,
    domainId: null,
    systemScope: system_scope === 'all' ? 'all' : null,
    roles,
    serviceRoles: [],
    expiresAt: new Date(0),
  }),
)

/** As our rules ask for them. A network that leads outside does so for everybody here: Neutron asked no database. */
const targets = fixture.targets.map((target) => ({ ...target, 'external:mine': target['router:external'] }))

/** Its text, or one it refers to, differs from Neutron's. */
const differs = ({ name, check, formerly }: RuleDefault): boolean =>
  listed.has(name) ||
  [check, formerly ?? check].some((text) =>
    [...walk(parse(text))].some((part) => part.kind === 'rule' && differs(byName.get(part.name) as RuleDefault)),
  )

const differ = new Set(defaultRules.filter(differs).map(({ name }) => name))

interface Decision {
  readonly name: string
  /** For the message of a failure. */
  question(): string
  readonly theirs: boolean
  readonly ours: boolean
}

/** Every decision of one setting, Neutron's narrowed to what its database would show. */
function* decisions(setting: number): Generator<Decision> {
  const { enforce_new_defaults, enforce_scope } = fixture.settings[setting] as (typeof fixture.settings)[number]
  const switches = { enforceNewDefaults: enforce_new_defaults, enforceScope: enforce_scope }
  const policy = createPolicy(switches)
  const lines = Object.fromEntries(defaultRules.map(({ name, within }) => [`line of ${name}`, within ?? '@']))
  const line = createPolicy({ ...switches, enforceScope: false, overrides: lines })
  for (const [name, answers] of Object.entries(fixture.decisions)) {
    const bits = BigInt(`0x${answers[setting]}`)
      .toString(2)
      .padStart(callers.length * targets.length, '0')
    for (const [i, caller] of callers.entries())
      for (const [j, target] of targets.entries())
        yield {
          name,
          question: () => `${name} of ${JSON.stringify(fixture.callers[i])} on ${JSON.stringify(target)}`,
          theirs: bits[i * targets.length + j] === '1' && line.allows(`line of ${name}`, caller, target),
          ours: answerOf(policy, name, caller, target),
        }
  }
}

/** The same, whether asked of an object or of a list. */
function answerOf(policy: Policy, name: string, caller: Caller, target: Readonly<Record<string, unknown>>): boolean {
  const allowed = policy.allows(name, caller, target)
  if (holdsFor(policy.residual(name, caller), target) !== allowed) assert.fail(`the residual of ${name} differs`)
  return allowed
}

describe('decisions', () => {
  for (const [index, setting] of fixture.settings.entries())
    test(`are Neutron’s: ${JSON.stringify(setting)}`, () => {
      let compared = 0
      for (const { name, question, theirs, ours } of decisions(index)) {
        const alike = !differ.has(name)
        compared += Number(alike)
        if (alike ? ours !== theirs : theirs && !ours) assert.fail(`Neutron says ${theirs}: ${question()}`)
      }
      assert.ok(compared > 200 * callers.length * targets.length)
    })

  test('the fixture tells callers and objects apart', () => {
    const kinds = new Set(Object.values(fixture.decisions).flat())
    assert.ok(kinds.size > 40)
  })
})
