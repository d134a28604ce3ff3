/**
 * Our default rules against Neutron's, both switches: the fixture holds the facts of Neutron 21 (Zed) and
 * neutron-dynamic-routing. What differs stands in docs/deviations.md with its reason, and what stands there does differ.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { print } from '#policy/ast.ts'
import { defaultRules } from '#policy/defaults/index.ts'
import type { RuleDefault } from '#policy/defaults/rule.ts'
import { parse } from '#policy/parse.ts'
import { createPolicy } from '#policy/policy.ts'
import facts from './fixture-policy.json' with { type: 'json' }

type Fact = (typeof facts)[number]
type Facet = 'present' | 'former' | 'operations' | 'scopes'
const FACETS: readonly Facet[] = ['present', 'former', 'operations', 'scopes']

const page = readFileSync(new URL('../../docs/deviations.md', import.meta.url), 'utf8')
const [, section = ''] = page.split('\n## Policy rules that differ\n')
const tables = (section.split('\n## ')[0] ?? '').split('\n\n').filter((part) => part.startsWith('|'))
/** Rows of the table with that first column, as cells without backquotes. */
const rows = (column: string): string[][] => {
  const table = tables.find((one) => one.startsWith(`| ${column} |`)) ?? ''
  return table
    .trim()
    .split('\n')
    .slice(2)
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim().replaceAll('`', '')),
    )
}

/** One text for one meaning: how a rule is written does not count. */
const text = (check: string): string => print(parse(check))
const place = (operation: string): string => operation.replace(/\/$/, '')

const theirs: Readonly<Record<Facet, (fact: Fact) => string>> = {
  present: ({ check }) => text(check),
  former: ({ check, formerly }) => text(formerly ?? check),
  operations: ({ operations }) => operations.map(place).join(', '),
  scopes: ({ scopes }) => scopes?.join(', ') ?? 'any',
}
const ours: Readonly<Record<Facet, (rule: RuleDefault) => string>> = {
  present: ({ check }) => text(check),
  former: ({ check, formerly }) => text(formerly ?? check),
  operations: ({ operations }) => operations.map(({ method, path }) => `${method} ${path}`).join(', '),
  scopes: ({ scopes }) => scopes?.join(', ') ?? 'any',
}
/** What did not have a former text in Neutron follows its present one there; told once, as a difference of that. */
const facetsOf = (fact: Fact): readonly Facet[] =>
  fact.formerly === null ? FACETS.filter((one) => one !== 'former') : FACETS

const byName = new Map(defaultRules.map((rule) => [rule.name, rule]))

describe('default rules', () => {
  test('there is one for each of Neutron’s', () => {
    assert.ok(facts.length > 270)
    assert.deepEqual(
      facts.map(({ name }) => name).filter((name) => !byName.has(name)),
      [],
    )
  })

  test('say what Neutron’s say, before and after the switch, or are listed as deviations', () => {
    const found = facts.flatMap((fact) => {
      const rule = byName.get(fact.name)
      return facetsOf(fact).flatMap((facet) => {
        const [there, here] = [theirs[facet](fact), rule ? ours[facet](rule) : '']
        return there === here ? [] : [`${fact.name} ${facet}: ${there} → ${here}`]
      })
    })
    const listed = rows('rules').flatMap(([names = '', facet, there, here]) =>
      names.split(', ').map((name) => `${name} ${facet}: ${there} → ${here}`),
    )
    assert.deepEqual(found.sort(), listed.sort())
  })

  test('that only we have are listed as ours', () => {
    const known = new Set(facts.map(({ name }) => name))
    assert.deepEqual(
      defaultRules.map(({ name }) => name).filter((name) => !known.has(name)),
      rows('only here').map(([name]) => name),
    )
  })

  test('are in force as they are written: the present text, or either of both', () => {
    for (const enforceNewDefaults of [true, false]) {
      const effective = createPolicy({ enforceNewDefaults, enforceScope: true }).effective()
      for (const { name, text: inForce } of effective) {
        const { check, formerly } = byName.get(name) as RuleDefault
        const both = `${check} or ${formerly}`
        const expected = enforceNewDefaults || formerly === undefined ? text(check) : text(both)
        assert.equal(inForce, expected, name)
      }
      assert.equal(effective.length, defaultRules.length)
    }
  })

  test('every deviation gives a reason', () => {
    for (const row of [...rows('rules'), ...rows('only here')])
      assert.ok((row.at(-1) ?? '').length > 10, row.join(' | '))
  })
})
