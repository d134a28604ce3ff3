/** A plan carried out plans to nothing, whatever was there; what is others' stays. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  type Aggregate,
  ADDRESS_CLASSES,
  type Inventory,
  type KnownSegment,
  planSegment,
  type Step,
  type WantedSegment,
} from './placement-plan.ts'

const host = fc.constantFrom('h1', 'h2', 'h3', 'h4')
const hosts = fc.uniqueArray(host)
const amount = fc.record({ total: fc.integer({ min: 1, max: 2 ** 40 }), reserved: fc.nat(300) })
const wantedSegment: fc.Arbitrary<WantedSegment> = fc.option(
  fc.record({
    amounts: fc.dictionary(fc.constantFrom(...Object.values(ADDRESS_CLASSES)), amount, { minKeys: 1 }),
    hosts,
  }),
) as fc.Arbitrary<WantedSegment>
const inventory: fc.Arbitrary<Inventory> = fc.record({
  total: fc.nat(500),
  reserved: fc.nat(20),
  min_unit: fc.constant(1),
  max_unit: fc.constantFrom(1, 8),
  step_size: fc.constant(1),
  allocation_ratio: fc.constantFrom(1, 2),
})
const knownSegment: fc.Arbitrary<KnownSegment> = fc.record({
  provider: fc.option(
    fc.record({
      generation: fc.nat(9),
      inventories: fc.dictionary(fc.constantFrom('IPV4_ADDRESS', 'CUSTOM_IPV6_ADDRESS', 'VCPU'), inventory),
      aggregates: fc.uniqueArray(fc.constantFrom('others', 'ours')),
    }),
  ),
  aggregate: fc.option(fc.record({ id: fc.constant(7), uuid: fc.constant('ours'), hosts })),
})

/** What Placement and Nova make of a step. */
function carriedOut(known: KnownSegment, step: Step): KnownSegment {
  const { provider, aggregate } = known
  const hostsOf = (change: (hosts: readonly string[]) => readonly string[]): KnownSegment => ({
    ...known,
    aggregate: { ...(aggregate as Aggregate), hosts: change((aggregate as Aggregate).hosts) },
  })
  switch (step.kind) {
    case 'create provider':
      return { ...known, provider: { generation: 0, inventories: {}, aggregates: [] } }
    case 'delete provider':
      return { ...known, provider: null }
    case 'set inventories':
    case 'set aggregates': {
      assert.ok(provider && step.generation === provider.generation)
      const { kind: _kind, generation, ...values } = step
      return { ...known, provider: { ...provider, ...values, generation: generation + 1 } }
    }
    case 'create aggregate':
      return { ...known, aggregate: { id: 7, uuid: 'ours', hosts: [] } }
    case 'delete aggregate':
      assert.deepEqual(aggregate?.hosts, [], 'Nova deletes no aggregate that has hosts')
      return { ...known, aggregate: null }
    case 'add host':
      return hostsOf((names) => [...names, step.host])
    case 'remove host':
      return hostsOf((names) => names.filter((one) => one !== step.host))
  }
}

test('a plan carried out leads to what is wanted, in few rounds', () => {
  fc.assert(
    fc.property(wantedSegment, knownSegment, hosts, (wanted, start, refused) => {
      let known = start
      const unknown = new Set<string>(refused)
      let rounds = 0
      for (let steps = planSegment(wanted, known, unknown); steps.length > 0; rounds++) {
        known = steps.reduce(carriedOut, known)
        steps = planSegment(wanted, known, unknown)
        assert.ok(rounds < 6, 'it does not come to an end')
      }
      if (wanted === null) return assert.deepEqual({ ...known }, { provider: null, aggregate: null })
      for (const [name, { total, reserved }] of Object.entries(wanted.amounts)) {
        const made = known.provider?.inventories[name]
        assert.deepEqual([made?.total, made?.max_unit], [Math.min(total, 2 ** 31 - 1), 1])
        assert.equal(made?.reserved, Math.min(reserved, total))
      }
      assert.deepEqual(known.provider?.inventories['VCPU'], start.provider?.inventories['VCPU'])
      assert.ok(known.provider?.aggregates.includes('ours'))
      assert.equal(
        known.provider?.aggregates.includes('others'),
        start.provider?.aggregates.includes('others') ?? false,
      )
      const there = new Set(start.aggregate?.hosts ?? [])
      const expected = wanted.hosts.filter((one) => !unknown.has(one) || there.has(one))
      assert.deepEqual([...(known.aggregate?.hosts ?? [])].sort(), expected.sort())
    }),
  )
})
