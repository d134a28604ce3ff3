/**
 * Rules and the model go by the same names: a rule that no operation asks for protects nothing. Rules of resources and
 * attributes that are not here are left out.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { extensions } from '#extensions/index.ts'
import { type ComposedResource, compose } from '#model/compose.ts'
import { defaultRules } from '#policy/defaults/index.ts'
import { coreResources } from '#resources/index.ts'

const resources = [...compose(coreResources, extensions).resources.values()]
const names = new Set(defaultRules.map(({ name }) => name))

test('what can be done has a rule of its own that says by whom', () => {
  const asked = resources.flatMap(({ operations, policyName }) =>
    operations.map((one) => `${one === 'list' || one === 'show' ? 'get' : one}_${policyName}`),
  )
  assert.deepEqual(
    [...new Set(asked)].filter((rule) => !names.has(rule)),
    [],
  )
})

/** `update_port:fixed_ips:ip_address` of ports: `fixed_ips`. */
const attributeOf = ({ policyName, attributes }: ComposedResource, rule: string): string | undefined => {
  const [, rest] = new RegExp(`^(?:create|update|get)_${policyName}:(.+)$`).exec(rule) ?? []
  return Object.keys(attributes).find((name) => rest === name || rest?.startsWith(`${name}:`))
}

/** Neutron has these rules and does not ask them: its tenants say which owners' ports a subnet of theirs is for. */
const UNASKED = ['create_subnet:service_types', 'update_subnet:service_types']

test('an attribute that rules name is one that policy is asked about', () => {
  const asked = resources.flatMap((resource) =>
    [...names].flatMap((rule) => {
      const attribute = attributeOf(resource, rule)
      return attribute === undefined ? [] : [{ rule, policy: resource.attributes[attribute]?.policy }]
    }),
  )
  assert.ok(asked.length > 40)
  assert.deepEqual(
    asked.filter(({ policy }) => policy !== true).map(({ rule }) => rule),
    UNASKED,
  )
})
