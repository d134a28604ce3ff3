/**
 * Our attributes against Neutron's: the fixture holds the facts of Neutron 21 (Zed) with its usual extensions, who may
 * give what when, defaults, filters, order, visibility and policy. What differs stands in docs/deviations.md with its
 * reason, and what stands there does differ.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { extensions } from '#extensions/index.ts'
import type { Attribute } from '#model/attribute.ts'
import { type ComposedResource, compose } from '#model/compose.ts'
import { coreResources } from '#resources/index.ts'
import facts from './fixture-attributes.json' with { type: 'json' }

type Facets = Readonly<Record<string, unknown>>

const model = compose(coreResources, extensions)
const byPlural = new Map([...model.resources.values()].map((one) => [one.plural.replaceAll('-', '_'), one]))
/** Facts of the collections we have, under our names for them. */
const neutron: Readonly<Record<string, Readonly<Record<string, Facets>>>> = Object.fromEntries(
  Object.entries(facts).flatMap(([plural, attributes]) => {
    const resource = byPlural.get(plural)
    return resource ? [[resource.name, attributes]] : []
  }),
)
const page = readFileSync(new URL('../../docs/deviations.md', import.meta.url), 'utf8')

/** The rows of the tables below a heading, as trimmed cells without backquotes. */
const rows = (heading: string): string[][] => {
  const [, section = ''] = page.split(`\n## ${heading}\n`)
  const lines = (section.split('\n## ')[0] ?? '').split('\n').filter((line) => line.startsWith('|'))
  return lines.slice(2).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim().replaceAll('`', '')),
  )
}

const facetsOf = ({ operations, actions }: ComposedResource, name: string, attribute: Attribute): Facets => {
  const { set, visible, filter, sort, policy, required } = attribute
  // Rules under another path are changed by an action on that path.
  const changes = operations.includes('update') || actions.some(({ method, path }) => method === 'PUT' && path === '')
  const create = (set === 'create' || set === 'always') && operations.includes('create')
  return {
    create,
    update: (set === 'update' || set === 'always') && changes,
    visible,
    // Tags have filters of their own.
    filter: filter || name === 'tags',
    sort,
    policy,
    ...(create && attribute.default !== undefined && { default: attribute.default }),
    ...(create && required && { required }),
  }
}

const shown = (value: unknown): string => (value === undefined ? 'unspecified' : JSON.stringify(value))

/** `resource.attribute facet: theirs → ours`, for everything both sides have. */
const differences = (): string[] =>
  Object.entries(neutron).flatMap(([name, attributes]) => {
    const ours = model.resource(name).attributes
    return Object.entries(attributes).flatMap(([attribute, theirs]) => {
      const mine = ours[attribute] && facetsOf(model.resource(name), attribute, ours[attribute])
      if (!mine) return []
      const facets = [...new Set([...Object.keys(theirs), ...Object.keys(mine)])].sort()
      return facets.flatMap((facet) =>
        shown(theirs[facet]) === shown(mine[facet])
          ? []
          : [`${name}.${attribute} ${facet}: ${shown(theirs[facet])} → ${shown(mine[facet])}`],
      )
    })
  })

describe('attributes', () => {
  test('agree with Neutron’s, or are listed as deviations', () => {
    const listed = rows('Attributes that differ').map(
      ([attribute, facet, theirs, mine]) => `${attribute} ${facet}: ${theirs} → ${mine}`,
    )
    assert.deepEqual(differences().sort(), listed.sort())
  })
  test('that Neutron has and we do not are listed as not yet', () => {
    const missing = Object.entries(neutron).flatMap(([name, attributes]) =>
      Object.keys(attributes).flatMap((one) => (one in model.resource(name).attributes ? [] : [`${name}.${one}`])),
    )
    assert.deepEqual(
      missing.sort(),
      rows('Not yet')
        .map(([attribute]) => attribute)
        .sort(),
    )
  })
  test('of collections that we do not have are listed as not yet', () => {
    const missing = Object.keys(facts).filter((plural) => !byPlural.has(plural))
    assert.deepEqual(
      missing.sort(),
      rows('Collections not yet')
        .map(([name]) => name)
        .sort(),
    )
  })
  test('that only we have are listed as ours', () => {
    const extra = Object.keys(neutron).flatMap((name) =>
      Object.entries(model.resource(name).attributes).flatMap(([one, { visible, set }]) =>
        (visible || set !== 'never') && !(one in (neutron[name] ?? {})) ? [`${name}.${one}`] : [],
      ),
    )
    assert.deepEqual(
      extra.sort(),
      rows('Only here')
        .map(([attribute]) => attribute)
        .sort(),
    )
  })
  test('every row gives a reason', () => {
    for (const heading of ['Attributes that differ', 'Behaviour that differs', 'Not yet', 'Collections not yet'])
      for (const row of rows(heading)) assert.ok((row.at(-1) ?? '').length > 10, row.join(' | '))
  })
})
